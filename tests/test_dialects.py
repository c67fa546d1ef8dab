"""Every dialect of RMSprop against what its system computed, the table, comparisons, and PyTorch's state_dict."""

import importlib.resources
import inspect
import json
import sys
import tomllib
import types
from pathlib import Path

import numpy as np
import pytest
from support import DEVICE, host, make

from lucidlite import Parameter
from lucidlite.optim import RMSprop, rmsprop

REFERENCE = Path(__file__).parent / "reference"
PAGE = Path(__file__).parents[1] / "docs" / "rmsprop.md"


def read(name):
    return json.loads((REFERENCE / name).read_text(encoding="utf-8"))


ROWS = {row["dialect"]: row for row in read("dialects.json")["dialects"]}
RECORDED = read("rmsprop.json")
DIALECT_OF = {  # system -> dialect, where the recordings have a name of their own
    "lucid3": "lucid", "keras3": "keras", "tf_keras_legacy": "tf2", "chainer_graves": "graves",
    "jax_example": "jax-example",
}  # fmt: skip
NEVER_RUN = {"lucid-docs", "lucid2-docs", "hinton"}


def parameter(values, dtype="float32"):
    return Parameter(np.asarray(values, dtype), device=DEVICE)


def give(params, grads):
    for p, g in zip(params, grads):
        p.grad = None if g is None else make(np.asarray(g), dtype=p.dtype)


def settings(optimizer):
    return {name: value for name, value in optimizer.param_groups[0].items() if name != "params"}


# ---- The rows and the recordings -------------------------------------------------------------------------------------


def test_there_is_a_dialect_for_every_row_and_no_other():
    assert list(ROWS) and {*RMSprop.dialects()} == {*ROWS}
    assert {DIALECT_OF.get(case["system"], case["system"]) for case in RECORDED["cases"]} == {*ROWS} - NEVER_RUN


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("momentum", [None, 0.0, 0.9])
def test_like_gives_the_defaults_and_the_switches_of_the_row(name, momentum):
    row = ROWS[name]
    expected = row["defaults"] | row["switches"] | {"contiguous_params": False}
    expected["lr"] = 0.125 if expected["lr"] is None else expected["lr"]
    expected["momentum"] = expected["momentum"] if momentum is None else momentum
    if expected["eps_in_sqrt"] == "momentum > 0":
        expected["eps_in_sqrt"] = expected["momentum"] > 0
    given = {"lr": 0.125} if row["defaults"]["lr"] is None else {}
    found = settings(
        RMSprop.like(name, [parameter([1.0])], **given, **({} if momentum is None else {"momentum": momentum}))
    )
    assert found == expected
    assert all(
        type(found[switch]) is type(expected[switch]) for switch in found
    )  # True is not 1, and no string is left


@pytest.mark.parametrize("name", ROWS)
def test_the_systems_own_argument_names_are_understood(name):
    row = ROWS[name]
    values = {"lr": 0.5, "alpha": 0.25, "eps": 0.125, "weight_decay": 0.75, "momentum": 0.0625}
    for ours, theirs in row["native_names"].items():
        value = values.get(ours, 0.375 if ours == "initial_scale" else not row["defaults"].get(ours))
        others = {name: 0.5 for name in ("lr", "momentum") if name not in (ours, theirs)}
        assert settings(RMSprop.like(name, [parameter([1.0])], **others, **{theirs: value}))[ours] == value


