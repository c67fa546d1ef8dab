"""Random graphs, shapes, indices, windows and equations: whatever the tables did not think of."""

import string

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from support import CLOSE, differences, host, make

import lucidlite

# ---- Random graphs with shared nodes, against a forward-mode evaluation ----------------------------------------------

WIDTH = 3
MIX = np.array([[0.5, -0.3, 0.2], [0.1, 0.4, -0.6], [-0.2, 0.3, 0.5]])


class Dual:
    """Forward mode: a value of shape (3,) and its derivatives by every element of every leaf, (3, all elements)."""

    def __init__(self, value, slopes):
        self.value, self.slopes = value, slopes

    def times(self, factor, value):
        return Dual(value, factor[:, None] * self.slopes)


def _product(a, b):
    return Dual(a.value * b.value, a.value[:, None] * b.slopes + b.value[:, None] * a.slopes)


def _sigmoid(a):
    return 1 / (1 + np.exp(-a))


GRAPH_OPS = {  # name: (how many nodes it takes, on Tensors, on Duals)
    "add": (2, lambda a, b: a + b, lambda a, b: Dual(a.value + b.value, a.slopes + b.slopes)),
    "sub": (2, lambda a, b: a - b, lambda a, b: Dual(a.value - b.value, a.slopes - b.slopes)),
    "multiply": (2, lambda a, b: a * b, _product),
    "tanh": (1, lambda a: a.tanh(), lambda a: a.times(1 - np.tanh(a.value) ** 2, np.tanh(a.value))),
    "sin": (1, lambda a: a.sin(), lambda a: a.times(np.cos(a.value), np.sin(a.value))),
    "sigmoid": (
        1,
        lambda a: a.sigmoid(),
        lambda a: a.times(_sigmoid(a.value) * (1 - _sigmoid(a.value)), _sigmoid(a.value)),
    ),
    "divide": (
        1,
        lambda a: 1 / (a * a + 1),
        lambda a: a.times(-2 * a.value / (a.value**2 + 1) ** 2, 1 / (a.value**2 + 1)),
    ),
    "mix": (1, lambda a: make(MIX) @ a, lambda a: Dual(MIX @ a.value, MIX @ a.slopes)),
    "mean": (
        1,
        lambda a: a.mean() + make(np.zeros(WIDTH)),
        lambda a: Dual(np.full(WIDTH, a.value.mean()), np.tile(a.slopes.mean(0), (WIDTH, 1))),
    ),
    "shuffle": (1, lambda a: a[[2, 0, 2]], lambda a: Dual(a.value[[2, 0, 2]], a.slopes[[2, 0, 2]])),
    "join": (
        2,
        lambda a, b: lucidlite.concatenate([a[1:], b[:1]]),
        lambda a, b: Dual(np.concatenate([a.value[1:], b.value[:1]]), np.concatenate([a.slopes[1:], b.slopes[:1]])),
    ),
}


@st.composite
def graphs(draw):
    """How many leaves, and steps (op, nodes it takes) where every node may be used any number of times."""
    leaves, steps = draw(st.integers(1, 3)), []
    for n in range(draw(st.integers(1, 12))):
        name = draw(st.sampled_from(sorted(GRAPH_OPS)))
        recent = st.integers(0, leaves + n - 1) | st.integers(max(0, leaves + n - 3), leaves + n - 1)
        steps.append((name, tuple(draw(recent) for _ in range(GRAPH_OPS[name][0]))))
    return leaves, steps


def run(graph, nodes, way):
    nodes = list(nodes)
    for name, sources in graph[1]:
        nodes.append(GRAPH_OPS[name][way](*(nodes[k] for k in sources)))
    return nodes[-1]


def leaves_of(graph):
    return np.random.default_rng(len(graph[1])).uniform(-1.5, 1.5, (graph[0], WIDTH))


