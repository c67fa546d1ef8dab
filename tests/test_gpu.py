"""What a GPU adds: devices and their memory, no transfers behind one's back, one kernel a step, and recorded steps.

Most of it runs where the device under test is a GPU or its stand-in; what can be counted only there, on the stand-in.
"""

import importlib.util
import math

import numpy as np
import pytest
from support import DEVICE, STANDIN, host, make
from test_ops import ROWS, arrays_for

import lucidlite
from lucidlite import backend, kernels, nn, optim

on_gpu = pytest.mark.skipif(DEVICE == "cpu", reason="needs a GPU or its stand-in")
counted = pytest.mark.skipif(not STANDIN, reason="counts on the stand-in")
OPTIMIZERS = [optim.RMSprop, optim.SGD]


@pytest.fixture
def cp():
    cupy = backend.load_cupy()
    cupy.transfers.clear()
    return cupy


def to_host(cp):
    return [size for direction, size in cp.transfers if direction == "to host"]


# ---- Devices ---------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(importlib.util.find_spec("cupy") is not None, reason="CuPy is installed")
def test_without_cupy_there_is_no_gpu_and_everything_says_what_to_install():
    assert lucidlite.gpu_available() is False and lucidlite.device_count() == 0
    lucidlite.synchronize()
    for call in (lucidlite.memory_allocated, lambda: lucidlite.capture(print)):
        with pytest.raises(RuntimeError, match=r"pip install cupy-cuda12x"):
            call()


@on_gpu
def test_a_gpu_is_counted_and_its_memory_too():
    assert lucidlite.gpu_available() is True and lucidlite.device_count() >= 1
    kept = make(np.ones(100_000))
    lucidlite.synchronize()
    assert lucidlite.memory_allocated() > 0 and kept.device == "gpu"
    with pytest.raises(ValueError, match="'gpu:1'"):
        lucidlite.memory_allocated("cpu")


@on_gpu
def test_tensors_modules_and_optimizers_go_to_the_gpu_and_back():
    t = lucidlite.tensor([1.0, 2.0])
    assert t.gpu().device == t.to("gpu").device == "gpu" and t.gpu().cpu().tolist() == [1.0, 2.0]
    model = nn.Linear(3, 2)
    optimizer = optim.RMSprop(model.parameters(), momentum=0.9)
    for device in ("cpu", DEVICE, "cpu", DEVICE):
        model.to(device)
        model(lucidlite.ones(4, 3, device=device)).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        assert {p.device for p in model.parameters()} == {device}
        state = optimizer.state[model.weight]
        assert {backend.device_of(state[name]) for name in ("square_avg", "momentum_buffer")} == {device}
    assert model.cpu() is model and model.weight.device == "cpu" and model.gpu().weight.device == "gpu"


@counted
def test_the_second_gpu_computes_what_lies_there_and_does_not_mix_with_the_first(cp):
    try:
        a = lucidlite.ones(3, device="gpu:1")
        assert (a * 2 + 1).sum().device == "gpu:1" and (a * 2).cpu().tolist() == [2.0, 2.0, 2.0]
        with pytest.raises(RuntimeError, match=r"add: a .*gpu:1, b .*gpu\. Move one with \.to"):
            a + lucidlite.ones(3, device="gpu")
        cp.cuda.Device(0).use()
        elsewhere = cp.zeros(3)  # where CuPy computes on the current GPU with another one's memory, if it can reach it
        with pytest.raises(RuntimeError, match=r"add: a .*gpu:1, the result .*gpu\. "):
            backend.settle(elsewhere, lucidlite.add.op, (a.data,))
    finally:
        cp.cuda.Device(0).use()


@on_gpu
def test_checkpoints_load_on_either_device(tmp_path):
    pytest.importorskip("safetensors")
    for save_on, load_on in (("cpu", DEVICE), (DEVICE, "cpu")):
        found = []
        for device in (save_on, load_on):
            model = nn.Linear(3, 2).to(device)
            optimizer = optim.RMSprop(model.parameters(), momentum=0.9)
            if found:
                saved = lucidlite.load(tmp_path / "state")
                model.load_state_dict(saved["model"])
                optimizer.load_state_dict(saved["optimizer"])
            for _ in range(2 - len(found)):
                lucidlite.save({"model": model, "optimizer": optimizer}, tmp_path / "state")
                optimizer.zero_grad()
                model(lucidlite.ones(4, 3, device=device)).sum().backward()
                optimizer.step()
            found.append(host(model.weight))
        np.testing.assert_allclose(found[0], found[1], rtol=1e-6)
        state = optimizer.state[model.weight]
        assert state["step"] == 2 and backend.device_of(state["square_avg"]) == load_on