@pytest.mark.parametrize("case", RECORDED["cases"], ids=lambda case: case["id"])
def test_like_computes_what_the_real_system_computed(case):
    problem, args = RECORDED["problems"][case["problem"]], case["args"]
    params = [parameter(theta, case["dtype"]) for theta in problem["theta0"]]
    rates = case["lr"] if isinstance(case["lr"], list) else [case["lr"]] * len(problem["grads"])
    native = {name: value for name, value in case["native"].items() if name != "foreach"}  # torch: how, not what
    if case["system"] == "lucid3":
        native.pop("centered", None)  # which lucid 3 takes and ignores
    name = DIALECT_OF.get(case["system"], case["system"])
    optimizer = RMSprop.like(name, params, **{"lr": rates[0]} | native)
    for key, value in args.items():  # some systems round their hyperparameters to float32, which `args` shows
        if key != "lr_in_momentum" or args["momentum"]:  # which is idle, and recorded as False, without momentum
            assert settings(optimizer)[key] == pytest.approx(value, rel=1e-7), key
    exact = RMSprop.like(name, params, **{"lr": rates[0]} | args)
    assert settings(exact) == {"lr": rates[0], "contiguous_params": False} | args

    def check(ours, theirs):
        assert np.abs(host(ours) - theirs).max() <= case["tol"] * max(1, np.abs(theirs).max())

    for lr, grads, thetas in zip(rates, problem["grads"], case["theta"], strict=True):
        exact.param_groups[0]["lr"] = lr
        if case["system"].startswith("chainer"):  # where a missing gradient is zero
            grads = [np.zeros(p.shape) if g is None else g for p, g in zip(params, grads)]
        give(params, grads)
        exact.step()
        for p, theta in zip(params, thetas, strict=True):
            check(p, np.asarray(theta))
    for i, theirs in enumerate(case.get("state", ())):
        ours = exact.state_dict()["state"][i]
        assert ours.keys() == theirs.keys() | {"step"}
        for key, value in theirs.items():
            check(ours[key], np.asarray(value))


def test_the_default_is_torchs_rule_and_todays_lucids():
    defaults = {name: p.default for name, p in inspect.signature(RMSprop).parameters.items() if name != "params"}
    for name in ("torch", "lucid"):
        assert RMSprop.dialects()[name].settings == defaults


def test_the_table_of_the_systems_is_part_of_the_package():
    """As an installed package sees it; and a wheel has it too."""
    table = tomllib.loads((importlib.resources.files("lucidlite.optim") / "dialects.toml").read_text("utf-8"))
    assert {*table} == {*ROWS} and {key for row in table.values() for key in row} <= {
        *vars(RMSprop.dialects()["torch"])
    }
    assert all(row["changed"].keys() <= {*RMSprop.dialects()["torch"].settings}
               for row in table.values() if "changed" in row)  # fmt: skip
    built = pytest.importorskip("hatchling.builders.wheel").WheelBuilder(str(PAGE.parents[1]))
    assert "lucidlite/optim/dialects.toml" in {file.distribution_path for file in built.recurse_included_files()}


def test_tf2_places_eps_for_each_group_by_its_momentum():
    def groups():
        yield {"params": [parameter([1.0])]}
        yield {"params": [parameter([1.0])], "momentum": 0.5}
        yield {"params": [parameter([1.0])], "momentum": 0.5, "eps_in_sqrt": False}

    for given in (groups(), list(groups()), tuple(groups())):
        made = RMSprop.like("tf2", given)
        assert [group["eps_in_sqrt"] for group in made.param_groups] == [False, True, False]
    params = [parameter([1.0])]
    assert RMSprop.like("tf2", params, momentum=0.5, eps_in_sqrt=False).param_groups[0]["eps_in_sqrt"] is False
    assert RMSprop.like("tf2", iter(params)).param_groups[0]["params"] == params


# ---- Names -----------------------------------------------------------------------------------------------------------

TYPED = {
    "PyTorch": "torch", "torch.optim": "torch", "LUCID": "lucid", "lucid3": "lucid", "lucid2_docs": "lucid2-docs",
    "tensorflow1": "tf1", "TensorFlow-1": "tf1", "TF 1": "tf1", "tf.compat.v1": "tf1", "tensorflow2": "tf2",
    "tf_keras_legacy": "tf2", "tf.keras": "keras", "Keras3": "keras", "keras_3": "keras", "jax": "optax",
    "flax": "optax", "jax_example": "jax-example", "jax.example_libraries": "jax-example", "paddlepaddle": "paddle",
    "stable-baselines3": "sb3", "Stable_Baselines3": "sb3", "RMSpropTF": "timm", "chainer-graves": "graves",
}  # fmt: skip


def test_what_a_user_would_type_finds_its_dialect():
    known = RMSprop.dialects()
    assert {typed: known[typed].name for typed in TYPED} == TYPED
    assert RMSprop.like("PyTorch", [parameter([1.0])]).param_groups[0]["alpha"] == 0.99
    for system, name in DIALECT_OF.items():
        if system != "tf_keras_legacy":
            assert known[system].name == name


