"""The drawing of a graph: what its list says, what its picture is made of, and that no graph is too large for it."""

import gc
import itertools
import re
import weakref
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from support import make

import lucidlite
from lucidlite import nn

SVG = "{http://www.w3.org/2000/svg}"


def boxes(drawing):
    """The line in each box."""
    return [text.text.rstrip() for text in ElementTree.fromstring(drawing._repr_svg_()).iter(SVG + "text")]


def places(drawing):
    """(left, top, right, bottom) of each box."""
    root = ElementTree.fromstring(drawing._repr_svg_())
    found = [[float(r.get(n, 0)) for n in ("x", "y", "width", "height")] for r in root.iter(SVG + "rect")]
    return [(x, y, x + width, y + height) for x, y, width, height in found]


@pytest.fixture
def mlp():
    """A network of two layers, and its loss."""
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1)).to(make(0.0).device)
    for i, p in enumerate(model.parameters()):
        p.data = make(np.full(p.shape, i + 1, "float32")).data
    return model, nn.functional.mse_loss(model(make(np.ones((1, 2), "float32"))), make(np.zeros((1, 1), "float32")))


LIST = """\
t1 = constant                      (1, 2)  [[1., 1.]]
0.weight = leaf                    (2, 2)  [[1., 1.], [1., 1.]]  grad [[168., 168.], [168., 168.]]
0.bias = leaf                      (2,)    [2., 2.]              grad [168., 168.]
t2 = linear(t1, 0.weight, 0.bias)  (1, 2)
t3 = relu(t2)                      (1, 2)  [[4., 4.]]
2.weight = leaf                    (1, 2)  [[3., 3.]]            grad [[224., 224.]]
2.bias = leaf                      (1,)    [4.]                  grad [56.]
t4 = linear(t3, 2.weight, 2.bias)  (1, 1)
t5 = sub(t4, …)                    (1, 1)  [[28.]]
t6 = power(t5, 2)                  (1, 1)
result = mean(t6, None, False)     ()      784."""


def test_the_list_of_a_two_layer_network_is_this_one(mlp):
    model, loss = mlp
    drawing = lucidlite.graph(loss, model)
    assert "grad" not in str(drawing)
    loss.backward()
    assert str(drawing) == LIST


def test_the_picture_has_a_box_for_each_line_of_the_list_with_its_numbers(mlp):
    model, loss = mlp
    drawing = lucidlite.graph(loss, model)
    loss.backward()
    assert boxes(drawing) == LIST.splitlines()
    root = ElementTree.fromstring(drawing._repr_svg_())
    assert root.get("role") == "img" and root.find(SVG + "title").text == "Graph of result, 11 boxes"
    assert "<text xml:space=" in drawing._repr_svg_(), "the columns would not line up"


def test_boxes_stand_apart_and_arrows_go_down_to_what_was_computed(mlp):
    x = make(np.float32(2), requires_grad=True)
    y = x * x
    for drawing in map(lucidlite.graph, (mlp[1], y.exp() * y / x + x, x.tanh() * x * y)):
        spots = places(drawing)
        assert all(above[3] < below[1] for above, below in itertools.pairwise(spots)), "two boxes overlap"
        root = ElementTree.fromstring(drawing._repr_svg_())
        left, top, width, height = map(float, root.get("viewBox").split())
        assert (width, height) == (float(root.get("width")), float(root.get("height")))
        assert all(left < a and top < b and c < left + width and d < top + height for a, b, c, d in spots)
        spot = dict(zip(drawing.steps, spots))
        wanted = [(spot[source], spot[step]) for step in drawing.steps for source in step.inputs]
        number = r"(-?[\d.]+)"
        arrows = re.findall(rf"M0 {number}C{number} \1 \2 {number} -1 \3m-6", root.find(SVG + "path").get("d"))
        assert len(arrows) == len(wanted)
        for (start, out, end), (source, step) in zip(np.array(arrows, float), wanted):
            assert source[1] < start < source[3] < step[1] < end < step[3]
            assert left < out < 0, "an arrow would go through a box"


