"""CuPy's own tracer takes every rule in every branch, and in one dtype: it runs where CuPy is installed, GPU or not.

cupy.fuse falls back to another implementation without a word where its tracer fails, so this calls the tracer itself,
a private part of CuPy, on arrays whose memory nobody touches. (Beside NumPy 2, CuPy 13.4.0 failed here on the 0
in maximum(v, 0).)
"""

import numpy as np
import pytest
from support import STANDIN
from test_tracer import settings_of

from lucidlite import backend, kernels, optim
from lucidlite.autograd import parameters

if STANDIN:
    pytest.skip("is about CuPy itself", allow_module_level=True)
cupy = pytest.importorskip("cupy")
fusion = pytest.importorskip("cupy._core.fusion")
fusing = pytest.importorskip("cupy._core._fusion_thread_local").thread_local


def array(dtype):
    """An array of CuPy at an address that is never read."""
    memory = cupy.cuda.UnownedMemory(4096, 4096, None, 0)
    return cupy.ndarray((8,), dtype, cupy.cuda.MemoryPointer(memory, 0))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cls", [optim.RMSprop, optim.SGD])
def test_cupys_tracer_takes_every_rule_in_one_dtype(cls, dtype, monkeypatch):
    functions = []
    monkeypatch.setattr(backend, "cupy", cupy)
    monkeypatch.setattr(cupy, "fuse", lambda kernel_name: functions.append)
    for optimizer in settings_of(cls):
        group = optimizer.param_groups[0]
        flags, buffers = optimizer.flags(group), optimizer.buffers(group)
        scalars = optimizer._scalars(group, {}, optimizer._fixed(group, flags, buffers))
        present = (True, True, *[start is not None for start in buffers.values()])
        names = parameters(cls.rule(np, *flags))[len(present) :]
        kernels.fused(cls.rule, flags, present, len(names))
        values = [np.dtype(dtype).type(scalars[name]) for name in names]
        fusing.history, fusing.is_old_fusing = fusion._FusionHistory(), True
        try:
            arguments = [array(dtype) for there in present if there] + values
            fusing.history.get_fusion(functions[-1], tuple(arguments), "rule")
            found = {np.dtype(kind) for op in fusing.history.op_list for kind in op.dtypes}
        finally:
            fusing.history, fusing.is_old_fusing = None, False
        assert found == {np.dtype(dtype)}
    assert len(functions) >= 6
