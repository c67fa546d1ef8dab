"""What the test files share: the device under test, and derivatives found without the engine."""

import os
import sys

import numpy as np

import lucidlite
from lucidlite import backend

DEVICE = os.environ.get("LUCIDLITE_TEST_DEVICE", "cpu")  # "gpu" runs the suite on CuPy, "standin" without a GPU
STANDIN = DEVICE == "standin"
if STANDIN:
    import cupy_standin

    sys.modules["cupy"], DEVICE = cupy_standin, "gpu"
STEP = (
    6e-6  # the cube root of float64's 2.2e-16: there the two errors of a central difference, h^2 and eps / h, are equal
)
CLOSE = {"rtol": 1e-6, "atol": 1e-7}  # such a difference is right to about 1e-10 times the third derivative


def make(values, requires_grad=False, dtype=None):
    """A Tensor on the device under test; float64 arrays stay float64."""
    return lucidlite.tensor(values, requires_grad, dtype, DEVICE)


def host(x):
    """A NumPy copy of a Tensor or of a raw array of any device."""
    return np.array(backend.move(getattr(x, "data", x) if isinstance(x, lucidlite.Tensor) else x, "cpu"))


def differences(function, arrays):
    """The gradients of a function of float64 arrays that returns one number, by central differences."""
    gradients = [np.zeros_like(a) for a in arrays]
    for i, a in enumerate(arrays):
        for place in np.ndindex(a.shape):
            ends = []
            for step in (STEP, -STEP):
                moved = [x.copy() for x in arrays]
                moved[i][place] += step
                ends.append(function(*moved))
            gradients[i][place] = (ends[0] - ends[1]) / (2 * STEP)
    return gradients
