"""Module and its containers: what is registered, walked over, moved, saved and loaded, and what is refused."""

import copy
import gc
from collections import OrderedDict

import numpy as np
import pytest
from support import DEVICE, host, make

import lucidlite
from lucidlite import nn


class Block(nn.Module):
    """A Parameter, a buffer and a child, in an order other than that of the state."""

    def __init__(self, width=2):
        super().__init__()
        self.layer = nn.Linear(width, width)
        self.register_buffer("mean", make(np.zeros(width, "float32")))
        self.scale = nn.Parameter(np.ones(width, "float32"))
        self.width, self.note = width, "plain"

    def forward(self, x):
        return self.layer(x) * self.scale + self.mean


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = Block(), Block()

    def forward(self, x, twice=False):
        return self.second(self.first(x)) * (2 if twice else 1)


NAMES = [
    f"{block}.{name}" for block in ("first", "second") for name in ("scale", "mean", "layer.weight", "layer.bias")
]  # Parameters, then buffers, then children, as in PyTorch


def names_inside(module):
    """The names of all modules inside this one."""
    return [name for name, _ in module.named_modules()][1:]


def mlp():
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).to(DEVICE)


# ---- Registration ----------------------------------------------------------------------------------------------------


def test_parameter_is_the_packages_parameter():
    assert nn.Parameter is lucidlite.Parameter


def test_attributes_are_registered_by_what_they_are():
    block = Block()
    assert [name for name, _ in block.named_parameters()] == ["scale", "layer.weight", "layer.bias"]
    assert [name for name, _ in block.named_buffers()] == ["mean"]
    assert names_inside(block) == ["layer"]
    assert [name for name, _ in block.named_modules()] == ["", "layer"]
    assert [name for name, _ in block.named_parameters(recurse=False)] == ["scale"]
    assert next(block.parameters()) is block.scale and next(block.buffers()) is block.mean
    assert list(block.modules()) == [block, block.layer] and list(block.children()) == [block.layer]


def test_names_are_joined_by_dots_and_take_a_prefix():
    net = Net()
    assert [name for name, _ in net.named_modules("net")] == [
        "net", "net.first", "net.first.layer", "net.second", "net.second.layer",
    ]  # fmt: skip
    assert list(dict(net.named_parameters("net")))[:2] == ["net.first.scale", "net.first.layer.weight"]
    assert list(dict(net.named_buffers("net"))) == ["net.first.mean", "net.second.mean"]


def test_a_plain_tensor_and_a_plain_list_are_not_registered():
    module = nn.Module()
    module.x, module.sizes = make([1.0]), [1, 2, 3]
    assert list(module.state_dict()) == [] and module.sizes == [1, 2, 3]


def test_computed_names_are_registered_and_none_stands_for_nothing():
    module = nn.Module()
    module.register_parameter("w", nn.Parameter([1.0]))
    module.register_parameter("b", None)
    module.add_module("inner", nn.Identity())
    module.register_buffer("count", None)
    assert module.b is None and module.count is None and list(module.state_dict()) == ["w"]
    module.b, module.count = nn.Parameter([2.0]), make([0])
    assert list(module.state_dict()) == ["w", "b", "count"]


def test_a_buffer_assigned_anew_stays_a_buffer():
    block = Block()
    block.mean = make([5.0, 6.0])
    assert block.state_dict()["mean"].tolist() == [5.0, 6.0]
    assert [name for name, _ in block.named_buffers()] == ["mean"]
    block.mean = None
    assert list(block.named_buffers()) == []


def test_a_buffer_that_becomes_a_parameter_is_held_once():
    block = Block()
    block.mean = nn.Parameter([1.0, 1.0])
    assert [name for name, _ in block.named_buffers()] == []
    assert list(block.state_dict()).count("mean") == 1
    block.mean = None
    block.mean = make([1.0])  # not a buffer any more
    assert list(block.named_buffers()) == []


def test_deleted_attributes_are_gone_everywhere():
    block = Block()
    del block.layer, block.scale, block.mean
    assert list(block.state_dict()) == [] and not hasattr(block, "layer") and list(block.modules()) == [block]


def test_a_parameter_given_as_a_buffer_is_not_trained():
    block, w = Block(), nn.Parameter([1.0])
    block.register_buffer("w", w)
    assert [name for name, _ in block.named_buffers()] == ["mean", "w"] and "w" not in dict(block.named_parameters())
    assert block.w.data is w.data


