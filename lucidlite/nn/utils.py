"""Keeping gradients in bounds: their norm, and clipping, between `backward` and the optimizer's step."""

import math
from typing import Any

from .. import backend, checks
from ..backend import raw, xp
from ..tensor import Tensor


def clip_grad_norm(
    parameters: Any, max_norm: float, norm_type: float = 2, eps: float = 1e-7, error_if_nonfinite: bool = True
) -> float:
    r"""Shorten all gradients by one factor, in place, if the norm of all together is greater than max_norm.

        (1)  c = \frac{m}{N + ε}
        (2)  g = c g

    where c is `factor`, m is `max_norm`, N is `norm` and ε is `eps`. The direction of the step stays.

    Args:
        parameters: Tensors, or one Tensor; those without a gradient are left out.
        max_norm: a number >= 0.
        norm_type: the p of the norm, a number > 0; `math.inf` for the largest absolute value.
        error_if_nonfinite: raise RuntimeError where a gradient is nan or infinite; False leaves all as they are.

    Returns:
        The norm before clipping. (In PyTorch the default is no error, and a single nan spreads to every parameter.)

    >>> w = nn.Parameter([3.0, 4.0])
    >>> (w * w / 2).sum().backward()
    >>> nn.utils.clip_grad_norm([w], max_norm=1.0), w.grad.round(5)
    (5.0, array([0.6, 0.8], dtype=float32))
    """
    max_norm, gradients = checks.number("clip_grad_norm: max_norm", max_norm), _gradients("clip_grad_norm", parameters)
    norm = get_total_norm(gradients, norm_type)
    if error_if_nonfinite and not math.isfinite(norm):
        shapes = [g.shape for g in gradients if not math.isfinite(get_total_norm(g))]
        hint = "look for log(0), 0/0 or too great a step"
        raise RuntimeError(f"clip_grad_norm: the norm is {norm}; gradients of shapes {shapes} are not finite, {hint}")
    if max_norm < norm < math.inf:
        factor = max_norm / (norm + eps)  # (1)
        for g in gradients:
            g *= factor  # (2)
    return norm


def clip_grad_value(parameters, clip_value):
    r"""Cut every element of every gradient, in place, off at -clip_value and at clip_value.

        (1)  g = \max(-c, \min(g, c))

    where c is `clip_value`.
    """
    clip_value = checks.number("clip_grad_value: clip_value", clip_value)
    for g in _gradients("clip_grad_value", parameters):
        xp(g).clip(g, -clip_value, clip_value, out=g)  # (1)


def grad_norm(parameters, norm_type: float = 2):
    """The norm of all gradients together, as a float."""
    return get_total_norm(_gradients("grad_norm", parameters), norm_type)


def get_total_norm(tensors, norm_type: float = 2):
    """The norm of all elements of these Tensors or arrays together, as a float; None among them is left out.

    As in PyTorch, it measures the tensors themselves; `grad_norm` measures their gradients.
    """
    p = checks.number("norm_type", norm_type, ends="(]")
    arrays = [raw(tensors)] if hasattr(tensors, "dtype") else [raw(t) for t in tensors if t is not None]
    return _norm(backend.array([_norm(array, p) for array in arrays], "float64"), p)


def _norm(g, p):
    r"""The p-norm of one array; for p = inf its limit, the largest absolute value.

        (1)  N = (\sum_i |g_i|^p)^{\frac{1}{p}}

    It is computed from g divided by its largest element, so that no power overflows.
    """
    size = xp(g).abs(g)
    largest = float(size.max()) if g.size else 0.0
    if p == math.inf or largest == 0 or not math.isfinite(largest):
        return largest
    return largest * float(((size / largest) ** p).sum(dtype="float64")) ** (1 / p)  # (1)


def _gradients(name, parameters):
    """The gradients of these parameters, each parameter once."""
    hint = "it takes what model.parameters() gives"
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    if not hasattr(parameters, "__iter__"):
        raise TypeError(f"{name}: parameters is a {type(parameters).__name__}; {hint}")
    parameters = list(dict.fromkeys(parameters))
    if wrong := [p for p in parameters if not isinstance(p, Tensor)]:
        raise TypeError(f"{name}: {wrong[0]!r} is a {type(wrong[0]).__name__}, not a Tensor; {hint}")
    return [p.grad for p in parameters if p.grad is not None]