@given(graphs())
@settings(max_examples=150)
def test_random_graphs_have_the_jacobian_of_a_forward_mode_evaluation(graph):
    values = leaves_of(graph)
    identity = np.eye(values.size).reshape(*values.shape, values.size)
    wanted = run(graph, [Dual(v, e) for v, e in zip(values, identity)], 2)
    leaves = [make(v, True) for v in values]
    y = run(graph, leaves, 1)
    np.testing.assert_allclose(host(y), wanted.value, rtol=1e-12, atol=1e-14)
    if not y.requires_grad:
        return
    rows = []
    for k in range(WIDTH):
        unit = make(np.eye(WIDTH)[k])
        found = lucidlite.grad(y, leaves, unit, retain_graph=True, allow_unused=True)
        recorded = lucidlite.grad(y, leaves, unit, create_graph=True, allow_unused=True)
        for g, h in zip(found, recorded):  # the same rules on Tensors: the same roundings
            assert (g is None) == (h is None)
            if g is not None:
                np.testing.assert_array_equal(host(g), host(h))
        rows.append(np.concatenate([np.zeros(WIDTH) if g is None else host(g) for g in found]))
    # Both are exact up to roundings, which a chain of twelve products of numbers around 1 multiplies a little.
    np.testing.assert_allclose(rows, wanted.slopes, rtol=1e-9, atol=1e-12)
    y.backward(make(np.ones(WIDTH)))
    filled = np.concatenate([np.zeros(WIDTH) if x.grad is None else host(x.grad) for x in leaves])
    np.testing.assert_allclose(filled, wanted.slopes.sum(0), rtol=1e-9, atol=1e-12)


@given(graphs())
@settings(max_examples=40)
def test_random_graphs_have_the_hessian_of_central_differences(graph):
    values, weights = leaves_of(graph), np.array([0.7, -1.1, 0.4])

    def slope(*moved, create_graph=False):
        leaves = [make(v, True) for v in moved]
        y = run(graph, leaves, 1)
        found = lucidlite.grad(y, leaves, make(weights), create_graph=create_graph, allow_unused=True)
        return leaves, sum((g * g).sum() for g in found if g is not None)

    leaves, total = slope(*values, create_graph=True)
    if getattr(total, "requires_grad", False):
        found = lucidlite.grad(total, leaves, allow_unused=True)
        wanted = differences(lambda *moved: float(slope(*moved)[1]), list(values))
        for g, h in zip(found, wanted):
            np.testing.assert_allclose(
                np.zeros(WIDTH) if g is None else host(g), h, rtol=1e-5, atol=1e-6
            )  # slopes of slopes of a deep graph


# ---- Broadcasting ----------------------------------------------------------------------------------------------------


def scattered(weights, shape):
    """For each element of an array of this shape, the sum of the weights of the places to which it is broadcast."""
    count = np.arange(int(np.prod(shape))).reshape(shape)
    flat = np.broadcast_to(count, weights.shape).ravel()
    return np.bincount(flat, weights.ravel(), minlength=count.size).reshape(shape) if count.size else np.zeros(shape)


