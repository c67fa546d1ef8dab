"""Wrong answers to the exercises of lesson 8, and what their checks must say."""


def factor(rise, fall):
    return f"def factor(t, warmup, total):\n    if t < warmup:\n        return {rise}\n    return {fall}\n"


RISE, FALL = "(t + 1) / warmup", "(1 + math.cos(math.pi * (t - warmup) / (total - warmup))) / 2"
STOP = """
def best_epoch(losses, patience):
    best, waited = 0, 0
    for t, loss in enumerate(losses):
        if loss < losses[best]:
            best, waited = t, 0
        elif t:
            waited += 1
        if waited == patience:
            break
    return best
"""
CHECKPOINT = """
def checkpoint(model, optimizer, schedule):
    return {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
        "random": lucidlite.random.get_state(),
    }
"""


def stop(old, new):
    assert old in STOP
    return STOP.replace(old, new)


def checkpoint(old, new=""):
    assert old in CHECKPOINT
    return CHECKPOINT.replace(old, new)


WRONG = [
    ("check_factor", factor("t / warmup", FALL), r"factor\(0, 5, 25\) is 0.0, not 0.2000. That is 0 at t = 0"),
    ("check_factor", factor(RISE, "(1 + math.cos(math.pi * t / total)) / 2"), "The cosine begins at t = warmup"),
    (
        "check_factor",
        factor(RISE, "(1 + math.cos(math.pi * (t - warmup) / total)) / 2"),
        "The way from warmup to total is total - warmup long",
    ),
    ("check_factor", factor(RISE, FALL[:-4]), r"factor\(5, 5, 25\) is 2.0, not 1.0000. Half of it"),
    ("check_factor", factor(RISE, FALL.replace("math.pi * ", "")), r"The cosine of p, or of π p\?"),
    ("check_factor", factor(RISE, "math.cos(math.pi * (t - warmup) / (total - warmup) / 2)"), "a quarter of a cosine"),
    ("check_factor", factor(RISE, "1 - (t - warmup) / (total - warmup)"), "That is a straight line"),
    ("check_factor", factor(FALL, FALL), r"factor\(0, 5, 25\) .*the cosine is not used yet"),
    ("check_factor", factor("1.0", FALL), "The warm-up has only begun"),
    ("check_factor", factor(RISE, "0.5"), "Draw it for t from 0 to total"),
    ("check_factor", factor(RISE, FALL.replace("math.cos", "cos")), "NameError"),
    ("check_best_epoch", "def best_epoch(losses, patience):\n    return losses.index(min(losses))\n", "never reached"),
    ("check_best_epoch", stop("return best", "return t"), "is 6, not 3. That is the epoch in which it stops"),
    (
        "check_best_epoch",
        "def best_epoch(losses, patience):\n    for t in range(1, len(losses)):\n"
        "        if losses[t] >= losses[t - 1]:\n            return t - 1\n    return len(losses) - 1\n",
        "at the first rise already",
    ),
    ("check_best_epoch", stop("best, waited = t, 0", "best = t"), "Begin to count anew"),
    ("check_best_epoch", stop("waited == patience", "waited > patience"), "It waits one epoch too long"),
    ("check_best_epoch", stop("return best", "return losses[best]"), "Return its number"),
    ("check_best_epoch", stop("return best", "return best + 1"), "Count epochs from 0"),
    ("check_best_epoch", stop("loss < losses[best]", "loss <= losses[best]"), "only equal is not better"),
    ("check_checkpoint", checkpoint('        "optimizer": optimizer.state_dict(),\n'), "first steps are far too long"),
    ("check_checkpoint", checkpoint('        "schedule": schedule.state_dict(),\n'), "the warm-up comes again"),
    ("check_checkpoint", checkpoint('        "random": lucidlite.random.get_state(),\n'), "would have another order"),
    ("check_checkpoint", checkpoint('        "model": model.state_dict(),\n'), "Without the weights"),
    ("check_checkpoint", checkpoint("lucidlite.random.get_state()", "0"), '"random" cannot be restored'),
    ("check_checkpoint", checkpoint("schedule.state_dict()", "schedule.t"), '"schedule" cannot be .*Keep schedule'),
    ("check_checkpoint", checkpoint("model.state_dict()", "list(model.parameters())"), '"model" cannot be restored'),
    ("check_checkpoint", checkpoint("model.state_dict()", "model.parameters"), "lucidlite.save says TypeError"),
    ("check_checkpoint", checkpoint("model.state_dict()", "begin(0)[0].state_dict()"), "the weights differ by 0"),
]
