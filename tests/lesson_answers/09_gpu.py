"""Wrong answers to the exercises of lesson 9, and what their checks must say."""

MEASURE = """
def measure_well(work, clock, wait):
    work()
    wait()
    times = []
    for _ in range(5):
        start = clock()
        work()
        wait()
        times.append(clock() - start)
    return median(times)
"""
CROSSOVER = """
def crossover(fixed_1, speed_1, fixed_2, speed_2):
    later, saved = fixed_2 - fixed_1, 1 / speed_1 - 1 / speed_2
    if saved <= 0:
        return 0.0 if saved == 0 and later < 0 else INF
    return max(0.0, later / saved)
"""


def changed(source, old, new):
    assert old in source
    return source.replace(old, new)


WRONG = [
    ("check_measure_well", "measure_well = lambda work, clock, wait: ...", "It should return seconds"),
    ("check_measure_well", changed(MEASURE, "        wait()\n", ""), "Call wait"),
    ("check_measure_well", changed(MEASURE, "median(times)", "sum(times) / 5"), "take the median"),
    (
        "check_measure_well",
        changed(MEASURE, "median(times)", "sum(times[:1])").replace("range(5)", "range(1)"),
        "2 times",
    ),
    ("check_measure_well", changed(MEASURE, "median(times)", "max(times)"), "That is the slowest"),
    ("check_measure_well", changed(MEASURE, "clock() - start", "start - clock()"), "Wait before the clock starts"),
    ("check_measure_well", changed(MEASURE, "median(times)", "min(times)"), "That is the fastest"),
    ("check_measure_well", changed(MEASURE, "median(times)", "sum(times)"), "the time of all five"),
    ("check_crossover", changed(CROSSOVER, "0.0 if saved == 0 and later < 0 else INF", "INF"), "it always wins"),
    ("check_crossover", "crossover = lambda *given: None", "Return a number"),
    ("check_crossover", changed(CROSSOVER, "1 / speed_1 - 1 / speed_2", "speed_2 - speed_1"), "should be"),
    (
        "check_crossover",
        changed(CROSSOVER, "    if saved <= 0:\n        return 0.0 if saved == 0 and later < 0 else INF\n", ""),
        "Equal speeds never meet",
    ),
    ("check_crossover", changed(CROSSOVER, "max(0.0, later / saved)", "later / saved"), "it always wins"),
    ("check_crossover", changed(CROSSOVER, "fixed_2 - fixed_1", "fixed_2"), "has a fixed cost too"),
    ("check_memory", "memory = lambda n, momentum, centered: None", "Return a number of bytes"),
    ("check_memory", "memory = lambda n, momentum, centered: n * (3 + momentum + centered)", "has 4 bytes"),
    ("check_memory", "memory = lambda n, momentum, centered: 8 * n * (3 + momentum + centered)", "4 bytes, not 8"),
    (
        "check_memory",
        "memory = lambda n, momentum, centered: 4 * n * (2 + momentum + centered)",
        "One array is missing",
    ),
    ("check_memory", "memory = lambda n, momentum, centered: 4 * n * 5", "Count the arrays"),
]