def test_tied_parameters_are_trained_once_and_saved_under_both_names():
    net = Net()
    net.second.layer.weight = net.first.layer.weight
    assert [name for name, _ in net.named_parameters()].count("second.layer.weight") == 0
    assert len(list(net.parameters())) == 5 and net.count_parameters() == 2 * 8 - 4
    assert list(net.state_dict()) == NAMES
    net.load_state_dict({name: np.full(value.shape, 3.0) for name, value in net.state_dict().items()})
    assert net.second.layer.weight is net.first.layer.weight and (host(net.first.layer.weight) == 3).all()


def test_a_module_used_twice_is_walked_over_once():
    layer = nn.Linear(2, 2)
    model = nn.Sequential(layer, nn.ReLU(), layer)
    assert len(model) == 3 and len(list(model.parameters())) == 2 and len(list(model.modules())) == 3
    assert list(model.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    calls = []
    model.apply(calls.append)
    assert calls == [layer, model[1], model]


def test_a_class_attribute_may_be_the_default_of_a_child():
    class Optional(nn.Module):
        head = None

    module = Optional()
    module.head = nn.Linear(1, 1)
    assert names_inside(module) == ["head"]


# ---- Changing all of it ----------------------------------------------------------------------------------------------


def test_train_and_eval_reach_every_module_and_return_the_module():
    net = Net()
    assert net.training and net.eval() is net
    assert not any(module.training for module in net.modules())
    assert net.train() is net and all(module.training for module in net.modules())


def test_zero_grad_forgets_and_requires_grad_freezes():
    model = mlp()
    model(make(np.ones((5, 4), "float32"))).sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())
    assert model[0].requires_grad_(False) is model[0]
    model(make(np.ones((5, 4), "float32"))).sum().backward()
    assert [p.grad is None for p in model.parameters()] == [True, True, False, False]


def test_apply_visits_children_before_their_parent_and_returns_the_module():
    net, visited = Net(), []
    assert net.apply(visited.append) is net
    assert visited == [net.first.layer, net.first, net.second.layer, net.second, net]


def test_to_a_dtype_keeps_the_parameters_and_moves_gradients_and_buffers():
    block = Block().to(DEVICE)
    block.register_buffer("count", make([3]))
    block(make(np.ones((1, 2), "float32"))).sum().backward()
    before = list(block.parameters())
    assert block.to("float64") is block
    assert all(a is b for a, b in zip(block.parameters(), before))
    assert {str(p.dtype) for p in block.parameters()} == {str(p.grad.dtype) for p in block.parameters()} == {"float64"}
    assert block.mean.dtype == "float64" and block.count.dtype == "int64"  # whole numbers stay
    block.zero_grad()
    block(make(np.ones((1, 2)))).sum().backward()
    assert all(p.grad.dtype == "float64" for p in block.parameters())
    assert block.to(np.float16).scale.dtype == "float16"


def test_an_optimizer_goes_on_working_after_to():
    model = mlp()
    optimizer = lucidlite.optim.SGD(model.parameters(), lr=0.5)
    model.to("float64")
    model(make(np.ones((5, 4)))).sum().backward()
    before = model.state_dict()
    optimizer.step()
    assert all((host(p) != host(before[name])).any() for name, p in model.named_parameters() if "bias" in name)


def test_to_where_it_is_already_changes_nothing():
    model = mlp()
    before = [p.data for p in model.parameters()]
    model.to("float32").to(DEVICE)
    assert all(p.data is array for p, array in zip(model.parameters(), before))


def test_a_graph_from_before_a_move_says_so_in_its_backward():
    layer = nn.Linear(2, 2).to(DEVICE)
    loss = (layer(make([[1.0, 2.0]], True)) ** 2).sum()
    layer.to("float64")
    with pytest.raises(RuntimeError, match=r"linear: its argument weight, .*changed in place"):
        loss.backward()


def test_training_a_model_by_hand_lowers_the_loss():
    model, x = mlp(), make(np.eye(4, dtype="float32"))
    labels, losses = make([0, 1, 0, 1]), []
    for _ in range(50):
        loss = nn.functional.cross_entropy(model(x), labels)
        model.zero_grad()
        loss.backward()
        with lucidlite.no_grad():
            for p in model.parameters():
                p.data = p.data - 0.5 * p.grad
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


def test_a_model_is_freed_without_the_garbage_collector():
    import weakref

    gc.disable()
    try:
        model = mlp()
        loss = model(make(np.ones((1, 4), "float32"))).sum()
        loss.backward()
        gone = weakref.ref(model[0].weight)
        del model, loss
        assert gone() is None
    finally:
        gc.enable()


