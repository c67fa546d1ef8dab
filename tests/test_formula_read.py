"""Formulas, tags and bindings, as they stand in the source."""

# ruff: noqa: E501 (a case, or a class given as text, stands in one line)

import itertools
import linecache

import pytest

from lucidlite.formulas import FormulaError
from lucidlite.formulas.read import read

COUNT = itertools.count()


def made(text, name="f", **names):
    """What a cell of a notebook defines: source that only linecache knows."""
    filename = f"<cell {next(COUNT)}>"
    linecache.cache[filename] = len(text), None, text.splitlines(keepends=True), filename
    exec(compile(text, filename, "exec"), names)
    return names[name]


def function(formulas, *lines):
    return made(
        "\n".join([f"def f(x, n=1):\n    r'''A function.\n\n{formulas}\n    '''", *(f"    {line}" for line in lines)])
    )


def refusal(obj):
    with pytest.raises(FormulaError) as caught:
        read(obj)
    return str(caught.value)


def test_formulas_conditions_tags_and_bindings_are_read():
    f = function(
        "        (1)  z = 2 x\n        (2)  y = z                          if n, else -z\n\n    where z is `double`, 2.5 say.",
        "double = (",
        "    2 * x",
        ")  # (1)",
        "return double if n else -double  # (2)",
    )
    sheet = read(f)
    assert sheet.symbols == {"z": "double"}
    assert [(t.formula.number, t.node.lineno, t.node.end_lineno) for t in sheet.tagged] == [(1, 9, 11), (2, 12, 12)]
    assert sheet.formulas[2].condition_text == "n"
    assert sheet.formulas[2].other.python(sheet.symbols) == "-double"
    assert sheet.tagged[1].source == "return double if n else -double"


def test_a_long_formula_goes_on_in_a_deeper_line():
    f = function("        (1)  y = x\n             + 2 x\n             if n", "return 3 * x  # (1)")
    assert read(f).formulas[1].meaning.python({}) == "x + 2 * x"
    assert read(f).formulas[1].condition_text == "n"


def test_a_formula_in_a_deeper_line_is_one_of_its_own():
    f = function("        (1)  z = 2 x\n             (2)  y = z", "z = 2 * x  # (1)", "return z  # (2)")
    assert [x.text for x in read(f).formulas.values()] == ["z = 2 x", "y = z"]


def test_a_symbol_may_occur_in_a_condition_alone():
    f = function("        (1)  y = x    if μ > 0\n\n    where μ is `n`.", "return x  # (1)")
    assert eval(read(f).formulas[1].condition, {"n": 1}) is True


def test_a_tag_in_the_body_of_a_class_stands_behind_no_statement_that_computes():
    cls = made(
        "class C:\n    def f(self):\n        '''F.\n\n            (1)  y = 2\n        '''\n    y = 2  # (1)\n", "C"
    )
    assert "line 7 is tagged (1), but is no statement that computes" in refusal(cls)


def test_tags_in_strings_are_no_tags():
    f = function("        (1)  y = x", "text = 'z = 1  # (2)'", "return x  # (1)")
    assert [t.formula.number for t in read(f).tagged] == [1]


def test_lines_that_only_look_like_formulas_are_none():
    f = function("        (1)  y = x\n\n    Args: (2)  y = 3\n    (3) a note", "return x  # (1)")
    assert list(read(f).formulas) == [1]


def test_other_comments_may_stand_before_the_number():
    assert read(function("        (1)  y = x", "return x  # see page 3  # (1)")).tagged


def test_nested_functions_belong_to_the_object():
    cls = made(
        """class C:
    '''Rule.

        (1)  y = 2 x
    '''
    @staticmethod
    def rule(flag):
        def update(x):
            y = 2 * x  # (1)
            return y
        return update
""",
        "C",
    )
    assert read(cls).tagged[0].function.name == "update"