def test_a_seed_gives_the_same_numbers_on_every_device():
    found = []
    for device in ("cpu", DEVICE):
        lucidlite.random.seed(5)
        x = lucidlite.randn(50, device=device)
        found.append([host(x), host(nn.functional.dropout(x, 0.4)), lucidlite.random.get_state()])
    assert (found[0][0] == found[1][0]).all() and (found[0][1] == found[1][1]).all() and found[0][2] == found[1][2]


# ---- DLPack ----------------------------------------------------------------------------------------------------------


def test_dlpack_shares_memory_both_ways():
    t = make([1.0, 2.0, 3.0])
    shared = lucidlite.from_dlpack(t)
    shared[0] = 7.0
    assert t.tolist() == [7.0, 2.0, 3.0] and shared.device == t.device and backend.may_share_memory(shared.data, t.data)
    a = np.arange(6.0).reshape(2, 3)
    u = lucidlite.from_dlpack(a.T)
    a[0, 1] = -1
    assert u.shape == (3, 2) and u.tolist() == a.T.tolist() and np.shares_memory(u.data, a)
    back = np.from_dlpack(u)
    assert np.shares_memory(back, a) and (u * 2).dtype == "float64"
    assert t.__dlpack_device__()[0] == (1 if DEVICE == "cpu" else 2)


def test_dlpack_refuses_graphs_and_what_is_no_array():
    with pytest.raises(BufferError, match="detach"):
        make([1.0], True).__dlpack__()
    with pytest.raises(AttributeError, match="'list' object has no attribute '__dlpack"):
        lucidlite.from_dlpack([1.0])
    with pytest.raises(TypeError, match="complex128"):
        lucidlite.from_dlpack(np.zeros(2, "complex128"))


# ---- Nothing moves behind one's back ---------------------------------------------------------------------------------


def mlp(dropout=False):
    lucidlite.random.seed(0)
    layers = [nn.Linear(6, 8), nn.ReLU(), *([nn.Dropout(0.5)] if dropout else []), nn.Linear(8, 4)]
    return nn.Sequential(*layers).to(DEVICE)


@counted
@pytest.mark.parametrize("index", range(len(ROWS) if STANDIN else 0))
def test_no_op_reads_the_gpu_in_its_forward_or_backward(index, cp):
    row = ROWS[index]
    if row.name == "move":
        return
    op = getattr(lucidlite, row.name, None) or getattr(lucidlite.ops, row.name)
    for inputs in row.inputs:
        tensors = [make(a, a.dtype.kind == "f") for a in arrays_for(row, inputs)]
        cp.transfers.clear()
        results = row.apply(op, *tensors)
        for y in results:
            if isinstance(y, lucidlite.Tensor) and y.requires_grad:
                y.sum().backward()
        read = to_host(cp)
        assert not read or (row.name == "getitem" and set(read) == {1})  # only the GPU knows how long t[mask] is


LOSSES = {
    "cross_entropy": lambda z, y: nn.functional.cross_entropy(z, y),
    "weighted": lambda z, y: nn.functional.cross_entropy(z, y, weight=make([1.0, 2.0, 3.0, 4.0]), ignore_index=1),
    "mse": lambda z, y: nn.functional.mse_loss(z, lucidlite.zeros_like(z)),
    "huber": lambda z, y: nn.functional.huber_loss(z, lucidlite.zeros_like(z)),
    "bce": lambda z, y: nn.functional.binary_cross_entropy(z.sigmoid(), lucidlite.zeros_like(z)),
    "bce with logits": lambda z, y: nn.functional.binary_cross_entropy_with_logits(z, lucidlite.zeros_like(z)),
}


@counted
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("cls", OPTIMIZERS)
def test_a_training_step_reads_nothing_and_sends_no_array_in_its_step(name, cls, cp):
    model, x, y = mlp(), make(np.ones((5, 6), "float32")), make(np.arange(5) % 4)
    optimizer = cls(model.parameters(), lr=0.01)
    for _ in range(2):
        cp.transfers.clear()
        loss = LOSSES[name](model(x), y)
        optimizer.zero_grad()
        loss.backward()
        assert not to_host(cp)
        cp.transfers.clear()
        optimizer.step()
        assert not cp.transfers and math.isfinite(loss.item())


@on_gpu
def test_training_follows_the_cpus_losses():
    found = []
    for device in ("cpu", DEVICE):
        model = mlp(dropout=True).to(device)
        optimizer = optim.RMSprop(model.parameters(), lr=0.01, momentum=0.9, centered=True)
        rng, losses = np.random.default_rng(0), []
        for _ in range(20):
            x = lucidlite.tensor(rng.standard_normal((16, 6)).astype("float32"), device=device)
            y = lucidlite.tensor(rng.integers(0, 4, 16), device=device)
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        found.append(losses)
    np.testing.assert_allclose(*found, rtol=1e-4)


