"""Backward hooks see what PyTorch's see, and `summary` counts right and leaves no trace."""

import gc
import weakref

import numpy as np
import pytest
from support import DEVICE, host, make

import lucidlite
from lucidlite import nn


class Two(nn.Module):
    """Two tensors in, two tensors out, and something that is no tensor on either side."""

    def forward(self, a, b, factor):
        return a * b * factor, a + b, factor


def watched(module):
    """The module, and the list of (grad_input, grad_output) that its backward hook is going to see."""
    module, seen = module.to(DEVICE), []

    def hook(owner, grad_input, grad_output):
        assert owner is module
        seen.append((grad_input, grad_output))

    return module, seen, module.register_full_backward_hook(hook)


# ---- Backward hooks --------------------------------------------------------------------------------------------------


def test_a_backward_hook_sees_the_gradients_at_both_ends_of_a_call():
    module, seen, _ = watched(nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)))
    x = make([[1.0, 2.0], [3.0, 4.0]], True)
    y = module(x)
    (y * make([[1.0, 2.0], [3.0, 4.0]])).sum().backward()
    ((grad_input,), (grad_output,)), = seen  # fmt: skip
    np.testing.assert_array_equal(host(grad_output), [[1, 2], [3, 4]])
    np.testing.assert_array_equal(host(grad_input), host(x.grad))
    expected = lucidlite.grad((module.forward(x) * make([[1.0, 2.0], [3.0, 4.0]])).sum(), x)
    np.testing.assert_allclose(host(grad_input), host(expected), rtol=1e-6)


def test_a_backward_hook_gets_all_arguments_and_all_outputs_at_once():
    """Numbers as PyTorch 2.13 gives them: a = 2, b = 3, factor 10, and r = 1 * a b factor + 5 * (a + b)."""
    module, seen, _ = watched(Two())
    a, b = make([2.0], True), make([3.0], True)
    product, total, factor = module(a, b, 10.0)
    assert factor == 10.0
    (product + 5 * total).sum().backward()
    assert [[None if g is None else g.tolist() for g in end] for end in seen[0]] == [
        [[35.0], [25.0], None],
        [[1.0], [5.0], None],
    ]
    assert len(seen) == 1 and (a.grad.tolist(), b.grad.tolist()) == ([35.0], [25.0])


def test_an_output_that_is_not_used_and_an_input_without_gradient_are_none():
    module, seen, _ = watched(Two())
    a, b = make([2.0], True), make([3.0])
    module(a, b, 10.0)[0].sum().backward()
    (grad_input, grad_output), = seen  # fmt: skip
    assert grad_input[0].tolist() == [30.0] and grad_input[1:] == (None, None)
    assert grad_output[0].tolist() == [1.0] and grad_output[1:] == (None, None)


def test_without_an_input_that_needs_a_gradient_the_hook_runs_at_the_outputs():
    module, seen, _ = watched(nn.Linear(2, 2))
    module(make([[1.0, 2.0]])).sum().backward()
    assert len(seen) == 1 and seen[0][0] == (None,) and seen[0][1][0].tolist() == [[1.0, 1.0]]
    assert module.weight.grad.tolist() == [[1.0, 2.0], [1.0, 2.0]]


def test_a_backward_hook_runs_once_for_each_call_and_each_pass():
    module, seen, handle = watched(nn.Tanh())
    x = make([0.5], True)
    y = module(module(x))
    y.sum().backward(retain_graph=True)
    assert len(seen) == 2 and seen[1][1][0].tolist() == seen[0][0][0].tolist()  # the second call comes first
    y.sum().backward()
    assert len(seen) == 4 and seen[2][0][0].tolist() == seen[0][0][0].tolist()
    handle.remove()
    module(x).sum().backward()
    assert len(seen) == 4


def test_backward_hooks_see_tensors_in_a_pass_that_is_itself_recorded():
    module, seen, _ = watched(nn.Tanh())
    x = make([0.5], True, "float64")
    (first,) = lucidlite.grad([module(x).sum()], [x], create_graph=True)
    (second,) = lucidlite.grad([first.sum()], [x])
    t = np.tanh(0.5)
    np.testing.assert_allclose(second.tolist(), [-2 * t * (1 - t * t)], rtol=1e-12)
    assert isinstance(seen[0][0][0], lucidlite.Tensor)


def test_a_call_with_backward_hooks_is_freed_without_the_garbage_collector():
    """The hooks' closures used to hold the tensors whose graph held them."""
    module, seen, _ = watched(nn.Linear(2, 2))
    gc.disable()
    try:
        x = make([[1.0, 2.0]], True)
        y = module(x)
        y.sum().backward(retain_graph=True)
        gone = weakref.ref(x), weakref.ref(y)
        del x, y
        assert len(seen) == 1 and [tensor() for tensor in gone] == [None, None]
    finally:
        gc.enable()


