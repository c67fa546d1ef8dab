"""New tensors from nothing. Floats are float32 and whole numbers int64 unless a dtype is given."""

from . import autograd, backend
from .checks import composed


def wrapped(array, requires_grad):
    """A new tensor around a new array."""
    tensor = autograd.wrap(array)
    tensor.requires_grad = requires_grad
    return tensor


def _new(function, dtype, requires_grad, device, *args):
    try:
        made = backend.create(function, device, *args, dtype=backend.dtype(dtype or "float32"))
    except (TypeError, ValueError, ArithmeticError) as error:
        raise (TypeError if isinstance(error, TypeError) else ValueError)(f"{function}{args}: {error}") from None
    return wrapped(made, requires_grad)


def zeros(*shape, dtype=None, requires_grad=False, device="cpu"):
    """Zeros; the shape as `zeros(2, 3)` or `zeros((2, 3))`."""
    return _new("zeros", dtype, requires_grad, device, backend.whole_numbers(shape))


def ones(*shape, dtype=None, requires_grad=False, device="cpu"):
    """Ones."""
    return _new("ones", dtype, requires_grad, device, backend.whole_numbers(shape))


def full(shape, fill_value, dtype=None, requires_grad=False, device="cpu"):
    """One value everywhere; its kind decides the dtype."""
    value = backend.array(backend.raw(fill_value))
    return _new("full", dtype or value.dtype, requires_grad, device, backend.whole_numbers((shape,)), value.item())


def eye(n, m=None, k=0, dtype=None, requires_grad=False, device="cpu"):
    """An (n, m) matrix, (n, n) without m, of zeros with ones on its k-th diagonal."""
    return _new("eye", dtype, requires_grad, device, n, m, k)


def arange(*args, dtype=None, requires_grad=False, device="cpu"):
    """Numbers from start (0 unless given) to below stop, by step: `arange(stop)`, `arange(start, stop[, step])`."""
    args = [x.item() if hasattr(x, "item") else x for x in args]
    dtype = dtype or ("float32" if any(isinstance(x, float) for x in args) else "int64")
    return _new("arange", dtype, requires_grad, device, *args)


def linspace(start, stop, num=50, dtype=None, requires_grad=False, device="cpu"):
    """`num` numbers at equal distances from start to stop, both included."""
    return _new("linspace", dtype, requires_grad, device, start, stop, num)


@composed
def zeros_like(a, dtype=None, requires_grad=False, device=None):
    """Zeros of the shape of a, and of its dtype and device unless others are given."""
    return zeros(a.shape, dtype=dtype or a.dtype, requires_grad=requires_grad, device=device or a.device)


@composed
def ones_like(a, dtype=None, requires_grad=False, device=None):
    """Ones of the shape of a, and of its dtype and device unless others are given."""
    return ones(a.shape, dtype=dtype or a.dtype, requires_grad=requires_grad, device=device or a.device)


@composed
def full_like(a, fill_value, dtype=None, requires_grad=False, device=None):
    """One value in the shape of a, in its dtype and on its device unless others are given."""
    return full(a.shape, fill_value, dtype or a.dtype, requires_grad, device or a.device)


def from_dlpack(x):
    """A tensor that shares the memory of an array of NumPy, PyTorch, JAX, CuPy, ..., on the CPU or on a GPU: no copy.

    What one side writes, the other one reads, unnoticed by gradients. `torch.from_dlpack(t)` goes the other way."""
    found = (backend.numpy if x.__dlpack_device__()[0] == 1 else backend.load_cupy()).from_dlpack(x)
    backend.dtype(found.dtype)  # refuses complex numbers
    return autograd.wrap(found)
