"""Is a gradient right? Compare it with central differences: the test of every op here, and of yours."""

import math
from collections.abc import Callable
from typing import Any

from . import autograd, backend, checks
from .grad_mode import enable_grad
from .tensor import Tensor


@enable_grad()
def gradcheck(
    function: Callable, *inputs: Any, order: int = 1, h: float = 1e-5, rtol: float = 1e-5, atol: float = 1e-7
) -> bool:
    """Check a function's gradients against central differences in float64: True, or a ValueError that says where.

    Each element of each floating input is moved by h to both sides (formula (1) of `_compare`), and the gradient must
    be the difference d to within rtol |d| + atol. The function takes Tensors and returns one or a tuple of them; it
    must be smooth within h of the inputs, and not random. The elements of its results are summed with the weights
    1 + cos 1, 1 + cos 2, ... With order 2 the gradients of the gradients are checked too.

    >>> lucidlite.gradcheck(lambda x: x**3, lucidlite.tensor([1.0, 2.0]), order=2)
    True

    Source: Nocedal and Wright, Numerical Optimization, 2nd ed., section 8.1.
    """
    checks.choice("gradcheck: order", order, (1, 2))
    checks.number("gradcheck: h", h, ends="()")
    copies = [Tensor(x, device=getattr(x, "device", "cpu")) for x in inputs]
    copies = [Tensor(x, True, "float64", x.device) if x.dtype.kind == "f" else x for x in copies]
    wanted = {i: x for i, x in enumerate(copies) if x.requires_grad}
    if not (callable(function) and wanted):
        raise TypeError(f"gradcheck: it takes a function, not {function!r}, and at least one floating input")

    def total():
        return _weighted(function(*copies))

    def slope():
        gradients = autograd.grad(total(), [*wanted.values()], create_graph=True, allow_unused=True)
        return _weighted([g for g in gradients if g is not None])

    _compare(total, wanted, "gradient", h, rtol, atol)
    if order == 2:
        _compare(slope, wanted, "second derivative", h, rtol, atol)
    return True


def _weighted(results):
    """One number made of all elements of the results, each with a weight of its own; it always has a graph."""
    total, n = Tensor(0.0, True, "float64"), 0
    for y in results if isinstance(results, (tuple, list)) else (results,):
        if not isinstance(y, Tensor):
            raise TypeError(f"gradcheck: the function returned {y!r}, a {type(y).__name__}; it must return Tensors")
        weights = Tensor([1 + math.cos(k) for k in range(n + 1, n + 1 + y.size)], False, "float64", y.device)
        total, n = total.to(y.device) + (y.reshape(-1) * weights).sum(), n + y.size
    return total


def _compare(total, wanted, what, h, rtol, atol):
    r"""Compare the gradients of all elements with differences, whose error is about h^2 f''' / 6 + 1e-16 f / h.

        (1)  d = \frac{f_+ - f_-}{2 h}

    where f_+ is `sides[0]` and f_- is `sides[1]`.
    """
    gradients = autograd.grad(total(), [*wanted.values()], allow_unused=True)
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