def test_a_method_with_formulas_of_its_own_keeps_its_tags():
    cls = made(
        """class C:
    '''Two sheets.

        (1)  y = 2 x
    '''
    def a(self, x):
        y = 2 * x  # (1)
        return y
    def b(self, x):
        '''Another.

            (1)  y = 3 x
        '''
        return 3 * x  # (1)
""",
        "C",
    )
    assert [t.node.lineno for t in read(cls).tagged] == [7]
    assert [t.node.lineno for t in read(cls.b).tagged] == [14]


def test_formulas_may_stand_in_the_docstring_of_the_only_method_that_has_them():
    cls = made(
        "class C:\n    def step(self, x):\n        '''Go.\n\n            (1)  y = 2 x\n        '''\n        return 2 * x  # (1)\n",
        "C",
    )
    assert read(cls).tagged[0].node.lineno == 7


def test_a_subclass_without_formulas_has_those_of_its_base():
    text = "class B:\n    '''B.\n\n        (1)  y = x\n    '''\n    def f(self, x):\n        return x  # (1)\nclass C(B):\n    def g(self): pass\n"
    assert read(made(text, "C")).tagged[0].node.lineno == 7


def test_classes_above_without_source_are_passed_over():
    from lucidlite.nn import Sequential

    assert refusal(Sequential).startswith("Sequential: it has no formulas")


def test_a_docstring_that_is_not_raw_is_recognised():
    f = made("def f(x):\n    '''F.\n\n        (1)  y = \\frac{x}{2}\n    '''\n    return x / 2  # (1)\n")
    assert "begin it with r" in refusal(f)


SENTENCES = {
    "a number twice": (("        (1)  y = x\n        (1)  y = 2 x", "return x  # (1)"), "formula (1) stands twice in the docstring"),
    "no tag": (("        (1)  y = x\n        (2)  z = x", "return x  # (1)"), "formula (2) has no tag"),
    "no formula": (("        (1)  y = x", "z = x  # (2)", "return x  # (1)"), "line 6 is tagged (2), but there is no formula (2)"),
    "no statement": (("        (1)  y = x", "# (1)", "return x"), "line 6 is tagged (1), but is no statement"),
    "a header": (("        (1)  y = x", "if n:  # (1)", "    return x"), "line 6 is tagged (1), but is no statement"),
    "a def": (("        (1)  y = x", "def g():  # (1)", "    return x"), "line 6 is tagged (1), but is no statement"),
    "two tags": (("        (1)  y = x\n        (2)  z = x", "z = x  # (1), (2)"), "formula (1) has no tag; end the line that computes it"),
    "one statement, two lines": (
        ("        (1)  y = x\n        (2)  z = x", "z = (  # (1)", "    x)  # (2)"), "line 8 is tagged (2), but its statement has a tag already"),
    "two statements": (("        (1)  y = x", "z = x; y = x  # (1)"), "line 6 is tagged (1), but holds more than one statement"),
    "behind a header": (("        (1)  y = x", "if n: y = x  # (1)"), "line 6 is tagged (1), but holds more than one statement"),
    "no LaTeX": (("        (1)  y = x / n x", "return x  # (1)"), "formula (1): cannot read the formula 'y = x / n x': at position 10"),
    "no condition": (("        (1)  y = x    when n", "return x  # (1)"), "'y = x    when n': at position 10, 'hen', expected a space between factors"),
    "no Python": (("        (1)  y = x    if n of m", "return x  # (1)"), "formula (1): invalid syntax (the condition 'n of m', line 1)"),
    "a binding of nothing": (("        (1)  y = x\n\n    where q is `x`.", "return x  # (1)"), "q is `x`, but no formula has q"),
    "a binding to no Python": (("        (1)  y = x\n\n    where x is `a b`.", "return x  # (1)"), "cannot read 'x is `a b`'"),
    "nothing": (("", "return x"), "f: it has no formulas; write them into its docstring"),
}  # fmt: skip


@pytest.mark.parametrize("case", SENTENCES)
def test_bad_source_has_a_sentence_of_its_own(case):
    parts, sentence = SENTENCES[case]
    message = refusal(function(*parts))
    assert sentence in message
    assert message.startswith("f")