@pytest.mark.parametrize("name", ["tensorflow", "kears", 7])
def test_an_unknown_name_lists_the_known_ones(name):
    for call in (
        lambda: RMSprop.like(name, [parameter([1.0])], lr=0.1),
        lambda: RMSprop.dialects()[name],
        lambda: RMSprop.compare("torch", name),
    ):
        with pytest.raises(ValueError, match=r"there is no dialect") as error:
            call()
        assert repr(name) in str(error.value)
        assert all(known in str(error.value) for known in ROWS)


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row["defaults"]["lr"] is None])
def test_without_a_default_lr_the_error_names_lr_and_the_system(name):
    for given in ({}, {"lr": None}):
        with pytest.raises(TypeError, match=r"no default learning rate; give lr=") as error:
            RMSprop.like(name, [parameter([1.0])], **given)
        assert RMSprop.dialects()[name].system in str(error.value)


def test_arguments_that_a_dialect_does_not_have_are_refused():
    params = [parameter([1.0])]
    with pytest.raises(
        TypeError, match=r"torch has no argument 'rho'; its arguments are lr, alpha, .*contiguous_params$"
    ):
        RMSprop.like("torch", params, rho=0.9)
    with pytest.raises(TypeError, match=r"keras has no argument 'decay'; .*learning_rate, rho, epsilon$"):
        RMSprop.like("keras", params, decay=0.9)
    with pytest.raises(TypeError, match=r"keras has 'rho' already, as alpha"):
        RMSprop.like("keras", params, alpha=0.5, rho=0.9)
    with pytest.raises(ValueError, match=r"alpha is 1\.5"):
        RMSprop.like("keras", params, rho=1.5)


def test_a_subclass_and_contiguous_params_work_too():
    class Mine(RMSprop):
        pass

    made = Mine.like("sb3", [parameter([1.0])], contiguous_params=True)
    assert type(made) is Mine and made.param_groups[0]["contiguous_params"] is True


def test_the_table_prints_every_dialect_with_what_makes_it_different():
    table = RMSprop.dialects()
    lines = str(table).splitlines()
    assert [line.split()[0] for line in lines] == ["dialect", *table] and len(table) == 19
    start = lines[0].index("system")
    for line, row in zip(lines[1:], table.values()):
        assert line[start:] == row.system and line[start - 2 : start] == "  "
        assert all(switch in line for switch, on in ROWS[row.name]["switches"].items() if on)
        assert ("required" in line) == (ROWS[row.name]["defaults"]["lr"] is None)
    assert "'eps_in_sqrt': 'momentum > 0'" in repr(table["tf2"]) and table["tf1"].changed["initial_scale"] == 1
    assert "tensorflow" in repr(table["tf1"]) and table["hinton"].changed["lr"] == "required"
    assert {name for name, row in table.items() if not row.verified} == NEVER_RUN
    table.clear()
    assert len(RMSprop.dialects()) == 19  # every call gives a table of its own


# ---- Comparing -------------------------------------------------------------------------------------------------------


def test_two_names_of_one_rule_do_not_drift():
    assert RMSprop.compare("lucid", "PyTorch") == ({}, 0.0)


def test_a_comparison_says_in_one_line_what_is_what():
    """It was a bare pair: a dict and a number, and a reader had to know which distance that is."""
    found = RMSprop.compare("torch", "lucid2", [1.0], lr=0.5)
    assert str(found) == f"Comparison(differences={{'eps_in_sqrt': (False, True)}}, drift={found.drift})"
    assert found == (found.differences, found.drift) and 0 < found.drift < 1e-5


def test_a_comparison_of_one_step_is_what_the_formulas_say():
    g, lr = np.array([3.0, 1e-4]), 0.5
    outside, inside = lr * g / (np.sqrt(0.01 * g * g) + 1e-8), lr * g / np.sqrt(0.01 * g * g + 1e-8)
    differences, drift = RMSprop.compare("torch", "lucid2", [g], lr=lr)
    assert differences == {"eps_in_sqrt": (False, True)}
    assert drift == pytest.approx(np.linalg.norm(outside - inside), rel=1e-9)


