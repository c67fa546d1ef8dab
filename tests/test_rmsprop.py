"""RMSprop's switches, contiguous parameters, the differentiable step and what can be seen of a step."""

import itertools

import numpy as np
import pytest
from support import host

import lucidlite
from lucidlite import nn, optim
from lucidlite.optim import RMSprop

SHAPES = ((3, 2), (), (4,), (0,), (1, 5))
SWITCHES = (
    "centered",
    "nesterov",
    "eps_in_sqrt",
    "lr_in_momentum",
    "bias_correction",
    "decoupled_weight_decay",
    "maximize",
)
COMBINATIONS = [
    dict(zip(("momentum", "weight_decay", *SWITCHES), (momentum, decay, *switches)))
    for momentum, decay, *switches in itertools.product((0.0, 0.9), (0.0, 0.1), *[(False, True)] * len(SWITCHES))
    if momentum or not switches[1]  # nesterov needs momentum
]


def named(settings):
    return "-".join(name for name, value in settings.items() if value) or "plain"


def parameters(dtype="float64"):
    rng = np.random.default_rng(1)
    return [nn.Parameter(rng.normal(size=shape).astype(dtype)) for shape in SHAPES]


def gradients(steps, dtype="float64", missing=False):
    """Gradients by step and parameter; None for some of the second one's if `missing`."""
    rng = np.random.default_rng(2)
    all_ = [[rng.normal(size=shape).astype(dtype) for shape in SHAPES] for _ in range(steps)]
    for i in range(0, steps, 3) if missing else ():
        all_[i][1] = None
    return all_


def run(optimizer, params, grads):
    for at_step in grads:
        for p, g in zip(params, at_step):
            p.grad = g
        optimizer.step()
    return [p.data.copy() for p in params]


def written_out(p, grads, settings, lr=0.05, alpha=0.9, eps=1e-3, initial=0.5):
    """The rule in plain NumPy, as the facts about the real systems state it."""
    v, m, b, mu, decay = initial, 0.0, 0.0, settings["momentum"], settings["weight_decay"]
    for t, g in enumerate(grads, 1):
        if settings["maximize"]:
            g = -g
        if settings["decoupled_weight_decay"]:
            p = p - lr * decay * p
        else:
            g = g + decay * p
        v = alpha * v + (1 - alpha) * g * g
        m = alpha * m + (1 - alpha) * g
        bias = 1 - alpha**t if settings["bias_correction"] else 1
        r = v / bias - (m / bias) ** 2 if settings["centered"] else v / bias
        d = np.sqrt(r + eps) if settings["eps_in_sqrt"] else np.sqrt(r) + eps
        u = (lr if settings["lr_in_momentum"] else 1) * g / d
        b = mu * b + u
        u = u + mu * b if settings["nesterov"] else b
        p = p - (u if settings["lr_in_momentum"] else lr * u)
    return p


@pytest.mark.parametrize("settings", COMBINATIONS, ids=named)
def test_every_combination_of_switches_is_the_rule_written_out(settings):
    params, grads = parameters(), gradients(20)
    start = [p.data.copy() for p in params]
    found = run(RMSprop(params, 0.05, 0.9, 1e-3, initial_scale=0.5, **settings), params, grads)
    for i, (p, p0) in enumerate(zip(found, start)):
        wanted = written_out(p0, [at_step[i] for at_step in grads], settings)
        np.testing.assert_allclose(p, wanted, rtol=0, atol=1e-12)  # another order of operations, 20 steps


@pytest.mark.parametrize("settings", COMBINATIONS, ids=named)
def test_every_combination_resumes_after_step_7_bit_for_bit(settings):
    grads, params, twins = gradients(10, "float32", missing=True), parameters("float32"), parameters("float32")
    first = RMSprop(params, **settings)
    run(first, params, grads[:7])
    for p, q in zip(params, twins):
        q.data = p.data
    second = RMSprop(twins, lr=0.5)  # all settings come from the checkpoint
    second.load_state_dict(first.state_dict())
    for a, b in zip(run(first, params, grads[7:]), run(second, twins, grads[7:])):
        assert a.tobytes() == b.tobytes()
    for a, b in zip(first.state_dict()["state"].values(), second.state_dict()["state"].values()):
        assert a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize("missing", [False, True], ids=["all gradients", "some missing"])
