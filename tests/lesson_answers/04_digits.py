"""Wrong answers to the exercises of lesson 4, and what their checks must say."""


def confusion(*lines):
    first = ["def confusion(truth, answers):", "table = np.zeros((10, 10), int)"]
    return "\n    ".join([*first, *lines, "return table\n"])


def accuracy(*lines, result="right / number", first="@lucidlite.no_grad()\n"):
    loop = ["right = number = 0", "for pixels, truth in batches:", *COUNT]
    return first + "\n    ".join(["def accuracy(model, batches):", *(lines or loop), f"return {result}\n"])


COUNT = ["    right += (model(pixels).argmax(axis=1) == truth).sum().item()", "    number += len(truth)"]
WHOLE = ["model.eval()", "right = number = 0", "for pixels, truth in batches:", *COUNT, "model.train()"]
MEANS = "[(model(pixels).argmax(axis=1) == truth).mean().item() for pixels, truth in batches]"
LOOP = "for i, j in zip(truth, answers):"

WRONG = [
    ("check_confusion", confusion(LOOP, "    table[j, i] += 1"), "rows and columns are exchanged"),
    ("check_confusion", confusion("table[truth, answers] += 1"), "3 was read as 8 twice, you count 1"),
    ("check_confusion", confusion(LOOP, "    table[i, j] += i != j"), "0 was read as 0 1 times, your table says 0"),
    (
        "check_confusion",
        "def confusion(truth, answers):\n    return np.array([[3, 8], [1, 2]])\n",
        r"shape is \(2, 2\); there are ten digits",
    ),
    ("check_confusion", "def confusion(truth, answers):\n    print(truth)\n", "returns nothing yet; np.zeros"),
    ("check_confusion", confusion("table[3, 8] = len(answers)"), "0 was read as 0 1 times, your table says 0"),
    ("check_confusion", confusion("table[10, 0] += 1"), "it raises IndexError"),
    ("check_confusion", "def confusion(truth, answers):\n    return 'table'\n", r"shape is \(\)"),
    ("check_accuracy", accuracy(), "it returns 0.0, but dropout was on"),
    ("check_accuracy", accuracy(*WHOLE[:-1]), "does not train any more"),
    ("check_accuracy", accuracy(*WHOLE, first=""), "every result remembers"),
    (
        "check_accuracy",
        accuracy("model.eval()", f"means = {MEANS}", "model.train()", result="sum(means) / 2"),
        "add up first",
    ),
    ("check_accuracy", accuracy(*WHOLE, result="right"), "it returns 3"),
    ("check_accuracy", accuracy(*WHOLE, result="100 * right / number"), "it returns 75.0; 3 of 4 images"),
    ("check_accuracy", accuracy(*WHOLE, result="lucidlite.tensor(right / number)"), "returns Tensor.*; .item"),
    ("check_accuracy", accuracy("pass", result="0.75"), "never asked"),
    ("check_accuracy", accuracy(*WHOLE, result="accurate"), "it raises NameError.*loop over the batches"),
    ("check_accuracy", "def accuracy(model, batches):\n    model.eval()\n", "returns nothing yet"),
]