def test_the_drift_is_the_largest_on_the_way_not_the_last():
    assert RMSprop.compare("torch", "sb3", [1.0, -1.0], lr=0.1, eps=0.0)[1] == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("pair", "gradient", "overrides", "differences"),
    [
        (("lucid2", "sb3"), 1e-3, {}, {"initial_scale": (0.0, 1.0)}),
        (("torch", "lucid2"), 1e-6, {"lr": 0.01}, {"eps_in_sqrt": (False, True)}),
        (("hinton", "mlx"), 1.0, {"lr": 0.01, "eps": 1e-8}, {"alpha": (0.9, 0.99)}),
        (("torch", "lucid-docs"), 1.0, {"momentum": 0.9}, {"lr_in_momentum": (False, True)}),
        (("oneflow", "keras"), 1.0, {"alpha": 0.9, "eps": 1e-7, "weight_decay": 0.5},
         {"decoupled_weight_decay": (False, True)}),
        (("optax", "paddle"), 1.0, {"alpha": 0.9, "lr": 0.01}, {"eps": (1e-8, 1e-6)}),
        (("lucid-docs", "netcl"), 1.0, {}, {"lr": (0.01, 0.001)}),
    ],
)  # fmt: skip
def test_the_setting_that_differs_is_named_and_makes_a_drift(pair, gradient, overrides, differences):
    found, drift = RMSprop.compare(*pair, [np.full(1, gradient)] * 20, **overrides)
    assert found == differences and drift > 1e-9


def test_where_lr_stands_shows_in_the_default_comparison_because_lr_changes():
    assert RMSprop.compare("torch", "lucid-docs", momentum=0.9)[1] > 0.01
    assert RMSprop.compare("torch", "lucid-docs", lr=0.01, momentum=0.9)[1] < 1e-12


def test_a_dialect_without_a_learning_rate_takes_the_others():
    for pair, lr in [(("optax", "keras"), 0.001), (("keras", "optax"), 0.001), (("optax", "tf1"), 0.01)]:
        differences, drift = RMSprop.compare(*pair, [1.0])
        assert "lr" not in differences and drift == pytest.approx(RMSprop.compare(*pair, [1.0], lr=lr)[1])


def test_a_comparison_leaves_the_gradients_and_the_random_streams_alone():
    gradients = [parameter([1.0, 2.0]), np.array([3, 4])]
    first = RMSprop.compare("torch", "tf1", gradients)
    assert first == RMSprop.compare("torch", "tf1", gradients)
    assert RMSprop.compare("mlx", "tf1") == RMSprop.compare("mlx", "tf1")
    assert gradients[0].tolist() == [1.0, 2.0] and gradients[1].tolist() == [3, 4]


# ---- PyTorch's state_dict --------------------------------------------------------------------------------------------

TORCH = read("torch_rmsprop.json")
SAME_STEPS = {"float64": 1e-14, "float32": 5e-6}  # torch fuses some products: a few ulps of 3, three steps on


class Tensor:
    """As much of a torch.Tensor as the converter may use; it is no array, as a tensor on a GPU is none."""

    def __init__(self, array):
        self.array, self.dtype, self.shape = np.array(array), "torch." + str(np.asarray(array).dtype), np.shape(array)

    def detach(self):
        return self

    cpu = detach

    def numpy(self):
        return self.array

    def __int__(self):
        return int(self.array)


def torchs(case, wrap=Tensor):
    """The recorded state_dict, as torch gives it: keys are numbers, state is tensors, step one of float32."""
    groups, state = case["state_dict"]["param_groups"], case["state_dict"]["state"]
    as_array = lambda key, value: np.asarray(value, "float32" if key == "step" else case["dtype"])
    state = {int(p): {k: wrap(as_array(k, v)) for k, v in values.items()} for p, values in state.items()}
    return {"state": state, "param_groups": [dict(group) for group in groups]}


def ours(case, **settings):
    params = [parameter(theta, case["dtype"]) for theta in case["theta"]]
    if case["arguments"] == "groups":
        return params, RMSprop([{"params": params[:1]}, {"params": params[1:]}], **settings)
    return params, RMSprop(params, **settings)


def plain(x):
    """An object in which equal dtypes, shapes and bits are equal."""
    if isinstance(x, dict):
        return {key: plain(value) for key, value in x.items()}
    if isinstance(x, list):
        return [plain(value) for value in x]
    x = x.array if isinstance(x, Tensor) else x
    return (str(x.dtype), x.shape, host(x).tobytes()) if hasattr(x, "dtype") else x


each_case = pytest.mark.parametrize(
    "case", TORCH["cases"], ids=lambda case: f"{case['dtype']}-{case['arguments'] or 'plain'}"
)


def test_the_recorded_dictionaries_have_what_matters():
    states = [{*values} - {"step"} for case in TORCH["cases"] for values in case["state_dict"]["state"].values()]
    every = [
        {"square_avg"} | extra for extra in ({*()}, {"momentum_buffer"}, {"grad_avg"}, {"momentum_buffer", "grad_avg"})
    ]
    assert all(kind in states for kind in every) and all(kind in every for kind in states)
    assert all("2" not in case["state_dict"]["state"] for case in TORCH["cases"])  # a parameter without state