@given(hnp.mutually_broadcastable_shapes(num_shapes=2, min_side=0, max_side=3, max_dims=4), st.integers(0, 99))
def test_any_two_shapes_that_broadcast_have_values_and_gradients(shapes, seed):
    random = np.random.default_rng(seed)
    a, b = (random.normal(size=s) for s in shapes.input_shapes)
    weights = random.normal(size=shapes.result_shape)
    x, w = make(a, True), make(b, True)
    y = x * w - x
    np.testing.assert_allclose(host(y), a * b - a)
    y.backward(make(weights))
    np.testing.assert_allclose(host(x.grad), scattered(weights * (b - 1), a.shape), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(host(w.grad), scattered(weights * a, b.shape), rtol=1e-9, atol=1e-12)


@given(hnp.mutually_broadcastable_shapes(num_shapes=3, min_side=0, max_side=3, max_dims=3), st.integers(0, 99))
def test_any_three_shapes_that_broadcast_go_through_where(shapes, seed):
    random = np.random.default_rng(seed)
    mask, a, b = (random.normal(size=s) for s in shapes.input_shapes)
    weights = random.normal(size=shapes.result_shape)
    x, w = make(a, True), make(b, True)
    y = lucidlite.where(make(mask > 0), x, w)
    np.testing.assert_array_equal(host(y), np.where(mask > 0, a, b))
    gx, gw = lucidlite.grad(y, [x, w], make(weights))
    np.testing.assert_allclose(host(gx), scattered(np.where(mask > 0, weights, 0), a.shape), atol=1e-12)
    np.testing.assert_allclose(host(gw), scattered(np.where(mask > 0, 0, weights), b.shape), atol=1e-12)


@given(
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
)
def test_shapes_that_do_not_broadcast_are_refused_by_name(left, right):
    try:
        np.broadcast_shapes(left, right)
    except ValueError:
        with pytest.raises(ValueError) as caught:
            make(np.zeros(left)) + make(np.zeros(right))
        assert f"a {left}" in str(caught.value) and f"b {right}" in str(caught.value)
    else:
        assert (make(np.zeros(left)) + make(np.zeros(right))).shape == np.broadcast_shapes(left, right)


# ---- Indexing --------------------------------------------------------------------------------------------------------

SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)


@st.composite
def indices(draw):
    shape = draw(SHAPES)
    kind = draw(st.sampled_from(["basic", "integers", "mask", "mixed"]))
    if kind == "basic":
        return shape, draw(hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True))
    if kind == "integers":
        return shape, draw(
            hnp.integer_array_indices(
                shape, result_shape=hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3)
            )
        )
    if kind == "mask":
        return shape, draw(hnp.arrays(bool, shape[: draw(st.integers(1, len(shape)))]))
    axis = draw(st.integers(0, len(shape) - 1))
    places = draw(st.lists(st.integers(-shape[axis], shape[axis] - 1), max_size=4))
    parts = [draw(st.slices(n)) for n in shape]
    return shape, (*parts[:axis], places, *parts[axis + 1 :])


def as_tensors(index):
    """The same index with its arrays as Tensors."""
    if isinstance(index, tuple):
        return tuple(as_tensors(part) for part in index)
    return make(index) if isinstance(index, np.ndarray) else index


@given(indices(), st.booleans(), st.integers(0, 99))
@settings(max_examples=200)
def test_indexing_is_numpys_and_its_gradient_puts_back(case, tensors, seed):
    shape, index = case
    a = np.random.default_rng(seed).normal(size=shape)
    x = make(a, True)
    y = x[as_tensors(index) if tensors else index]
    plain = (
        tuple(np.array(p, dtype=int) if isinstance(p, list) else p for p in index)
        if isinstance(index, tuple)
        else index
    )
    np.testing.assert_array_equal(host(y), a[plain])
    weights = np.random.default_rng(seed + 1).normal(size=y.shape)
    wanted = np.zeros(shape)
    np.add.at(wanted, plain, weights)
    (g,) = lucidlite.grad(y, [x], make(weights), create_graph=True)
    np.testing.assert_allclose(host(g), wanted, atol=1e-12)
    with lucidlite.no_grad():
        x[as_tensors(index) if tensors else index] = 7.0
    a[plain] = 7.0
    np.testing.assert_array_equal(host(x), a)


# ---- Moving elements: a chain of reshapes moves numbers, and its gradient moves them back ----------------------------


