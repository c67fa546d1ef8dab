"""Is a gradient right? Compare it with central differences: the test of every op here, and of yours."""

import math
from collections.abc import Callable
from typing import Any

from . import autograd, backend
from .grad_mode import enable_grad
from .tensor import Tensor


@enable_grad()
def gradcheck(
    function: Callable, *inputs: Any, order: int = 1, h: float = 1e-5, rtol: float = 1e-5, atol: float = 1e-7
) -> bool:
    r"""Check a function's gradients against central differences in float64: True, or a ValueError that says where.

        d = \frac{f(x + h) - f(x - h)}{2 h}

    for each element x of each floating input (formula (1) of `_compare`). A result of several elements is first summed
    with the weights 1 + cos 1, 1 + cos 2, ...

    Args:
        function: takes Tensors, returns a Tensor or a tuple of them; smooth within h of the inputs, not random.
        inputs: Tensors, or arrays; they stay as they are.
        order: 2 checks the gradients of the gradients too.
        h: half the distance between the two evaluations; the error of d is about h^2 f''' / 6 + 1e-16 f / h.
        rtol: how far the gradient may be from d, relative to |d|,
        atol: and besides.

    >>> lucidlite.gradcheck(lambda x: x**3, lucidlite.tensor([1.0, 2.0]), order=2)
    True

    Source: Nocedal and Wright, Numerical Optimization, 2nd ed., section 8.1.
    """
    if order not in (1, 2):
        raise ValueError(f"gradcheck: order is {order!r}; it must be 1 or 2")
    if not (0 < h < math.inf and rtol >= 0 and atol >= 0):
        raise ValueError(f"gradcheck: h={h}, rtol={rtol}, atol={atol}; h must be above 0, the others not below it")
    if not callable(function):
        raise TypeError(f"gradcheck: function is {function!r}; it must be a function of Tensors")
    copies = [Tensor(x, device=getattr(x, "device", "cpu")) for x in inputs]
    copies = [Tensor(x, True, "float64", x.device) if x.dtype.kind == "f" else x for x in copies]
    wanted = {i: x for i, x in enumerate(copies) if x.requires_grad}
    if not wanted:
        raise ValueError("gradcheck: no input is floating; there is nothing to differentiate")

    def total():
        return _weighted(function(*copies))

    def slope():
        gradients = autograd.grad(total(), [*wanted.values()], create_graph=True, allow_unused=True)
        return _weighted(tuple(g for g in gradients if g is not None))

    _compare(total, wanted, "gradient", h, rtol, atol)
    if order == 2 and total().requires_grad:
        _compare(slope, wanted, "second derivative", h, rtol, atol)
    return True


def _weighted(results):
    """One number made of all elements of the results, each with a weight of its own."""
    total, n = Tensor(0.0, dtype="float64"), 0
    for y in results if isinstance(results, (tuple, list)) else (results,):
        if not isinstance(y, Tensor):
            raise TypeError(f"gradcheck: the function returned {y!r}, a {type(y).__name__}; it must return Tensors")
        weights = [1 + math.cos(k) for k in range(n + 1, n + 1 + y.size)]
        total = total.to(y.device) + (y.reshape(-1) * Tensor(weights, dtype="float64", device=y.device)).sum()
        n += y.size
    return total


def _compare(total, wanted, what, h, rtol, atol):
    r"""Compare the gradients of all elements with differences.

        (1)  d = \frac{f_+ - f_-}{2 h}

    where f_+ is `sides[0]` and f_- is `sides[1]`.
    """
    value = total()
    gradients = [None] * len(wanted)  # where the value depends on no input in the engine's eyes: all are 0
    if value.requires_grad:
        gradients = autograd.grad(value, [*wanted.values()], allow_unused=True)
    for (number, x), g in zip(wanted.items(), gradients):
        for index in backend.indices(x.shape):
            found = 0.0 if g is None else g.data[index].item()
            center, sides = x.data[index].item(), []
            for place in (center + h, center - h):
                x.data[index] = place
                sides.append(float(total()))
            x.data[index] = center
            d = (sides[0] - sides[1]) / (2 * h)  # (1)
            if not abs(found - d) <= atol + rtol * abs(d):
                where = f"{what} of input {number} at {index}"
                raise ValueError(f"gradcheck: {where}: the rules give {found:.9g}, central differences {d:.9g}")