@each_case
@pytest.mark.parametrize("before", ["new", "in another run", "contiguous"])
def test_a_run_of_torch_goes_on_here(case, before):
    params, optimizer = ours(case, eps_in_sqrt=before != "new", lr=3.0, contiguous_params=before == "contiguous")
    if before != "new":
        give(params, [np.ones(p.shape) for p in params])
        optimizer.step()
        for p, theta in zip(params, case["theta"]):
            p.data[...] = make(np.asarray(theta, case["dtype"])).data
    optimizer.load_torch(torchs(case))
    assert {*optimizer.state_dict()["state"]} == {0, 1}
    for group, theirs in zip(optimizer.param_groups, case["state_dict"]["param_groups"]):
        for name in ("lr", "alpha", "eps", "momentum", "centered", "weight_decay", "maximize"):
            assert group[name] == theirs[name]
        assert not any(group[name] for name in rmsprop.NOT_IN_TORCH)
        assert group["contiguous_params"] is (before == "contiguous")
    for grads in TORCH["grads"][5:]:
        give(params, grads)
        optimizer.step()
    for p, theta in zip(params, case["theta_after"]):
        assert np.abs(host(p) - np.asarray(theta)).max() <= SAME_STEPS[case["dtype"]]


@each_case
def test_what_came_from_torch_goes_back_bit_for_bit(case, monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    _, optimizer = ours(case)
    optimizer.load_torch(torchs(case))
    arrays = optimizer.to_torch()
    assert all(type(v) is np.ndarray for values in arrays["state"].values() for v in values.values())
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(tensor=Tensor))
    tensors = optimizer.to_torch()
    assert all(type(v) is Tensor for values in tensors["state"].values() for v in values.values())
    expected = torchs(case)
    for group in expected["param_groups"]:
        group["foreach"] = None  # which is torch's choice
    for found in (arrays, tensors):
        assert plain(found) == plain(expected)
    _, again = ours(case)
    again.load_torch(arrays)
    assert plain(again.state_dict()) == plain(optimizer.state_dict())


@pytest.mark.parametrize("changes", [{"momentum": 0.9}, {"centered": True}, {"momentum": 0.9, "centered": True}])
def test_what_was_switched_on_since_the_last_step_is_there_for_torch(changes):
    """torch would raise KeyError: 'momentum_buffer'."""
    params, optimizer = ours(TORCH["cases"][0])
    give(params, TORCH["grads"][0])
    optimizer.step()
    optimizer.param_groups[0].update(changes)
    state = optimizer.to_torch()["state"]
    names = {"momentum": "momentum_buffer", "centered": "grad_avg"}
    for i in (0, 1):
        assert {*state[i]} == {"step", "square_avg", *(names[change] for change in changes)}
        assert all(not np.asarray(state[i][names[change]]).any() for change in changes)
    assert {*state} == {0, 1} and {*optimizer.state_dict()["state"][0]} == {"step", "square_avg"}


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"eps_in_sqrt": True}, "eps_in_sqrt=True"),
        ({"initial_scale": 1.0}, "initial_scale=1.0"),
        ({"bias_correction": True}, "bias_correction=True"),
        ({"lr_in_momentum": True, "momentum": 0.9}, "lr_in_momentum=True"),
        ({"nesterov": True, "momentum": 0.9}, "nesterov=True"),
        ({"decoupled_weight_decay": True, "weight_decay": 0.1}, "decoupled_weight_decay=True"),
        ({"eps_in_sqrt": True, "initial_scale": 0.5}, "eps_in_sqrt=True, initial_scale=0.5"),
    ],
)
def test_what_torch_cannot_express_is_refused_by_name(settings, named):
    with pytest.raises(ValueError, match=f"torch.optim.RMSprop has no {named}, as in group 0"):
        RMSprop([parameter([1.0])], **settings).to_torch()


