"""New tensors from nothing. Floats are float32 and whole numbers int64 unless a dtype is given."""

from . import autograd, backend


def _new(function, *args, dtype=None, requires_grad=False, device="cpu"):
    try:
        made = backend.create(function, device, *args, dtype=backend.dtype(dtype or "float32"))
    except (TypeError, ValueError, OverflowError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{function}({', '.join(map(repr, args))}): {error}") from None
    tensor = autograd.wrap(made)
    tensor.requires_grad = requires_grad
    return tensor


def zeros(*shape, dtype=None, requires_grad=False, device="cpu"):
    """Zeros; the shape as `zeros(2, 3)` or `zeros((2, 3))`."""
    return _new("zeros", backend.shape(shape), dtype=dtype, requires_grad=requires_grad, device=device)


def ones(*shape, dtype=None, requires_grad=False, device="cpu"):
    """Ones."""
    return _new("ones", backend.shape(shape), dtype=dtype, requires_grad=requires_grad, device=device)


def full(shape, fill_value, dtype=None, requires_grad=False, device="cpu"):
    """One value everywhere; its kind decides the dtype."""
    value = backend.array(getattr(fill_value, "_data", fill_value))
    if value.ndim:
        raise ValueError(f"full: the value has shape {value.shape}; it must be one number")
    dtype = dtype or value.dtype
    return _new("full", backend.shape((shape,)), value.item(), dtype=dtype, requires_grad=requires_grad, device=device)


def eye(n, m=None, k=0, dtype=None, requires_grad=False, device="cpu"):
    """An (n, m) matrix, (n, n) without m, of zeros with ones on its k-th diagonal."""
    return _new("eye", n, m, k, dtype=dtype, requires_grad=requires_grad, device=device)


def arange(*args, dtype=None, requires_grad=False, device="cpu"):
    """Numbers from start (0 unless given) to below stop, by step: `arange(stop)`, `arange(start, stop[, step])`.

    >>> lucidlite.arange(1, 7, 2).tolist()
    [1, 3, 5]
    """
    if not 1 <= len(args) <= 3:
        raise TypeError(f"arange: {len(args)} numbers; it takes stop, or start and stop, or start, stop and step")
    if len(args) == 3 and not args[2]:
        raise ValueError("arange: the step is 0; it would never reach the stop")
    args = [x.item() if hasattr(x, "item") else x for x in args]
    dtype = dtype or ("float32" if any(isinstance(x, float) for x in args) else "int64")
    return _new("arange", *args, dtype=dtype, requires_grad=requires_grad, device=device)


def linspace(start, stop, num=50, dtype=None, requires_grad=False, device="cpu"):
    """`num` numbers at equal distances from start to stop, both included."""
    return _new("linspace", start, stop, num, dtype=dtype, requires_grad=requires_grad, device=device)


def _like(function, a, dtype, requires_grad, device, *args):
    if not hasattr(a, "device"):
        raise TypeError(f"{function}_like: {a!r} is a {type(a).__name__}; it takes a Tensor")
    device, dtype = device or a.device, dtype or a.dtype
    return _new(function, a.shape, *args, dtype=dtype, requires_grad=requires_grad, device=device)


def zeros_like(a, dtype=None, requires_grad=False, device=None):
    """Zeros of the shape of a, and of its dtype and device unless others are given."""
    return _like("zeros", a, dtype, requires_grad, device)


def ones_like(a, dtype=None, requires_grad=False, device=None):
    """Ones of the shape of a, and of its dtype and device unless others are given."""
    return _like("ones", a, dtype, requires_grad, device)


def full_like(a, fill_value, dtype=None, requires_grad=False, device=None):
    """One value in the shape of a, in its dtype and on its device unless others are given."""
    return _like("full", a, dtype, requires_grad, device, fill_value)