@pytest.mark.parametrize("settings", COMBINATIONS[:: len(COMBINATIONS) // 11], ids=named)
def test_contiguous_parameters_take_the_same_steps_bit_for_bit(settings, missing):
    one, other = parameters("float32"), parameters("float32")
    grads = gradients(7, "float32", missing)
    apart = RMSprop(one, 0.05, 0.9, **settings)
    together = RMSprop(other, 0.05, 0.9, contiguous_params=True, **settings)
    for a, b in zip(run(apart, one, grads), run(together, other, grads)):
        assert a.tobytes() == b.tobytes()
    for a, b in zip(apart.state_dict()["state"].values(), together.state_dict()["state"].values()):
        assert a.keys() == b.keys() and a["step"] == b["step"]
        assert all(a[k].tobytes() == b[k].tobytes() and a[k].shape == b[k].shape for k in a if k != "step")


def test_contiguous_parameters_are_views_of_one_memory_and_make_one_kernel_call(monkeypatch):
    params, calls = parameters("float32"), []
    optimizer = RMSprop(params, contiguous_params=True)
    kernel = lucidlite.kernels.kernel

    def counting(rule, flags):
        run = kernel(rule, flags)
        return lambda arrays, scalars: (calls.append(arrays[0].size), run(arrays, scalars))

    monkeypatch.setattr(lucidlite.kernels, "kernel", counting)
    run(optimizer, params, gradients(2, "float32"))
    assert calls == [sum(p.size for p in params)] * 2
    base = params[0].data.base
    assert all(np.shares_memory(base, p.data) for p in params if p.size)
    optimizer.zero_grad(set_to_none=False)
    before = params[0].grad
    (params[0] * 2).sum().backward()
    assert params[0].grad is before and (before == 2).all()  # backward adds to the flat memory


def test_contiguous_parameters_survive_loading_moving_and_a_late_parameter(device):
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).to(device)
    twin = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).to(device)
    twin.load_state_dict(model.state_dict())
    a = RMSprop(model.parameters(), momentum=0.9, contiguous_params=True)
    b = RMSprop(twin.parameters(), momentum=0.9)
    x = lucidlite.randn(5, 3, device=device)

    def steps(n):
        for net, optimizer in ((model, a), (twin, b)):
            for _ in range(n):
                optimizer.zero_grad()
                (net(x) ** 2).sum().backward()
                optimizer.step()

    steps(3)
    a.load_state_dict(a.state_dict())
    steps(2)
    for net, optimizer in ((model, a), (twin, b)):
        net.to("float64")
        optimizer.add_param_group({"params": [nn.Parameter([1.0, 2.0])], "lr": 0.5})
    x = x.to("float64")
    steps(2)
    for p, q in zip(model.parameters(), twin.parameters()):
        assert p.dtype == "float64" and host(p).tobytes() == host(q).tobytes()


