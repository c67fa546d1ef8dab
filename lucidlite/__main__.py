"""`python -m lucidlite`: what is installed, which devices work, how fast they are, and what to install for a GPU."""

import platform
import sys
import timeit

import lucidlite
from lucidlite import backend, kernels, optim

SIZE, ROUNDS = 1024, 10  # products of two such float32 matrices, 2 SIZE^3 operations each
PIP = f"{sys.executable} -m pip install"


def main():
    print(f"lucidlite {lucidlite.__version__}, Python {platform.python_version()}, NumPy {backend.numpy.__version__}")
    print(f"cpu       {speed('cpu')}")
    numba = "and Numba for parameters of 10,000 elements or more"
    print(f"          optimizers: NumPy, {numba if kernels.compiler() else f'faster with Numba: {PIP} numba'}")
    try:
        cupy = backend.load_cupy()
    except RuntimeError as error:
        print(f"gpu       {error}\n          for CUDA 12: {PIP} cupy-cuda12x; for CUDA 13: {PIP} cupy-cuda13x")
        return
    cuda = cupy.cuda.runtime
    driver, runtime = (f"{n // 1000}.{n % 1000 // 10}" for n in (cuda.driverGetVersion(), cuda.runtimeGetVersion()))
    print(f"          CuPy {cupy.__version__}, driver for CUDA {driver}, runtime CUDA {runtime}")
    for index in range(lucidlite.device_count()):
        free, total = (n / 2**30 for n in cupy.cuda.Device(index).mem_info)
        name, device = cuda.getDeviceProperties(index)["name"].decode(), f"gpu:{index}" if index else "gpu"
        print(f"{device:<9} {name}, {free:.1f} of {total:.1f} GiB free; {speed(device)}")


def speed(device):
    """Products of matrices and optimizer steps, each after one that is not timed."""
    a = lucidlite.ones(SIZE, SIZE, device=device)
    p = lucidlite.Parameter(a, device=device)
    p.grad = a.data

    def rate(work):
        return ROUNDS / timeit.timeit(lambda: (work(), lucidlite.synchronize()), work, number=ROUNDS)

    products, steps = rate(lambda: a @ a), rate(optim.RMSprop([p]).step)
    return f"matrix product {2 * SIZE**3 * products / 1e9:,.0f} GFLOP/s, RMSprop {SIZE**2 * steps / 1e6:,.0f} M/s"


if __name__ == "__main__":
    main()
