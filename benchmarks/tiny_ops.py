"""A hundred small ops in a row, forward and backward: what an engine costs beyond the arithmetic."""

import functools

import numpy
import torch

import lucidlite

from .measure import race, row, timed

OPS = {
    "add": lambda y, w: y + w,
    "mul": lambda y, w: y * w,
    "matmul": lambda y, w: y @ w,
    "relu": lambda y, w: y.relu(),
}


def _operands():
    """A start, and for each op an operand that keeps the numbers near 1 for 100 steps: neither huge nor denormal."""
    normal = numpy.random.default_rng(0).standard_normal((2, 4, 4)).astype("float32")
    near_one, rotation = 1 + normal[1] / 100, numpy.linalg.qr(normal[1])[0]
    return normal[0], {"add": normal[1] / 100, "mul": near_one, "matmul": rotation, "relu": near_one}


def _chain(library, name, trained):
    """A function that computes and differentiates the chain, and returns its result and the gradients."""
    f, (start, operands) = OPS[name], _operands()
    x = library.tensor(start, requires_grad=True)
    w = library.tensor(operands[name], requires_grad=trained)

    def run():
        x.grad = w.grad = None
        y = x
        for _ in range(100):
            y = f(y, w)
        y.sum().backward()
        return y.detach(), x.grad, w.grad

    return run


def _compare(name, trained, seconds):
    ours, theirs = _chain(lucidlite, name, trained), _chain(torch, name, trained)
    for a, b in zip(ours(), theirs()):
        numpy.testing.assert_equal(a is None, b is None)
        if b is not None:
            numpy.testing.assert_allclose(numpy.asarray(a), b.numpy(), rtol=1e-3, atol=1e-5)
    return race(2.5 * seconds, timed(ours), torch=timed(theirs))


for _name in OPS:
    row(f"100 x {_name}, 4x4, forward and backward", 0.55)(functools.partial(_compare, _name, _name != "relu"))
for _name in ("add", "mul", "matmul"):
    row(f"100 x {_name}, 4x4, constant operand")(functools.partial(_compare, _name, False))