# ---- State -----------------------------------------------------------------------------------------------------------


def test_state_dict_holds_copies_under_pytorchs_names():
    net = Net()
    state = net.state_dict()
    assert type(state) is dict and list(state) == NAMES
    state["first.scale"][...] = 7
    assert (host(net.first.scale) == 1).all()
    assert list(mlp().state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_state_goes_round_bit_by_bit_and_keeps_objects_and_dtypes():
    source, target = Net().to(DEVICE), Net().to(DEVICE)
    before = list(target.parameters())
    assert target.load_state_dict(source.state_dict()) == ([], [])
    for name, value in target.state_dict().items():
        assert (host(value) == host(source.state_dict()[name])).all()
    assert all(a is b for a, b in zip(target.parameters(), before))
    target.load_state_dict({name: make(host(value).astype("float64")) for name, value in source.state_dict().items()})
    assert {str(value.dtype) for value in target.state_dict().values()} == {"float32"}


def test_loading_is_a_change_in_place_that_a_saved_graph_notices():
    layer = nn.Linear(2, 2).to(DEVICE)
    loss = layer(make([[1.0, 2.0]], True)).sum()
    layer.load_state_dict(layer.state_dict())
    with pytest.raises(RuntimeError, match=r"linear: its argument weight, .*changed in place"):
        loss.backward()


def test_every_mismatch_is_listed_in_one_error_and_nothing_is_changed():
    model = mlp()
    before, state = model.state_dict(), model.state_dict()
    state = {name: value + 1 for name, value in state.items()}
    del state["0.bias"]
    state |= {"2.weight": np.zeros((7, 7)), "2.bias": np.zeros(2, complex), "3.weight": np.zeros(1), "extra": 3}
    with pytest.raises(ValueError) as error:
        model.load_state_dict(state)
    assert str(error.value).splitlines() == [
        "load_state_dict changed nothing, because this does not fit:",
        "  missing: 0.bias",
        "  unexpected: 3.weight",
        "  unexpected: extra",
        "  2.weight = shape (7, 7), but the tensor has (2, 3); they must be equal",
        "  2.bias = complex128 values, but the tensor is float32; convert with .astype()",
    ]
    for name, value in model.state_dict().items():
        assert (host(value) == host(before[name])).all()


def test_loading_takes_what_data_takes_and_what_is_no_array_is_listed_too():
    layer = nn.Linear(1, 1).to(DEVICE)
    layer.load_state_dict({"weight": np.full((1, 1), 3), "bias": np.zeros(1)})
    assert layer.weight.tolist() == [[3.0]] and layer.weight.dtype == "float32"
    block = Block()
    block.register_buffer("count", make([0]))
    with pytest.raises(ValueError, match="count = float64 values, but the tensor is int64"):
        block.load_state_dict({"count": np.array([0.5])}, strict=False)
    with pytest.raises(ValueError, match="no tensor can be made of the str"):
        layer.load_state_dict({"bias": "zeros"}, strict=False)


def test_not_strict_passes_over_names_but_not_over_shapes():
    model = mlp()
    state = {"0.bias": np.ones(3), "other": np.ones(1)}
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert missing == ["0.weight", "2.weight", "2.bias"] and unexpected == ["other"]
    assert (host(model[0].bias) == 1).all()
    with pytest.raises(ValueError, match=r"0\.bias = shape"):
        model.load_state_dict({"0.bias": np.ones(4)}, strict=False)


def test_a_0d_parameter_is_saved_and_loaded():
    module = nn.Module()
    module.gain = nn.Parameter(2.0)
    state = module.state_dict()
    module.gain.data = 5.0
    module.load_state_dict(state)
    assert module.gain.item() == 2.0 and state["gain"].shape == ()


def test_deepcopy_is_independent_and_keeps_ties():
    net = Net().to(DEVICE)
    net.second.layer.weight = net.first.layer.weight
    net(make([[1.0, 2.0]])).sum().backward()
    twin = copy.deepcopy(net)
    assert list(twin.state_dict()) == NAMES and twin.second.layer.weight is twin.first.layer.weight
    assert not set(map(id, twin.parameters())) & set(map(id, net.parameters()))
    assert (
        isinstance(twin.first.scale, nn.Parameter) and (host(twin.first.scale.grad) == host(net.first.scale.grad)).all()
    )
    twin.first.scale.data = [9.0, 9.0]
    assert (host(net.first.scale) == 1).all()
    twin(make([[1.0, 2.0]])).sum().backward()
    assert twin.first.layer.weight.requires_grad


# ---- Hooks -----------------------------------------------------------------------------------------------------------


def test_hooks_see_and_replace_arguments_and_output_until_they_are_removed():
    net, seen = Net().to(DEVICE), []
    x = make([[1.0, 2.0]])
    plain = host(net(x))

    def before(module, args):
        seen.append(("before", module, len(args)))
        return args[0] * 0  # one value stands for a tuple of one

    def after(module, args, output):
        seen.append(("after", module, args[0].tolist()))
        return output + 1

    first, second = net.register_forward_pre_hook(before), net.register_forward_hook(after)
    np.testing.assert_allclose(host(net(x)), host(net.forward(x * 0) + 1))
    assert seen == [("before", net, 1), ("after", net, [[0.0, 0.0]])]
    first.remove(), second(), second.remove()  # lucid's handles are called
    assert (host(net(x)) == plain).all() and len(seen) == 2


def test_hooks_with_kwargs_see_and_replace_them():
    net, x = Net().to(DEVICE), make([[1.0, 2.0]])
    plain = host(net(x))
    outputs = []
    net.register_forward_pre_hook(lambda module, args, kwargs: (args, {"twice": True}), with_kwargs=True)
    net.register_forward_hook(lambda module, args, kwargs, output: outputs.append((kwargs, output)), with_kwargs=True)
    np.testing.assert_array_equal(host(net(x, twice=False)), 2 * plain)
    assert outputs[0][0] == {"twice": True}


def test_hooks_run_in_the_order_of_their_registration():
    module, order = nn.Identity(), []
    for i in range(3):
        module.register_forward_hook(lambda m, args, output, i=i: order.append(i))
    assert module(5) == 5 and order == [0, 1, 2]


def test_a_hook_may_remove_itself():
    module, calls = nn.Identity(), []
    handle = module.register_forward_hook(lambda m, args, output: (calls.append(1), handle.remove())[1])
    module(1), module(1)
    assert calls == [1]


# ---- Containers ------------------------------------------------------------------------------------------------------


def test_sequential_indexes_slices_and_iterates():
    model = mlp()
    assert model[0] is next(iter(model)) and model[-1] is model[2] and len(model) == 3
    tail = model[1:]
    assert type(tail) is nn.Sequential and list(tail) == [model[1], model[2]]
    assert list(tail.state_dict()) == ["2.weight", "2.bias"]  # the names stay, as in PyTorch
    x = make(np.ones((2, 4), "float32"))
    np.testing.assert_array_equal(host(tail(model[:1](x))), host(model(x)))


def test_sequential_takes_a_dict_and_an_empty_one_is_the_identity():
    for kind in (OrderedDict, dict):
        model = nn.Sequential(kind([("hidden", nn.Linear(2, 3)), ("out", nn.Linear(3, 1))]))
        assert list(model.state_dict()) == ["hidden.weight", "hidden.bias", "out.weight", "out.bias"]
        assert model[1] is model.out
    assert nn.Sequential()(7) == 7


def test_sequential_grows_shrinks_and_counts_anew():
    a, b, c, d = (nn.Linear(1, 1) for _ in range(4))
    model = nn.Sequential(a)
    model.append(c)
    model.insert(1, b)
    model.extend([d])
    assert list(model) == [a, b, c, d] and names_inside(model) == ["0", "1", "2", "3"]
    del model[1]
    assert list(model) == [a, c, d] and list(model.state_dict())[-1] == "2.bias"
    model[-1] = b
    assert list(model) == [a, c, b] and model.pop() is b and len(model) == 2
    del model[:]
    assert len(model) == 0 and list(model.state_dict()) == []


def test_a_slice_that_grows_keeps_what_it_has():
    """Its modules keep the names "1" and "2"; the third used to be called "2" too, and took the second one's place."""
    a, b, c, d = (nn.Linear(1, 1) for _ in range(4))
    tail = nn.Sequential(a, b, c)[1:]
    tail.append(d)
    assert list(tail) == [b, c, d] and names_inside(tail) == ["0", "1", "2"]


def test_module_list_holds_what_a_forward_calls_itself():
    layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))
    assert len(layers) == 3 and len(list(layers.parameters())) == 6 and type(layers[:2]) is nn.ModuleList
    assert [layer in layers for layer in (layers[1], nn.ReLU())] == [True, False]
    layers.insert(0, nn.ReLU())
    del layers[-1]
    assert names_inside(layers) == ["0", "1", "2"] and isinstance(layers[0], nn.ReLU)
    assert len(nn.ModuleList()) == 0


