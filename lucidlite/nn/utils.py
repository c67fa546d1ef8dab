"""Keeping gradients in bounds, between `backward` and the optimizer's step; and all parameters as one vector."""

import math

from .. import backend, checks, ops
from ..tensor import Tensor


def clip_grad_norm(parameters, max_norm: float, norm_type: float = 2, eps: float = 1e-7, error_if_nonfinite=True):
    r"""Shorten all gradients by one factor, in place, if the norm of all together is over max_norm, a number >= 0.

        (1)  c = \frac{m}{N + ε}
        (2)  g = c g

    where c is `factor`, m is `max_norm`, N is `norm` and ε is `eps`. Returns the norm before clipping; `norm_type` is
    its p, see `get_total_norm`. A gradient that is nan or infinite is an error, or leaves all as they are."""
    max_norm, gradients = checks.number("clip_grad_norm: max_norm", max_norm), _gradients("clip_grad_norm", parameters)
    norm = get_total_norm(gradients, norm_type)
    if error_if_nonfinite and not math.isfinite(norm):
        raise RuntimeError(f"clip_grad_norm: the norm is {norm}; look for log(0), 0/0 or too great a step")
    if max_norm < norm < math.inf:
        factor = max_norm / (norm + eps)  # (1)
        for g in gradients:
            g *= factor  # (2)
    return norm


def clip_grad_value(parameters, clip_value: float):
    r"""Cut every element of every gradient off, in place, so that it is between -c and c, where c is `clip_value`.

    (1)  g = \max(-c, \min(g, c))"""
    clip_value = checks.number("clip_grad_value: clip_value", clip_value)
    for g in _gradients("clip_grad_value", parameters):
        backend.xp(g).clip(g, -clip_value, clip_value, out=g)  # (1)


def grad_norm(parameters, norm_type: float = 2):
    """The norm of all gradients together, as a float."""
    return get_total_norm(_gradients("grad_norm", parameters), norm_type)


def get_total_norm(tensors, norm_type: float = 2):
    r"""The norm of all elements of these Tensors or arrays together, not of their gradients; None is left out.

        (1)  N = (\sum_i |g_i|^p)^{\frac{1}{p}}

    For p = inf that is the largest |g|. It is computed from |g| divided by its largest element: no power overflows."""
    p = checks.number("norm_type", norm_type, ends="(]")
    flat = [backend.raw(t).ravel() for t in ([tensors] if hasattr(tensors, "dtype") else tensors) if t is not None]
    g = backend.xp(*flat).concatenate(flat) if flat else backend.array([])
    size = abs(g)
    largest = float(size.max()) if g.size else 0.0
    if p == math.inf or not 0 < largest < math.inf:
        return largest
    return largest * float(((size / largest) ** p).sum(dtype="float64")) ** (1 / p)  # (1)


def _gradients(name, parameters):
    several = hasattr(parameters, "__iter__") and not isinstance(parameters, Tensor)
    found = list(dict.fromkeys(parameters if several else [parameters]))
    if wrong := [type(p).__name__ for p in found if not isinstance(p, Tensor)]:
        raise TypeError(f"{name}: parameters: there is a {wrong[0]}; it takes the Tensors of model.parameters()")
    return [p.grad for p in found if p.grad is not None]


def parameters_to_vector(parameters):
    """The elements of all these Parameters one behind the other, (n,), in the graph."""
    return ops.concatenate([p.ravel() for p in parameters])


def vector_to_parameters(vec, parameters):
    """Copy a vector (n,), as `parameters_to_vector` gives it, back into the Parameters."""
    parameters = list(parameters)
    for p, part in zip(parameters, ops.split(vec, [p.size for p in parameters])):
        p.data = part.reshape(p.shape)
