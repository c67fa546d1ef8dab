"""Wrong answers to the exercises of lesson 11, and what their checks must say."""


def attend(expression):
    return (
        f"def attend(query, key, value):\n    s = query @ key.T / np.sqrt(query.shape[-1])\n    return {expression}\n"
    )


def queries(expression):
    return f"def queries(length):\n    return {expression}\n"


def seen(expression):
    return f"def seen(length):\n    return {expression}\n"


WRONG = [
    ("check_attend", attend("softmax(query @ key.T) @ value"), "not divided by the root of d"),
    ("check_attend", attend("softmax(query @ key.T / query.shape[-1]) @ value"), "divided by d, not by its root"),
    ("check_attend", attend("softmax(s, 0) @ value"), "the wrong axis"),
    ("check_attend", attend("s @ value"), "The softmax is missing"),
    ("check_attend", attend("softmax(s)"), "These are the weights P"),
    ("check_attend", attend("np.exp(s) @ value"), "divide by their sum"),
    ("check_attend", attend("value @ softmax(s)"), "softmax along each row; times the values"),
    ("check_attend", attend("softmax(s)[0]"), r"It should be \(4, 4\), it is \(4,\)"),
    ("check_attend", attend("softmax(query @ key) @ value"), "divided by the root|ValueError|softmax along each row"),
    ("check_attend", attend("softmax(scores) @ value"), "NameError"),
    ("check_attend", attend("None"), "it returns None"),
    ("check_queries", queries("30 * np.eye(length)"), "looks at itself. Turn the order"),
    ("check_queries", queries("np.eye(length)[::-1]"), "a weight is 0.35. Use longer"),
    ("check_queries", queries("30 * np.roll(np.eye(length), 1, axis=1)"), "position 0 looks at 1, not at 3"),
    ("check_queries", queries("np.ones((length, length))"), "looks everywhere, with the weight 0.25"),
    ("check_queries", queries("np.arange(length)[::-1]"), r"has the shape \(4,\), not \(4, 4\)"),
    ("check_queries", queries("-30 * np.eye(length)[::-1]"), "position 0 looks at 0, not at 3"),
    ("check_queries", queries("'backwards'"), "ValueError"),
    ("check_queries", queries("length / 0"), "ZeroDivisionError"),
    ("check_queries", queries("..."), "it returns Ellipsis"),
    ("check_queries", queries("np.where(np.eye(length)[::-1], np.inf, 0)"), "holds nan or inf"),
    ("check_attend", attend("[[1.0], [1.0, 2.0]]"), "ValueError"),
    ("check_seen", seen("np.triu(np.ones((length, length), bool))"), "Rows and columns are exchanged"),
    ("check_seen", seen("np.tri(length, k=-1, dtype=bool)"), "position 0 may not look at itself. It may"),
    ("check_seen", seen("~np.tri(length, dtype=bool)"), "That is turned around"),
    ("check_seen", seen("np.ones((length, length), bool)"), "position 0 looks at position 1. That comes later"),
    ("check_seen", seen("np.eye(length, dtype=bool)"), "may not look at position 0, which came before"),
    ("check_seen", seen("np.tri(length)"), "holds float64, not bool"),
    ("check_seen", seen("np.tri(length, dtype=bool)[0]"), r"has the shape \(4,\)"),
    ("check_seen", seen("j <= i"), "NameError"),
    ("check_seen", seen("None"), "it returns None"),
]