def test_a_step_that_is_used_twice_is_one_step():
    x = make(np.float32(3), requires_grad=True)
    y = x * x
    drawing = lucidlite.graph(y + y.exp(), {"x": x, "y": y})
    assert [f"{step.name} = {step.text}" for step in drawing.steps] == [
        "x = leaf",
        "y = multiply(x, x)",
        "t1 = exp(y)",
        "result = add(y, t1)",
    ]
    assert len(boxes(drawing)) == len(str(drawing).splitlines()) == 4


def test_a_freed_graph_says_so_and_one_that_was_kept_shows_gradients():
    x = make(np.float32(3), requires_grad=True)
    y = x * x
    y.backward(retain_graph=True)
    assert "grad 6." in str(lucidlite.graph(y))
    y.backward()
    text = str(lucidlite.graph(y))
    assert text.startswith("result = freed by a backward pass") and "retain_graph" in text and "\n" not in text
    assert boxes(lucidlite.graph(y))[0].startswith("result = freed")


def test_a_result_without_a_graph_is_one_box():
    assert str(lucidlite.graph(make(np.float32(3)))) == "result = constant  ()  3."
    assert str(lucidlite.graph(make(np.float32(3), requires_grad=True))) == "result = leaf  ()  3."


def test_the_picture_takes_ink_and_paper_from_the_theme(mlp):
    text = lucidlite.graph(*reversed(mlp))._repr_svg_()
    colours = set(re.findall(r'(?:fill|stroke|color|background)[=:] ?"?([\w#]+)', text))
    assert colours == {"currentColor", "none", "CanvasText", "Canvas"}, "a fixed colour fails in one theme"
    assert "color-scheme: light dark" in text
    assert ElementTree.fromstring(text).tag == SVG + "svg"


@pytest.mark.parametrize("name", ["<b>&\"'", "]]>"])
def test_any_name_gives_xml(name):
    x = make(np.float32(3), requires_grad=True)
    assert boxes(lucidlite.graph(x * 2, {name: x}))[0].startswith(f"{name} = leaf  ")


def test_names_of_the_user_are_not_given_a_second_time():
    x = make(np.float32(3), requires_grad=True)
    assert [step.name for step in lucidlite.graph((x * 2).exp(), {"t1": x}).steps] == ["t1", "t2", "result"]


def test_of_many_numbers_the_list_gives_mean_and_deviation_also_of_none_and_nan():
    x = make(np.arange(5.0), requires_grad=True)
    empty, odd = make(np.zeros((0, 3))), make([np.inf, -np.inf, 0.0, 1.0, np.nan])
    assert "2 ± 1.41" in str(lucidlite.graph(x.sum()))
    assert "(0, 3)" in str(lucidlite.graph(empty)) and "nan" in str(lucidlite.graph(odd))


def test_of_a_large_graph_the_last_ops_are_drawn_and_nothing_recurses():
    x = make(np.float32(1), requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y + x
    drawing = lucidlite.graph(y)
    text = str(drawing).splitlines()
    assert text[0] == "… = earlier ops, limit=200"
    assert [line.split("  ")[0] for line in text[1:3]] == ["t1 = leaf", "t2 = add(…, t1)"] and len(text) == 202
    assert len(boxes(drawing)) == 202 and len(drawing._repr_svg_()) < 300_000
    assert len(lucidlite.graph(y, limit=2).steps) == 4
    square = x * x
    last = [f"{step.name} = {step.text}" for step in lucidlite.graph(square + square.exp(), limit=2).steps]
    assert last == ["… = earlier ops, limit=2", "t1 = exp(…)", "result = add(…, t1)"]


def test_a_drawing_keeps_no_tensor_and_no_array_alive():
    x = make(np.float32(1), requires_grad=True)
    y = x.exp()
    drawing, gone = lucidlite.graph(y), weakref.ref(x)
    gc.disable()
    try:
        del x, y
        assert gone() is None
    finally:
        gc.enable()
    assert "exp(t1)" in str(drawing)


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: lucidlite.graph([1.0]), TypeError, r"\[1.0\] is no Tensor"),
        (lambda: lucidlite.graph(make(1.0), limit=0), ValueError, "limit is 0"),
    ],
)
def test_a_graph_is_refused(call, kind, words):
    with pytest.raises(kind, match=words):
        call()


def test_the_name_of_the_function_stays_the_functions():
    import lucidlite.drawing

    assert lucidlite.graph is lucidlite.drawing.graph and "graph" in dir(lucidlite)
