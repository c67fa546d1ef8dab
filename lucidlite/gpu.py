"""What only a GPU has: how many there are, an update rule as one kernel, and a training step as one recording."""

from typing import Any

from . import backend
from .autograd import version_of, wrap
from .tensor import Tensor

WARM_UP = 2  # plain calls before the recording: they compile kernels, make the optimizer's state, fill the memory pool


def device_count() -> int:
    """How many GPUs can be used here; 0 without CuPy."""
    try:
        return backend.load_cupy().cuda.runtime.getDeviceCount()
    except RuntimeError:
        return 0


def gpu_available() -> bool:
    """Whether "gpu" can be used here: there is CuPy, and it sees an NVIDIA GPU."""
    return device_count() > 0


def synchronize() -> None:
    """Wait until the GPUs have done all that they were asked to do, as before reading a clock."""
    for index in range(device_count() if backend.cupy else 0):
        backend.cupy.cuda.Device(index).synchronize()


def memory_allocated(device: str = "gpu") -> int:
    """Bytes that arrays occupy on a GPU at the moment; what a recorded step keeps for itself is not counted."""
    index = backend.gpu_index(device)
    if index is None:
        raise ValueError("memory_allocated knows GPUs only; give it 'gpu', 'gpu:1', ...")
    with backend.cupy.cuda.Device(index):
        return backend.cupy.get_default_memory_pool().used_bytes()


def fused(rule, flags, present, count):
    """The rule as `run(arrays, numbers)`, one kernel; cupy.fuse gives back what is written into its arguments."""
    update = rule(backend.cupy, *flags)

    def kernel(*values):
        values = iter(values)
        old = [next(values) if there else None for there in present]
        for x, y in zip((old[0], *old[2:]), update(*old, *values), strict=True):
            if x is not None and y is not x:
                x[...] = y

    one_kernel = backend.cupy.fuse(kernel_name=update.__name__.strip("<>"))(kernel)

    def run(arrays, numbers):
        with arrays[0].device:
            one_kernel(*[a for a in arrays if a is not None], *numbers)

    return run


class capture:
    """A training step recorded as a CUDA graph: Python runs it three times, after that the GPU repeats it alone.

    A small model on a GPU waits for Python to launch its kernels; a recording is one launch. `step` is a function of
    Tensors on a GPU that computes the loss, calls `backward` and the optimizer's `step`, and returns Tensors.
    `capture(step)` is called like it, and every call is one true step, equal to the plain one bit for bit. Inputs are
    copied into the recording; results are the same Tensors each time, with new values.

    Refused, with the reason, are values that Python reads (`item`, an `if`), random numbers (dropout), numbers that
    change in every step (bias correction), inputs of another shape, and an optimizer whose settings or memory have
    changed since, where a new capture goes on. It has run on the tests' stand-in for CuPy, and on no real GPU so far.
    """

    def __init__(self, step: Any):
        cuda = backend.load_cupy().cuda
        self.step, self.calls, self.buffers, self.optimizers = step, 0, [], []
        self.stream, self.pool = cuda.Stream(non_blocking=True), cuda.MemoryPool()  # nobody else writes to its memory
        self.graph: Any = None

    def __call__(self, *inputs):
        """One step; the inputs are Tensors of the same shapes in every call."""
        cuda = backend.cupy.cuda
        outer = cuda.get_current_stream()
        self.stream.wait_event(outer.record())
        backend.watchers.append(self._watch)
        try:
            with self.stream, cuda.using_allocator(self.pool.malloc):
                self._take(inputs)
                if self.graph is not None:
                    self._replay()
                elif self.calls == WARM_UP:
                    self._record()
                else:
                    self.result = self.step(*self.buffers)
                    self.calls += 1
        finally:
            backend.watchers.remove(self._watch)
            outer.wait_event(self.stream.record())
        return self.result

    def _take(self, inputs):
        """Copy the inputs to where the recorded kernels look for them."""
        for x in inputs:
            if not isinstance(x, Tensor) or x.device == "cpu":
                raise RuntimeError(f"capture: an input is a {type(x).__name__} on the CPU; give Tensors on a GPU")
        self.buffers = self.buffers or [wrap(x._data.copy()) for x in inputs]
        kinds, known = ([(x.shape, x.dtype.name) for x in tensors] for tensors in (inputs, self.buffers))
        if kinds != known:
            raise ValueError(f"capture: inputs {kinds}, but it began with {known}; drop a last batch that is smaller")
        for buffer, x in zip(self.buffers, inputs):
            buffer.data = x.data

    def _watch(self, optimizer):
        """Called by an optimizer that has taken a step: note it; refuse numbers that the recording would repeat."""
        for p, group in [(p, found) for found in optimizer.param_groups for p in found["params"]]:
            state = optimizer.state.get(p)
            if p.device == "cpu":
                raise RuntimeError("capture: the parameters are on the CPU; move the model with .to('gpu')")
            if backend.recording and state:
                now, then = (optimizer.scalars(group, state["step"] + n, dict(state)) for n in (0, 1))
                if changing := [name for name in now if now[name] != then[name]]:
                    what = f"{type(optimizer).__name__} computes {', '.join(changing)} anew in every step"
                    raise RuntimeError(f"with these settings {what}; run this step without capture")
        self.optimizers += [optimizer] * (optimizer not in self.optimizers)

    def _record(self):
        """Let the step pass by without computing it; then the recording computes it."""
        states = [(p, state, dict(state)) for p, state in self._states()]
        backend.recording = True
        try:
            self.stream.begin_capture()
            self.result = self.step(*self.buffers)
            if len(self._states()) > len(states):
                raise RuntimeError("a parameter had its first gradient, and every replay would start its state anew")
            graph = self.stream.end_capture()
        except Exception as error:
            if self.stream.is_capturing():
                self.stream.end_capture()
            for _, state, old in states:
                state.update(old)
            why = f"capture: this step cannot be recorded: {error}; see help(lucidlite.capture)"
            raise RuntimeError(why) from error
        finally:
            backend.recording = False
        self.graph, self.known = graph, self._settings_and_memory()
        self.stepped = [(p, state, p._grad) for p, state, old in states if state["step"] != old["step"]]
        graph.launch()

    def _replay(self):
        if self._settings_and_memory()[:2] != self.known[:2]:
            what = "the optimizer's settings, parameters or state are no longer those that were recorded"
            raise RuntimeError(f"capture: {what}; go on with a new capture(step)")
        self.graph.launch()
        for p, state, g in self.stepped:
            state["step"] += 1
            p._grad = g
            version_of(p).bump()

    def _settings_and_memory(self):
        """The hyperparameters of all groups; the identities of all arrays that the optimizers change; the arrays."""
        settings = [{**group, "params": None} for optimizer in self.optimizers for group in optimizer.param_groups]
        arrays = [a for p, state in self._states() for a in (p._data, *state.values()) if hasattr(a, "shape")]
        return settings, [*map(id, arrays)], arrays

    def _states(self):
        """(parameter, state) of all parameters that have taken a step."""
        return [(p, state) for o in self.optimizers for p, state in o.state.items() if "step" in state]