@st.composite
def chains(draw):
    """A shape and a chain of functions that only move elements, for Tensors and for arrays."""
    start = shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
    steps = []
    for _ in range(draw(st.integers(1, 6))):
        n = len(shape)
        kind = draw(st.sampled_from(["transpose", "reshape", "flip", "unsqueeze", "squeeze", "roll", "ravel"]))
        if kind == "transpose":
            axes = tuple(draw(st.permutations(range(n))))
            step = (lambda a, axes=axes: a.transpose(*axes) if axes else a.T, lambda a, axes=axes: a.transpose(axes))
        elif kind == "reshape":
            new = draw(st.permutations(shape)) + [1] * draw(st.integers(0, 1))
            step = (lambda a, new=new: a.reshape(*new) if new else a.reshape(()), lambda a, new=new: a.reshape(new))
        elif kind == "flip" and n:
            axis = draw(st.integers(-n, n - 1))
            step = (lambda a, axis=axis: a.flip(axis), lambda a, axis=axis: np.flip(a, axis))
        elif kind == "roll" and n:
            axis, by = draw(st.integers(-n, n - 1)), draw(st.integers(-5, 5))
            step = (lambda a, axis=axis, by=by: a.roll(by, axis), lambda a, axis=axis, by=by: np.roll(a, by, axis))
        elif kind == "unsqueeze":
            axis = draw(st.integers(-n - 1, n))
            step = (lambda a, axis=axis: a.unsqueeze(axis), lambda a, axis=axis: np.expand_dims(a, axis))
        elif kind == "squeeze":
            step = (lambda a: a.squeeze(), np.squeeze)
        else:
            step = (lambda a: a.ravel(), np.ravel)
        steps.append(step)
        shape = step[1](np.zeros(shape)).shape
    return start, steps


@given(chains())
@settings(max_examples=100)
def test_chains_of_moves_are_permutations_and_their_gradient_is_the_inverse(case):
    shape, steps = case
    places = np.arange(float(np.prod(shape))).reshape(shape)
    x = make(places, True)
    y, wanted = x, places
    for step in steps:
        y, wanted = step[0](y), step[1](wanted)
    np.testing.assert_array_equal(host(y), wanted)
    weights = np.random.default_rng(0).normal(size=wanted.shape)
    back = np.zeros(places.size)
    back[wanted.ravel().astype(int)] = weights.ravel()
    np.testing.assert_array_equal(host(lucidlite.grad(y, x, make(weights))), back.reshape(shape))


# ---- Windows and overlap_add are each other's transpose --------------------------------------------------------------


@st.composite
def window_cases(draw):
    n = draw(st.integers(1, 2))
    sides = (
        [draw(st.integers(1, 3)) for _ in range(n)],
        [draw(st.integers(1, 3)) for _ in range(n)],
        [draw(st.integers(1, 3)) for _ in range(n)],
    )
    size, stride, dilation = map(tuple, sides)
    lengths = tuple(d * (k - 1) + 1 + draw(st.integers(0, 4)) for k, d in zip(size, dilation))
    return draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=2)) + lengths, size, stride, dilation


@given(window_cases(), st.integers(0, 99))
@settings(max_examples=100)
def test_windows_and_overlap_add_are_adjoint_and_each_others_gradient(case, seed):
    """<windows(a), w> = <a, overlap_add(w)> for all a and w: what makes one the gradient of the other."""
    shape, size, stride, dilation = case
    random = np.random.default_rng(seed)
    x = make(random.normal(size=shape), True)
    y = lucidlite.windows(x, size, stride, dilation)
    w = make(random.normal(size=y.shape), True)
    back = lucidlite.overlap_add(w, shape, stride, dilation)
    assert back.shape == shape
    np.testing.assert_allclose((host(y) * host(w)).sum(), (host(x) * host(back)).sum(), rtol=1e-9, atol=1e-12)
    (g,) = lucidlite.grad(y, [x], w, create_graph=True)
    np.testing.assert_allclose(host(g), host(back), rtol=1e-12, atol=1e-14)
    v = make(random.normal(size=shape))
    np.testing.assert_allclose(
        host(lucidlite.grad(g, w, v)), host(lucidlite.windows(v, size, stride, dilation)), rtol=1e-12, atol=1e-14
    )


# ---- einsum ----------------------------------------------------------------------------------------------------------

LENGTHS = {"a": 2, "b": 3, "c": 1, "A": 2}