@on_gpu
@pytest.mark.parametrize("label", [4, -1, 100])
def test_a_wrong_label_makes_the_loss_nan_without_waiting_for_the_gpu(label):
    assert math.isnan(nn.functional.cross_entropy(lucidlite.zeros(2, 4, device=DEVICE), make([0, label])).item())


def test_what_was_broadcast_cannot_be_written():
    """CuPy has no read-only arrays: one number was written where three seemed to stand."""
    with pytest.raises(ValueError, match="clone"):
        make([1.0]).expand(3)[0] = 2.0
    make([1.0])[0] = 2.0


@on_gpu
def test_what_is_assigned_from_the_host_is_checked_there():
    """300 became 44 in a tensor of uint8 on a GPU."""
    u = make([1, 2, 3], dtype="uint8")
    for spoil in (lambda: u.__setitem__(0, 300), lambda: setattr(u, "data", [1, 2, 300])):
        with pytest.raises(ValueError, match="300"):
            spoil()
    u[[0, 2]] = [7, 8]
    u[np.array([1])] = 9
    assert u.tolist() == [7, 9, 8]


# ---- One kernel ------------------------------------------------------------------------------------------------------


@counted
@pytest.mark.parametrize("options", [{}, {"contiguous_params": True}, {"momentum": 0.9, "weight_decay": 0.1}])
@pytest.mark.parametrize("cls", OPTIMIZERS)
def test_a_step_is_one_launch_for_each_parameter_or_for_each_group(cls, options, cp):
    params = [lucidlite.Parameter(np.ones(n, "float32"), device=DEVICE) for n in (3, 4, 5)]
    groups = [{"params": params[:2]}, {"params": params[2:], "lr": 0.5}]
    optimizer = cls(groups, lr=0.1, **options)

    def step():
        for p in params:  # where a contiguous group's gradients lie, after its first step
            p.grad = make(np.ones(p.shape, "float32")).data if p.grad is None else p.grad
        before = cp.launches
        optimizer.step()
        return cp.launches - before

    step()
    assert step() == step() == (2 if "contiguous_params" in options else 3)
    assert optimizer.way == "cupy"


@counted
def test_a_rule_is_compiled_once_for_each_dtype(cp):
    kernels.in_place.cache_clear()
    for dtype in ("float32", "float64", "float32"):
        for _ in range(3):
            p = lucidlite.Parameter(np.ones(4), dtype=dtype, device=DEVICE)
            p.grad = p.data * 2
            optimizer = optim.RMSprop([p], lr=0.125)
            optimizer.step()
            optimizer.param_groups[0]["lr"] = 0.25
            optimizer.step()
    assert cp.kernels["rmsprop"].compiled == 2


# ---- A recorded step -------------------------------------------------------------------------------------------------


def trainer(optimizer=optim.RMSprop, dropout=False, **options):
    model = mlp(dropout)
    made = optimizer(model.parameters(), lr=0.05, **options)

    def step(x, y):
        made.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        made.step()
        return loss

    return model, made, step


def batches(n):
    rng = np.random.default_rng(0)
    return [(make(rng.standard_normal((5, 6)).astype("float32")), make(rng.integers(0, 4, 5))) for _ in range(n)]


@on_gpu
@pytest.mark.parametrize("options", [{}, {"momentum": 0.9}, {"contiguous_params": True}], ids=str)
def test_a_recorded_step_is_the_plain_step_bit_for_bit(options):
    (model, plain, step), (twin, recorded, other) = trainer(**options), trainer(**options)
    captured, losses = lucidlite.capture(other), []
    for x, y in batches(8):
        losses.append((step(x, y).item(), captured(x, y).item()))
    assert all(a == b for a, b in losses) and len(set(losses)) == 8
    for p, q in zip(model.parameters(), twin.parameters()):
        assert host(p).tobytes() == host(q).tobytes() and host(p.grad).tobytes() == host(q.grad).tobytes()
        a, b = plain.state[p], recorded.state[q]
        assert a["step"] == b["step"] == 8 and host(a["square_avg"]).tobytes() == host(b["square_avg"]).tobytes()


@counted
def test_a_replay_is_one_launch_beside_the_copies_of_its_inputs(cp):
    _, _, step = trainer()
    captured = lucidlite.capture(step)
    for x, y in batches(4):
        before = cp.launches
        captured(x, y)
    assert cp.launches - before <= 1 + 2 * 2 and not cp.recording