def test_switches_without_effect_and_a_schedulers_rate_go_to_torch():
    optimizer = RMSprop([parameter([1.0])], lr_in_momentum=True, decoupled_weight_decay=True, contiguous_params=True)
    optimizer.param_groups[0]["initial_lr"] = 0.25
    (group,) = optimizer.to_torch()["param_groups"]
    assert group == {
        "params": [0], "lr": 0.01, "alpha": 0.99, "eps": 1e-8, "weight_decay": 0.0, "momentum": 0.0, "centered": False,
        "maximize": False, "capturable": False, "foreach": None, "differentiable": False, "initial_lr": 0.25,
    }  # fmt: skip
    back = RMSprop([parameter([1.0])])
    back.load_torch({"state": {}, "param_groups": [group | {"param_names": ["weight"], "capturable": True}]})
    assert back.param_groups[0]["initial_lr"] == 0.25 and "param_names" not in back.param_groups[0]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"alpha": None}, r"group 0: the hyperparameters \['alpha'\] are missing"),
        ({"betas": (0.9, 0.999)}, r"no hyperparameter \['betas'\]"),
        ({"params": [0, 1]}, r"its groups have \[2\] parameters, here \[3\]"),
        ({"alpha": 1.5}, r"alpha is 1\.5"),
    ],
)
def test_a_torch_state_that_does_not_fit_changes_nothing(change, text):
    _, optimizer = ours(TORCH["cases"][1])
    optimizer.load_torch(torchs(TORCH["cases"][1]))
    before, other = plain(optimizer.state_dict()), torchs(TORCH["cases"][6])
    other["param_groups"][0].update(change)
    other["param_groups"][0] = {k: v for k, v in other["param_groups"][0].items() if v is not None or k == "foreach"}
    with pytest.raises(ValueError, match=text):
        optimizer.load_torch(other)
    assert plain(optimizer.state_dict()) == before


def test_states_of_other_shapes_and_other_objects_are_refused():
    _, optimizer = ours(TORCH["cases"][0])
    state = torchs(TORCH["cases"][0])
    state["state"][0]["square_avg"] = Tensor(np.zeros(4))
    with pytest.raises(ValueError, match=r"square_avg is \(4,\) float64; it must be .* of shape \(3,\)"):
        optimizer.load_torch(state)
    for wrong in (None, [], {}, {"state": {}}):
        with pytest.raises(TypeError, match="no optimizer's state_dict"):
            optimizer.load_torch(wrong)


@pytest.mark.parametrize("whole", [5, 5.0])
def test_an_older_torch_without_maximize_and_with_steps_as_numbers_is_understood(whole):
    state = torchs(TORCH["cases"][0])
    del state["param_groups"][0]["maximize"]
    for values in state["state"].values():
        values["step"] = whole
    _, optimizer = ours(TORCH["cases"][0])
    optimizer.load_torch(state)
    assert optimizer.param_groups[0]["maximize"] is False and optimizer.state_dict()["state"][0]["step"] == 5


# ---- The page --------------------------------------------------------------------------------------------------------


def tables():
    """The two tables of the page, made from the rows."""
    yes, rows, notes = {True: "yes", False: "no"}, [], []
    for name, d in RMSprop.dialects().items():
        s, told = d.settings, {"lr", "alpha", "eps", "eps_in_sqrt", "lr_in_momentum", "initial_scale"}
        rate = "required" if s["lr"] is None else f"{s['lr']:g}"
        root = yes.get(s["eps_in_sqrt"], "if momentum > 0")
        also = [k if v is True else f"{k}={v:g}" for k, v in d.changed.items() if k not in told]
        cells = [f"{s['alpha']:g}", f"{s['eps']:g}", root, yes[s["lr_in_momentum"]], f"{s['initial_scale']:g}"]
        rows.append([f"`{name}`", d.system, rate, *cells, ", ".join(also)])
        notes.append([f"`{name}`", d.verified or "nothing: it is only a formula", d.note])
    heads = (
        ["dialect", "system", "lr", "alpha", "eps", "eps in the root", "lr in the buffer", "v starts at", "also"],
        ["dialect", "checked against", "note"],
    )
    for head, body in zip(heads, (rows, notes)):
        lines = [head, ["---"] * len(head), *body]
        yield "\n".join("| " + " | ".join(cells).rstrip() + " |" for cells in lines)


def test_the_tables_of_the_page_say_what_the_code_does():
    text = PAGE.read_text(encoding="utf-8")
    for table in tables():
        assert table in text, f"docs/rmsprop.md should have:\n{table}"


def test_comparison_asks_for_gradients():
    with pytest.raises(ValueError, match="gradients is empty; give a list"):
        RMSprop.compare("torch", "lucid2", gradients=[])