@st.composite
def equations(draw):
    """One to three operands of letters that repeat, occur once, or vanish; also with "...", or no arrow."""
    words = draw(st.lists(st.text("abcA", max_size=3), min_size=1, max_size=3))
    used = sorted(set("".join(words)))
    dots = draw(st.booleans())
    batch = draw(st.sampled_from([(), (2,), (1, 3)])) if dots else ()
    shapes = [
        batch[draw(st.integers(0, len(batch))) :] + tuple(LENGTHS[c] for c in word)
        if dots
        else tuple(LENGTHS[c] for c in word)
        for word in words
    ]
    equation = ",".join(("..." if dots else "") + word for word in words)
    if draw(st.booleans()) and used:
        chosen = draw(st.permutations(used))[: draw(st.integers(0, len(used)))]
        equation += "->" + ("..." if dots else "") + "".join(chosen)
    elif draw(st.booleans()) and not dots:
        equation += "->"
    return equation, shapes


@given(equations(), st.integers(0, 99))
@settings(max_examples=150)
def test_einsum_is_numpys_and_linear_in_each_operand(case, seed):
    equation, shapes = case
    random = np.random.default_rng(seed)
    arrays = [random.normal(size=s) for s in shapes]
    tensors = [make(a, True) for a in arrays]
    y = lucidlite.einsum(equation, *tensors)
    wanted = np.einsum(equation, *arrays)
    assert y.shape == wanted.shape
    np.testing.assert_allclose(host(y), wanted, rtol=1e-9, atol=1e-12)
    weights = random.normal(size=y.shape)
    found = lucidlite.grad(y, tensors, make(weights), create_graph=True)
    for k, (g, a) in enumerate(zip(found, arrays)):
        slopes = np.zeros(
            a.shape
        )  # linear in each operand: what a unit in one place gives is the derivative there, exactly
        for place in np.ndindex(a.shape):
            unit = np.zeros(a.shape)
            unit[place] = 1
            slopes[place] = (weights * np.einsum(equation, *arrays[:k], unit, *arrays[k + 1 :])).sum()
        np.testing.assert_allclose(host(g), slopes, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("ii->", [(3, 3)]),
        ("...ij,jk", [(2, 2, 3), (3, 2)]),
        ("iij,j", [(2, 2, 3), (3,)]),
        ("ba", [(2, 3)]),
        ("ij,kl->", [(2, 3), (2, 2)]),
        ("...,...", [(2, 3), (3,)]),
    ],
)
def test_second_derivatives_of_einsum(equation, shapes):
    random = np.random.default_rng(0)
    arrays = [random.normal(size=s) for s in shapes]

    def slope(*moved, create_graph=False):
        tensors = [make(a, True) for a in moved]
        y = lucidlite.einsum(equation, *tensors)
        found = lucidlite.grad((y * y).sum(), tensors, create_graph=create_graph)
        return tensors, sum((g * g).sum() for g in found)

    tensors, total = slope(*arrays, create_graph=True)
    for g, wanted in zip(lucidlite.grad(total, tensors), differences(lambda *moved: float(slope(*moved)[1]), arrays)):
        np.testing.assert_allclose(
            host(g), wanted, rtol=CLOSE["rtol"], atol=1e-5
        )  # sums of squares of products: numbers up to 1e4


def test_einsum_has_letters_for_every_axis_of_an_ellipsis():
    """Capitals in the equation must not be taken for the axes behind "..."."""
    a, c = np.random.default_rng(0).normal(size=(2, 3, 4)), np.random.default_rng(1).normal(size=(4, 2))
    np.testing.assert_allclose(host(lucidlite.einsum("...Z,ZA->...A", make(a), make(c))), a @ c)
    letters = string.ascii_lowercase[:10]
    assert lucidlite.einsum(f"{letters}->{letters[::-1]}", make(np.zeros((1,) * 10))).shape == (1,) * 10