def test_backward_hooks_do_nothing_where_no_graph_is_recorded():
    module, seen, _ = watched(nn.Linear(2, 2))
    with lucidlite.no_grad():
        module(make([[1.0, 2.0]], True))
    assert seen == []


# ---- Summary ---------------------------------------------------------------------------------------------------------


class Noisy(nn.Module):
    """Changes all that it can in its forward: a buffer in place and by name, an attribute, the random stream."""

    def __init__(self):
        super().__init__()
        self.layer, self.drop = nn.Linear(3, 2), nn.Dropout(0.5)
        self.register_buffer("mean", make([1.0]))
        self.register_buffer("count", make([1]))
        self.scale, self.last = nn.Parameter([2.0]), None

    def forward(self, x):
        self.mean[...] = 5.0
        self.count, self.added = self.count + 1, True
        self.last = self.drop(self.layer(x)) * self.scale + lucidlite.randn(2, device=DEVICE)
        return self.last


def test_summary_counts_parameters_shapes_and_bytes():
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Sequential({"flat": nn.Flatten(), "out": nn.Linear(3, 2)})).to(
        DEVICE
    )
    found = model.summary((5, 4))
    assert found.rows == [
        ("Sequential", "(5, 2)", 0, 0),
        ("0 Linear", "(5, 3)", 15, 4 * (15 + 15)),
        ("1 ReLU", "(5, 3)", 0, 4 * 15),
        ("2 Sequential", "(5, 2)", 0, 0),  # it passes on what its last module made
        ("2.flat Flatten", "(5, 3)", 0, 0),  # a view
        ("2.out Linear", "(5, 2)", 8, 4 * (8 + 10)),
        ("sum", "", 23, 4 * (23 + 40)),
    ]
    lines = str(found).splitlines()
    assert lines[0].split() == ["layer", "output", "shape", "parameters", "bytes"]
    assert lines[2].split() == ["0", "Linear", "(5,", "3)", "15", "120"] and len({len(line) for line in lines}) == 1


def test_summary_counts_what_is_shared_once_and_every_call_of_a_layer():
    layer = nn.Linear(3, 3)
    model = nn.Sequential(layer, layer).to(DEVICE)
    found = model.summary((2, 3))
    assert found.rows[1:] == [("0 Linear", "(2, 3)", 12, 4 * (12 + 6 + 6)), ("sum", "", 12, 4 * 24)]
    tied = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)).to(DEVICE)
    tied[1].weight = tied[0].weight
    assert [row[2] for row in tied.summary((2, 3)).rows] == [0, 12, 3, 15]


def test_summary_leaves_no_trace():
    model = nn.Sequential(Noisy(), nn.Tanh()).to(DEVICE)
    model[1].eval()
    calls = []
    model.register_forward_hook(lambda *args: calls.append(args))
    mean, stream, version = model[0].mean, lucidlite.random.get_state(), model[0].mean * model[0].scale
    before = [dict(vars(module)) for module in model.modules()]
    assert model.summary((4, 3)).rows[1][1] == "(4, 2)"
    assert before == [vars(module) for module in model.modules()] and lucidlite.random.get_state() == stream
    assert model[0].mean is mean and mean.tolist() == [1.0] and model[0].count.tolist() == [1] and calls == []
    assert [module.training for module in model.modules()] == [True, True, True, True, False]
    assert lucidlite.grad_enabled() and version.requires_grad
    model(make(np.ones((1, 3), "float32")))
    assert len(calls) == 1  # the hook is there again


def test_summary_leaves_no_trace_when_the_forward_fails():
    model = nn.Sequential(Noisy(), nn.Linear(9, 9)).to(DEVICE)
    stream = lucidlite.random.get_state()
    with pytest.raises(ValueError, match="linear: input_"):
        model.summary((4, 3))
    assert model.training and model[0].last is None and model[0].mean.tolist() == [1.0]
    assert lucidlite.random.get_state() == stream and lucidlite.grad_enabled()


def test_summary_takes_a_dtype_and_otherwise_that_of_the_parameters():
    class Rows(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Parameter(np.ones((4, 3), "float64"))

        def forward(self, index):
            return self.table[index]

    assert Rows().to(DEVICE).summary((2, 2), dtype="int64").rows[0] == ("Rows", "(2, 2, 3)", 12, 8 * 24)
    assert nn.Linear(2, 2).to("float64").to(DEVICE).summary((1, 2)).rows[0][3] == 8 * (6 + 2)
    assert nn.Tanh().summary((2,)).rows[0] == ("Tanh", "(2,)", 0, 8)
    assert nn.Dropout(0.5).summary((2,)).rows[0] == ("Dropout", "(2,)", 0, 0)  # in evaluation it passes its input on
