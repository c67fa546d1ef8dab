"""What only a GPU has: how many there are, what they hold, and a training step as one recording."""

from typing import Any, cast

from . import backend, checks
from .autograd import version_of

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
    checks.refuse(index is None, "memory_allocated knows GPUs only; give it 'gpu', 'gpu:1', ...")
    with backend.cupy.cuda.Device(index):
        return backend.cupy.get_default_memory_pool().used_bytes()


class capture:
    """A training step recorded as a CUDA graph: two calls run it as it is, the third records it, all others replay it.

    `step` is a function of Tensors on a GPU that computes the loss, calls `backward` and the optimizer's `step`, and
    returns Tensors. `capture(step)` is called like it, and every call is one true step, equal to the plain one bit for
    bit. Inputs are copied into the recording; results are the same Tensors each time, with new values.

    Refused are values that Python reads (`item`, an `if`), random numbers (dropout), numbers that change in every step
    (bias correction), inputs of another shape, and an optimizer whose settings or memory changed since, where a new
    capture goes on. It has run on the tests' stand-in for CuPy, and on no real GPU so far."""

    def __init__(self, step: Any):
        cuda = backend.load_cupy().cuda
        self.step, self.calls, self.buffers, self.optimizers, self.graph = step, 0, [], [], cast(Any, None)
        self.stream, self.pool = cuda.Stream(non_blocking=True), cuda.MemoryPool()  # nobody else writes to its memory

    def __call__(self, *inputs):
        cuda = backend.cupy.cuda
        outer = cuda.get_current_stream()
        self.stream.wait_event(outer.record())
        backend.watchers.append(self._watch)
        try:
            with self.stream, cuda.using_allocator(self.pool.malloc):
                self.buffers = self.buffers or [x.clone().detach() for x in inputs]
                for buffer, x in zip(self.buffers, inputs, strict=True):
                    if x.device == "cpu" or x.shape != buffer.shape:
                        what = f"capture: an input is {checks.brief(x)} on the {x.device}"
                        raise ValueError(f"{what}, it began with {buffer.shape}; drop a smaller last batch, use a GPU")
                    buffer.data = x.data
                if self.calls < WARM_UP:
                    self.result = self.step(*self.buffers)
                else:
                    self.graph = self.graph or self._record()
                    self._replay()
                self.calls += 1
        finally:
            backend.watchers.remove(self._watch)
            outer.wait_event(self.stream.record())
        return self.result

    def _watch(self, optimizer):
        """Called by an optimizer that has taken a step: note it; refuse numbers that the recording would repeat."""
        for p, group in [(p, found) for found in optimizer.param_groups for p in found["params"]]:
            state = optimizer.state.get(p)
            checks.refuse(p.device == "cpu", "capture: the model is on the CPU; call its .to('gpu')", RuntimeError)
            if backend.recording and state:
                now, then = (optimizer.scalars(group, state["step"] + n, dict(state)) for n in (0, 1))
                changing = ", ".join(name for name in now if now[name] != then[name])
                what = f"with these settings {type(optimizer).__name__} computes {changing} anew in every step"
                checks.refuse(changing, f"{what}; run this step without capture", RuntimeError)
        self.optimizers += [optimizer] * (optimizer not in self.optimizers)

    def _record(self):
        """The step as a graph. Nothing is computed meanwhile, so the state goes back to where it was."""
        states, backend.recording = [(p, state, dict(state)) for p, state in self._states()], True
        try:
            self.stream.begin_capture()
            self.result = self.step(*self.buffers)
            if len(self._states()) > len(states):
                raise RuntimeError("a parameter had its first gradient, and every replay would start its state anew")
            self.known = self._settings_and_memory()
            self.stepped = [(p, state, p._grad) for p, state, old in states if state["step"] != old["step"]]
            return self.stream.end_capture()
        except Exception as error:
            if self.stream.is_capturing():
                self.stream.end_capture()
            why = f"capture: this step cannot be recorded: {error}; see help(lucidlite.capture)"
            raise RuntimeError(why) from error
        finally:
            backend.recording = False
            for _, state, old in states:
                state.update(old)

    def _replay(self):
        same = self._settings_and_memory()[:2] == self.known[:2]
        what = "the optimizer's settings, parameters or state are no longer those that were recorded"
        checks.refuse(not same, f"capture: {what}; go on with a new capture(step)", RuntimeError)
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
        return [(p, state) for o in self.optimizers for p, state in o.state.items() if "step" in state]