def test_module_dict_is_a_dict_of_modules():
    heads = nn.ModuleDict({"a": nn.Linear(1, 1), "b": nn.ReLU()})
    assert list(heads) == list(heads.keys()) == ["a", "b"] and len(heads) == 2 and "a" in heads and "c" not in heads
    assert list(heads.values()) == [heads["a"], heads.b] and list(heads.state_dict()) == ["a.weight", "a.bias"]
    heads["c"] = nn.Tanh()
    heads.update({"b": nn.Sigmoid()})
    assert [name for name, _ in heads.items()] == ["a", "b", "c"] and isinstance(heads["b"], nn.Sigmoid)
    assert isinstance(heads.pop("c"), nn.Tanh) and heads.pop("c", None) is None and heads.get("c") is None
    del heads["a"]
    heads.clear()
    assert len(heads) == 0 and heads == heads and {heads: 1}


def test_a_subclass_of_sequential_may_set_its_own_modules():
    class Small(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Linear(2, 3), nn.Tanh())

    assert Small()(make([[1.0, 2.0]])).shape == (1, 3) if DEVICE == "cpu" else True


# ---- Printing --------------------------------------------------------------------------------------------------------


def test_repr_shows_the_tree_with_its_numbers_of_parameters():
    net = nn.Sequential({"body": nn.Sequential(nn.Linear(64, 128), nn.ReLU()), "drop": nn.Dropout(0.2)})
    assert repr(net).splitlines() == [
        "Sequential(  # 8,320 parameters",
        "  (body): Sequential(  # 8,320 parameters",
        "    (0): Linear(in_features=64, out_features=128)  # 8,320 parameters",
        "    (1): ReLU()",
        "  )",
        "  (drop): Dropout(p=0.2)",
        ")",
    ]
    assert repr(nn.CrossEntropyLoss(ignore_index=-1)) == "CrossEntropyLoss(reduction='mean', ignore_index=-1)"
    assert repr(Block()).splitlines()[0] == "Block(width=2, note='plain'  # 8 parameters"