@pytest.mark.parametrize("settings", COMBINATIONS[:: len(COMBINATIONS) // 23], ids=named)
def test_the_functional_step_is_the_step(settings):
    params, grads = parameters(), gradients(4)
    p, state = lucidlite.Tensor(params[0]), {}
    for at_step in grads:
        p, state = RMSprop.functional(p, lucidlite.tensor(at_step[0]), state, lr=0.05, alpha=0.9, **settings)
    optimizer = RMSprop(params[:1], 0.05, 0.9, **settings)
    assert run(optimizer, params[:1], grads)[0].tobytes() == p.data.tobytes()
    kept = optimizer.state[params[0]]
    assert state.keys() == kept.keys() and all(
        (kept[k] == getattr(state[k], "data", state[k])).all() for k in kept if k != "step"
    )


def test_the_functional_step_can_be_differentiated_with_respect_to_the_learning_rate():
    target, start = lucidlite.tensor([1.0, -2.0], dtype="float64"), lucidlite.tensor([0.3, 0.4], dtype="float64")

    def loss_after_three_steps(lr, momentum):
        p, state = start, {}
        for _ in range(3):
            p, state = RMSprop.functional(p, 2 * (p - target), state, lr=lr, momentum=momentum)
        return ((p - target) ** 2).sum()

    assert lucidlite.gradcheck(loss_after_three_steps, np.array(0.02), np.array(0.5))


def test_what_a_step_did_can_be_watched():
    """Hooks tell how far a step moved each parameter."""
    params, moved = parameters(), []
    optimizer = RMSprop(params, lr=0.1)
    optimizer.register_step_pre_hook(lambda o, args, options: moved.append(params[0].data.copy()))
    optimizer.register_step_post_hook(lambda o, args, options: moved.append(abs(params[0].data - moved.pop())))
    run(optimizer, params, gradients(1))
    assert moved[0] == pytest.approx(np.ones_like(moved[0]), rel=1e-6)  # lr / sqrt(1 - alpha)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"nesterov": True}, "nesterov.*momentum"),
        ({"bias_correction": True, "alpha": 1.0}, "bias_correction.*alpha"),
        ({"initial_scale": -1.0}, "initial_scale is -1.0"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        RMSprop(parameters("float32"), **settings)


def test_eps_0_is_refused_where_it_would_divide_by_zero_and_nothing_changes():
    params = parameters()
    optimizer = RMSprop(params, eps=0.0)
    run(optimizer, params, gradients(1))
    before = [p.data.copy() for p in params]
    run(optimizer, params, [[np.zeros(shape) for shape in SHAPES]])  # v > 0 by now: a step of 0
    assert all((p.data == b).all() for p, b in zip(params, before))
    optimizer = RMSprop(params, eps=0.0)
    with pytest.raises(ValueError, match="eps is 0"):
        run(optimizer, params, [[np.zeros(shape) for shape in SHAPES]])
    assert all((p.data == b).all() for p, b in zip(params, before)) and not any(optimizer.state.values())


@pytest.mark.parametrize("value", [-1.0, float("nan"), "0.1"])
def test_a_hyperparameter_spoiled_by_hand_is_refused_at_the_next_step(value):
    params = parameters()
    optimizer = RMSprop(params)
    run(optimizer, params, gradients(1))
    before = [p.data.copy() for p in params]
    optimizer.param_groups[0]["lr"] = value
    with pytest.raises((ValueError, TypeError), match="lr is"):
        run(optimizer, params, gradients(1))
    assert all((p.data == b).all() for p, b in zip(params, before))


def test_centered_stays_finite_where_the_variance_rounds_below_zero():
    steady = np.linspace(0.1, 3, 64).astype("float32")
    p = nn.Parameter(np.zeros(64, "float32"))
    optimizer = RMSprop([p], lr=1e-3, alpha=0.9, centered=True)
    for _ in range(400):  # without the floor the first nan comes at step 133
        p.grad = steady
        optimizer.step()
    state = optimizer.state[p]
    assert np.isfinite(p.data).all() and (state["square_avg"] < state["grad_avg"] ** 2).any()


FAMILY = [x for x in vars(optim).values() if isinstance(x, type) and x is not optim.Optimizer]


@pytest.mark.parametrize("cls", dict.fromkeys(FAMILY))
def test_every_optimizer_can_be_contiguous(cls):
    params, twins = parameters(), parameters()
    for settings in ({}, {"momentum": 0.9, "dampening": 0.5}) if cls is optim.SGD else ({}, {}):
        one, other = cls(params, 0.1, contiguous_params=True, **settings), cls(twins, 0.1, **settings)
        a, b = (run(o, ps, gradients(4, missing=True)) for o, ps in ((one, params), (other, twins)))
        assert all(x.tobytes() == y.tobytes() for x, y in zip(a, b))
        for i, state in other.state_dict()["state"].items():
            assert all(np.array_equal(value, one.state_dict()["state"][i][name]) for name, value in state.items())