@on_gpu
def test_a_replay_is_seen_by_version_counters_and_leaves_the_gradients_in_place():
    model, _, step = trainer()
    captured, data = lucidlite.capture(step), batches(5)
    for x, y in data[:4]:
        captured(x, y)
    stale = (model[0].weight * model[0].weight).sum()
    model.zero_grad()
    captured(*data[4])
    assert all(p.grad is not None for p in model.parameters())
    with pytest.raises(RuntimeError, match="changed in place"):
        stale.backward()


def reads(step):
    def reading(x, y):
        loss = step(x, y)
        if loss.item() > 1e9:
            raise ArithmeticError
        return loss

    return reading


@counted
@pytest.mark.parametrize(
    ("make_step", "message"),
    [
        (lambda: reads(trainer()[2]), "cannot be recorded: .*capturing"),
        (lambda: trainer(dropout=True)[2], "cannot be recorded: .*random numbers"),
        (lambda: trainer(bias_correction=True)[2], "RMSprop .*bias.* run this step without capture"),
    ],
    ids=["a host read", "dropout", "bias correction"],
)
def test_what_cannot_be_recorded_is_refused_and_the_plain_step_goes_on(make_step, message, cp):
    step = make_step()
    captured, data = lucidlite.capture(step), batches(3)
    captured(*data[0])
    captured(*data[1])
    for _ in range(2):
        with pytest.raises(RuntimeError, match=message):
            captured(*data[2])
        assert {state["step"] for optimizer in captured.optimizers for state in optimizer.state.values()} == {2}
    assert cp.recording is None and backend.recording is False and not backend.watchers
    assert math.isfinite(step(*data[2]).item())


@on_gpu
@pytest.mark.parametrize("late", [False, True])
def test_a_parameter_without_a_gradient_stays_out_of_the_recording(late):
    """One that has its first gradient in the recorded step would begin with new state in every replay."""
    p, q = (lucidlite.Parameter([1.0, 2.0], device=DEVICE) for _ in range(2))
    optimizer, calls = optim.RMSprop([p, q]), []

    def step():
        optimizer.zero_grad()
        calls.append(None)
        (p * p + (q if late and len(calls) > 2 else 0)).sum().backward()
        optimizer.step()

    captured = lucidlite.capture(step)
    captured()
    captured()
    if late:
        with pytest.raises(RuntimeError, match="first gradient"):
            captured()
    else:
        captured()
        captured()
        assert optimizer.state[p]["step"] == 4 and q.tolist() == [1.0, 2.0] and len(calls) == 3


@on_gpu
def test_other_shapes_are_refused():
    _, _, step = trainer()
    captured = lucidlite.capture(step)
    x, y = batches(1)[0]
    for _ in range(4):
        captured(x, y)
    with pytest.raises(ValueError, match=r"\(3, 6\) float32 on the gpu, it began with \(5, 6\)"):
        captured(x[:3], y[:3])
    with pytest.raises(ValueError, match=r"an input is \(5, 6\) float32 on the cpu"):
        captured(x.cpu(), y)


@on_gpu
def test_new_settings_or_new_memory_ask_for_a_new_capture():
    def change_rate(model, optimizer):
        optimizer.param_groups[0]["lr"] = 0.5

    def load(model, optimizer):
        optimizer.load_state_dict(optimizer.state_dict())

    def move(model, optimizer):
        model.to("float64")
        model.to("float32")

    for change in (change_rate, load, move):
        model, optimizer, step = trainer()
        captured, data = lucidlite.capture(step), batches(1)[0]
        for _ in range(4):
            captured(*data)
        change(model, optimizer)
        with pytest.raises(RuntimeError, match=r"new capture\(step\)"):
            captured(*data)
        again = lucidlite.capture(step)
        assert [math.isfinite(again(*data).item()) for _ in range(4)] == [True] * 4


@on_gpu
def test_a_model_on_the_cpu_is_not_recorded():
    model = nn.Linear(2, 1)
    optimizer = optim.RMSprop(model.parameters())

    def step():
        model(lucidlite.ones(1, 2)).sum().backward()
        optimizer.step()

    with pytest.raises(RuntimeError, match="on the CPU"):
        lucidlite.capture(step)()


# ---- python -m lucidlite ---------------------------------------------------------------------------------------------


def test_the_report_names_versions_devices_and_what_to_install(capsys, monkeypatch):
    from lucidlite import __main__ as report

    monkeypatch.setattr(report, "SIZE", 64)
    report.main()
    text = capsys.readouterr().out
    assert lucidlite.__version__ in text and np.__version__ in text and "RMSprop" in text
    if DEVICE == "cpu":
        assert backend.cupy is not None or "-m pip install cupy-cuda12x" in text
    else:
        assert "CuPy" in text and "driver for CUDA" in text and "GiB free" in text