# ---- Refusals --------------------------------------------------------------------------------------------------------


class Unfinished(nn.Module):
    pass


def inside_itself():
    outer = nn.Module()
    outer.inner = nn.Module()
    outer.inner.parent = outer


def assign(name, value):
    return lambda: setattr(Block(), name, value)


REFUSALS = {
    "no forward": (
        lambda: Unfinished()(1), NotImplementedError, r"Unfinished has no forward; define `def forward\(self, x\)`",
    ),
    "list": (assign("layers", [nn.ReLU()]), TypeError, r"Block.layers = a list: .*nn.ModuleList"),
    "tuple": (assign("layers", (1, nn.ReLU())), TypeError, "Block.layers = a tuple"),
    "dict": (assign("layers", {"a": nn.Parameter([1.0])}), TypeError, "a dict: it must be a Parameter or"),
    "parameter by tensor": (
        assign("scale", make([1.0])),
        TypeError, r"Block.scale = a Tensor: it must be a Parameter; .*new numbers go into \.data",
    ),
    "parameter by array": (assign("scale", np.ones(2)), TypeError, "Block.scale = a ndarray: it must be a Parameter"),
    "module by function": (assign("layer", abs), TypeError, "Block.layer = a builtin.*: it must be a Module; "),
    "buffer by number": (assign("mean", 3), TypeError, "Block.mean = a int: it must be a Tensor"),
    "inside itself": (inside_itself, ValueError, "Module.parent = a Module: it contains this very module"),
    "name, method": (
        assign("forward", nn.ReLU()), ValueError, "Block.forward = a ReLU: the name 'forward' is .*a method's",
    ),
    "name, own": (assign("training", nn.Parameter([1.0])), ValueError, "'training'"),
    "name, dot": (lambda: nn.Module().add_module("a.b", nn.ReLU()), ValueError, "'a.b' .*has a dot"),
    "name, empty": (lambda: nn.Module().register_buffer("", make([1.0])), ValueError, "'' is empty"),
    "name, number": (lambda: nn.Module().register_parameter(1, None), TypeError, "int"),
    "register_parameter": (
        lambda: nn.Module().register_parameter("w", make([1.0])), TypeError, "a Parameter or Module or NoneType",
    ),
    "register_buffer, array": (
        lambda: nn.Module().register_buffer("b", np.ones(2)), TypeError, "must be a Tensor or NoneType",
    ),
    "add_module": (lambda: nn.Module().add_module("m", abs), TypeError, "m = a .*: it must be a Parameter or Module"),
    "train": (lambda: nn.ReLU().train("yes"), TypeError, "train: mode is 'yes'; it must be True or False"),
    "requires_grad_": (lambda: Block().requires_grad_(None), TypeError, "requires_grad is None"),
    "to, device": (lambda: Block().to("cuda"), ValueError, "unknown device 'cuda'"),
    "to, device, nothing to move": (lambda: nn.ReLU().to("cuda"), ValueError, "unknown device 'cuda'"),
    "to, dtype": (lambda: Block().to("int64"), TypeError, "to: int64 parameters could have no gradients"),
    "to, kind": (lambda: Block().to("float33"), ValueError, "'float33'"),
    "state": (lambda: Block().load_state_dict(Block()), TypeError, r"state_dict\(\) gives, not a Block"),
    "Sequential, list": (lambda: nn.Sequential([nn.ReLU()]), TypeError, r"Sequential.0 = a list: .*Module; .*\*"),
    "Sequential, class": (lambda: nn.Sequential(nn.ReLU), TypeError, "Sequential.0 = a type: .*parentheses"),
    "Sequential, index": (
        lambda: nn.Sequential(nn.ReLU())[1], IndexError, "out of range",
    ),
    "Sequential, negative index": (lambda: nn.Sequential(nn.ReLU())[-2], IndexError, "out of range"),
    "Sequential, key": (lambda: nn.Sequential(nn.ReLU())["a"], TypeError, "str"),
    "Sequential, item": (lambda: nn.Sequential(nn.ReLU()).__setitem__(0, 3), TypeError, "a int"),
    "Sequential, append": (lambda: nn.Sequential().append(None), TypeError, "None"),
    "ModuleList, element": (lambda: nn.ModuleList([nn.ReLU(), 3]), TypeError, "ModuleList.1 = a int"),
    "ModuleList, call": (lambda: nn.ModuleList()(1), NotImplementedError, "ModuleList has no forward"),
    "ModuleDict, key": (lambda: nn.ModuleDict({"a": nn.ReLU()})["b"], KeyError, "'b'"),
    "ModuleDict, delete": (lambda: nn.ModuleDict().__delitem__("b"), KeyError, "'b'"),
    "ModuleDict, method": (lambda: nn.ModuleDict({"items": nn.ReLU()}), ValueError, "'items' .*a method's"),
    "ModuleDict, value": (lambda: nn.ModuleDict({"a": 3}), TypeError, "ModuleDict.a = a int"),
    "ModuleDict, None": (lambda: nn.ModuleDict({"a": None}), TypeError, "ModuleDict.a = a NoneType"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
def test_misuse_of_modules_is_refused_with_what_and_the_remedy(name):
    call, kind, message = REFUSALS[name]
    with pytest.raises(kind, match=message):
        call()


def test_a_refused_change_leaves_the_module_as_it_was():
    block, model = Block(), mlp()
    before, modules = block.state_dict(), list(model)
    for call in (
        lambda: setattr(block, "scale", 3),
        lambda: setattr(block, "mean", 3),
        lambda: block.to("int8"),
        lambda: model.insert(0, 3),
        lambda: model.insert(0, model),
        lambda: model.__setitem__(0, None),
        lambda: model.extend([3]),
        lambda: model.__setitem__(0, "x"),
        lambda: model.__delitem__(9),
    ):
        with pytest.raises((TypeError, IndexError, ValueError)):
            call()
    assert list(block.state_dict()) == list(before) and list(model) == modules


def test_a_missing_attribute_is_an_attribute_error_that_names_it():
    with pytest.raises(AttributeError, match="'Block' object has no attribute 'scael'"):
        _ = Block().scael
    assert not hasattr(Block(), "nothing")


def test_a_forgotten_or_a_late_super_init_does_no_harm():
    """It used to be refused; in PyTorch it is an AttributeError that names a method the user has never heard of."""

    class Forgetful(nn.Module):
        def __init__(self, late):
            self.layer, self.scale = nn.Linear(2, 2), nn.Parameter([1.0])
            self.register_buffer("mean", make([0.0]))
            if late:
                super().__init__()

    for late in (False, True):
        module = Forgetful(late)
        assert list(module.state_dict()) == ["scale", "mean", "layer.weight", "layer.bias"] and module.training
    with pytest.raises(TypeError, match="argument"):
        nn.ReLU(3)
