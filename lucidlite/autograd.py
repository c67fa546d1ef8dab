"""Automatic differentiation in one lesson: record what happens, then walk it backwards.

An op is a forward function on raw arrays and, for each input that has a derivative, one rule: from the gradient `g` of
the result it makes the gradient of that input (a vector-Jacobian product).

    @op
    def multiply(a, b):
        return a * b

    defgrad(multiply, a=lambda g, b: g * b, b=lambda g, a: g * a)

A rule's parameter names say what the engine keeps for it: an input or option of the op by its name, `y` for the result,
`a_shape` for the shape of the input `a`. Broadcasting and dtypes are undone by `propagate`, the chain rule itself."""

import contextlib
import functools
import itertools
import threading
import weakref
from heapq import heappop, heappush
from operator import itemgetter
from typing import Any

from . import backend, checks
from .backend import FLOAT32, ndarray

Tensor: Any = None  # the class of what an op returns; tensor.py sets it, so that this file can be read first
watch: Any = None  # what `detect_anomaly` sets, to see the result of every op and of every rule
_clock = itertools.count(1).__next__  # numbers ops and in-place changes: what has the greater number came later
_new = object.__new__


class Version:
    """When the memory of an array was last changed in place; an array and its views share one."""

    changed = 0
    latest = 0  # the last change of any array: as long as nothing changes, nothing needs to be checked

    def bump(self):
        self.changed = Version.latest = _clock()


class Node:
    """One op that was carried out, or a leaf. It knows no Tensor of a graph, and a leaf's only weakly: no cycles."""

    __slots__ = ("number", "plan", "parents", "values", "constants", "version", "shape", "dtype", "tensor")


class Plan:
    """What one op keeps and runs when just these of its inputs need a gradient: made once, used at every call."""

    def __init__(self, op, mask):
        self.op, arity = op, len(op.names)
        needing = [i for i in range(arity) if mask >> i & 1] if op.rules else []
        for i in {*needing} - {*op.rules}:
            raise TypeError(f"{op.name}: {op.names[i]} requires a gradient, which it cannot get here; .detach() it")
        wanted = [parameters(op.rules[i])[1:] for i in needing]
        self.shapes = [i for i, n in enumerate(op.names) if n + "_shape" in itertools.chain(*wanted)]
        slots = [*op.names, "y", *(op.names[i] + "_shape" for i in self.shapes)]
        self.kept = [slots.index(n) for names in wanted for n in names]  # one rule's arguments after the other's
        ends = list(itertools.accumulate(map(len, wanted), initial=0))
        parts = [slice(a, b) if b - a > 1 else a if b > a else None for a, b in itertools.pairwise(ends)]
        self.edges = [(i, op.rules[i], part) for i, part in zip(needing, parts)]
        self.pick = _picker(self.kept)
        self.arguments_only = max(self.kept, default=0) < arity
        self.constants = [slot for slot in dict.fromkeys(self.kept) if slot < arity and not mask >> slot & 1]
        self.pick_constants = _picker(self.constants)


def _picker(slots) -> Any:
    """A fast `lambda values: tuple(values[slot] for slot in slots)`; one slot comes twice, None stands for no slots."""
    return itemgetter(*slots, *slots[: len(slots) == 1]) if slots else None


# ---- Recording -------------------------------------------------------------------------------------------------------


class GradMode(threading.local):
    """Whether this thread records ops, and the same for each `with` block that it is in."""

    enabled: bool = True
    outer: Any = ()


mode = GradMode()


class no_grad(contextlib.ContextDecorator):
    """Within it ops are carried out but not recorded: `with no_grad():`, or `@no_grad()` above a function."""

    recording = False

    def __new__(cls, function=None) -> Any:
        self = super().__new__(cls)
        return self if function is None else self(function)  # `@no_grad` works like `@no_grad()`

    def __enter__(self):
        mode.outer, mode.enabled = (mode.enabled, mode.outer), self.recording
        return self

    def __exit__(self, *exception):
        mode.enabled, mode.outer = mode.outer


class enable_grad(no_grad):
    """Within it ops are recorded again, inside `no_grad` too."""

    recording = True


def grad_enabled():
    """Whether ops are being recorded in this thread."""
    return mode.enabled


def wrap(array, node=None, version=None) -> Any:
    """A Tensor around an array, without copy or checks."""
    tensor = _new(Tensor)
    tensor._data, tensor._node, tensor._version, tensor._grad = array, node, version, None
    return tensor


def leaf(tensor):
    """The node of a tensor that collects gradients; it must not keep the tensor alive."""
    node = Node()
    node.number, node.shape, node.dtype, node.version = _clock(), tensor.shape, tensor.dtype, tensor._version
    node.plan = node.parents = node.values = node.constants = None
    node.tensor = weakref.ref(tensor)
    return node


def version_of(tensor) -> Version:
    """The tensor's version counter, made when first asked for. Its node has it too: children look for it there."""
    node = tensor._node
    if tensor._version is None:
        tensor._version = (node and node.version) or Version()
        if node:
            node.version = tensor._version
    return tensor._version


def parameters(function):
    """The names of a function's parameters. (`inspect` knows them too, but its import takes a tenth of NumPy's.)"""
    checks.refuse(not hasattr(function, "__code__"), f"{function!r} is no plain function; use def or lambda", TypeError)
    return list(getattr(function, "parameters", function.__code__.co_varnames[: function.__code__.co_argcount]))


class Op:
    """What is known of one op: its forward, its argument names, and its gradient rules by argument position."""

    def __init__(self, described, forward):
        self.forward, self.name = forward, described.__name__.lstrip("_")
        self.names, defaults = parameters(described), described.__defaults__ or ()
        self.required = len(self.names) - len(defaults)
        self.defaults = (None,) * self.required + defaults
        self.rules, self.plans = {}, {}

    def run(self, args, values, parents, mask, tensors=True):
        """The Tensor for the result, if there are `tensors`; bit i of the mask: argument i is part of a graph."""
        try:
            y = self.forward(*values)
        except Exception as error:
            raise checks.explain(self.name, self.names, values, error) from None
        if not tensors:
            return y
        if type(y) is not ndarray or y.dtype is not FLOAT32:
            y = backend.settle(y, self, values)
        out = _new(Tensor)  # wrap(y), spelled out: every op pays for a call
        out._data, out._node, out._version, out._grad = y, None, None, None
        if y.base is not None or y is values[0] or y is values[-1]:
            for x in args:  # a result that is a view of an argument shares its version counter
                if isinstance(x, Tensor) and backend.may_share_memory(y, x._data):
                    out._version = version_of(x)
        if mask and mode.enabled:
            plan = self.plans.get(mask)
            if plan is None:
                plan = self.plans[mask] = Plan(self, mask)
            if plan.edges:
                out._node = node = Node()
                node.number, node.shape, node.dtype, node.version = _clock(), y.shape, y.dtype, out._version
                node.plan, node.parents, node.values, node.constants, node.tensor = plan, parents, None, None, None
                if plan.pick is not None:  # what the rules ask for; of constants the Tensor too, which has the version
                    known = values if plan.arguments_only else [*values, y]
                    for i in plan.shapes:
                        known.append(values[i].shape)
                    node.values = plan.pick(known)
                    if plan.constants:
                        node.constants = plan.pick_constants(args)
        if watch is not None:
            watch(self.name, self.names, values, y, out)
        return out

    def fill(self, args, options):
        given = dict(zip(self.names, args)) | options
        if len(given) < len(args) + len(options) or not {*self.names[: self.required]} <= {*given} <= {*self.names}:
            raise TypeError(f"{self.name}: {len(args)} values, {[*options]}; it takes {', '.join(self.names)}")
        return tuple((dict(zip(self.names, self.defaults)) | given).values())


def op(described, forward=None) -> Any:
    """Make a function on raw arrays an op: it takes Tensors, returns a Tensor and records itself.

    Without a Tensor among its arguments it is just the function. So rules, which call ops too, run on plain arrays, and
    record themselves when `create_graph=True` hands them Tensors. `forward` is called for what lends it a signature."""
    this = Op(described, forward or described)
    way = {("a",): _unary, ("a", "b"): _binary}.get(tuple(this.names), _general)
    call = functools.wraps(described)(way(this, this.forward))
    call.op = this  # pyright: ignore[reportAttributeAccessIssue]
    return call


def _unary(this, forward):
    def call(a):
        if not isinstance(a, Tensor):
            return forward(a)
        return this.run((a,), (a._data,), (a._node,), a._node is not None)

    return call


def _binary(this, forward):
    def call(a, b):
        node_a = node_b = None
        if isinstance(a, Tensor):
            value_a, node_a = a._data, a._node
            if isinstance(b, Tensor):
                value_b, node_b = b._data, b._node
            else:
                value_b = backend.operand(b, this.name, "b")
        elif isinstance(b, Tensor):
            value_a, value_b, node_b = backend.operand(a, this.name, "a"), b._data, b._node
        else:
            return forward(a, b)
        mask = (node_a is not None) | (node_b is not None) << 1
        return this.run((a, b), (value_a, value_b), (node_a, node_b), mask)

    return call


def _general(this, forward):
    def call(*args, **options):
        if options or not this.required <= len(args) <= len(this.names):
            args = this.fill(args, options)
        args += this.defaults[len(args) :]
        values, parents, mask, found, others = list(args), [None] * len(args), 0, False, []
        for i, x in enumerate(args):
            if isinstance(x, Tensor):
                found, values[i], parents[i] = True, x._data, x._node
                mask |= (x._node is not None) << i
            elif x is not None:
                others.append(i)
        for i in others if found else ():
            if i in this.rules or isinstance(args[i], ndarray):
                values[i] = backend.operand(args[i], this.name, this.names[i])
        return this.run(args, values, parents, mask, found)

    return call


def defgrad(call, /, **rules):
    """Give an op the gradient rules of its inputs, see the top of this file, and return it."""
    checks.refuse(not hasattr(call, "op"), f"defgrad: {call!r} is no op; write @op above its definition", TypeError)
    names = call.op.names
    known = {*names, "y", *(n + "_shape" for n in names)}
    for name, rule in rules.items():
        g, *wanted = parameters(rule) or [None]
        if name not in names or g is None or not known.issuperset(wanted):
            raise TypeError(f"{call.op.name} takes {names}; it cannot serve a rule for {name} of ({g}, {wanted})")
        call.op.rules[names.index(name)] = rule
    call.op.plans.clear()  # made of the rules so far: in a notebook one gives them again
    return call


# ---- Walking back ----------------------------------------------------------------------------------------------------


def propagate(roots, create_graph=False, retain_graph=False, wanted=None):
    """The chain rule: from (node, gradient) pairs to {node: gradient}, for all leaves or for the wanted nodes.

    The newest pending node comes first: whatever used it is newer still, so its gradient is complete."""
    pending, results = {}, {}
    needed = None if wanted is None else _leading_to(wanted, roots)
    for node, g in roots:
        pending[node] = pending[node] + g if node in pending else g
    queue = sorted((-node.number, node) for node in pending if node.tensor is None)  # a heap, the newest first
    latest, watching = Version.latest, watch
    while queue:
        node = heappop(queue)[1]
        g = pending.pop(node)
        if wanted is not None and node in wanted:
            results[node] = g
        if node.plan is None:
            raise RuntimeError("an earlier backward pass freed this graph; compute it again, or pass retain_graph=True")
        if latest > node.number:
            _check_versions(node)
        values, parents = _as_tensors(node) if create_graph else node.values or (), node.parents
        for i, rule, part in node.plan.edges:
            parent = parents[i]
            if needed is not None and parent not in needed:
                continue
            try:
                if part is None:
                    product = rule(g)
                elif type(part) is int:  # what comes below, without the cost of a call with a star
                    product = rule(g, values[part])
                else:
                    product = rule(g, *values[part])
                if product.shape != parent.shape:
                    product = _unbroadcast(product, parent.shape, node.plan.op.name)
                if product.dtype is not parent.dtype:
                    product = product.astype(parent.dtype)
            except Exception as error:
                error.add_note(_rule_of(node, i))
                raise
            if watching is not None:
                kept = () if part is None else values[part] if type(part) is slice else (values[part],)
                watching(_rule_of(node, i), parameters(rule), (g, *kept), product)
            others = pending.get(parent)
            if others is not None:
                pending[parent] = others + product
            elif parent.tensor is None:
                pending[parent] = product
                heappush(queue, (-parent.number, parent))
            else:  # a leaf, which stays pending; its gradient must be its own, not an array that others have too
                own = create_graph or not (product is g or product.base is not None or id(product) in map(id, values))
                pending[parent] = product if own else product.copy()
        if not retain_graph:
            node.plan = node.parents = node.values = node.constants = None
    return results | pending


def _rule_of(node, i):
    """How messages name a rule; under `detect_anomaly` a node's plan has a line, `log, called at file.py:12`."""
    return f"{getattr(node.plan, 'line', node.plan.op.name)}: in the gradient rule of {node.plan.op.names[i]}"


def _unbroadcast(g, shape, op):
    extra = g.ndim - len(shape)
    if extra < 0 or any(n != 1 and n != g.shape[i] for i, n in enumerate(shape, extra)):
        raise RuntimeError(f"{op}: a gradient rule returned shape {g.shape} for an input of shape {shape}")
    axes = (*range(extra), *(i for i, n in enumerate(shape, extra) if n != g.shape[i]))
    return g.sum(axis=axes, keepdims=True).reshape(shape)


def _kept(node) -> Any:
    """(slot, value, whatever has its version counter) of all that was kept for the rules of this node."""
    plan, arity = node.plan, len(node.plan.op.names)
    holders = dict(enumerate(node.parents)) | dict(zip(plan.constants, node.constants or ())) | {arity: node}
    return [(slot, value, holders.get(slot)) for slot, value in zip(plan.kept, node.values or ())]


def _check_versions(node):
    op = node.plan.op
    for slot, value, holder in _kept(node):
        version = holder._version if isinstance(holder, Tensor) else getattr(holder, "version", None)
        if version is not None and version.changed > node.number:
            what = f"argument {op.names[slot]}, shape" if slot < len(op.names) else "result, shape"
            what += f" {value.shape}, saved at version {node.number}, has been changed in place"
            remedy = "change a copy, as in x = x.clone(), or do it after backward()"
            raise RuntimeError(f"{op.name}: its {what} (version {version.changed}); {remedy}")


def _as_tensors(node):
    """The kept values, with those arrays as Tensors again that hang in the graph; constants stay arrays."""
    return [wrap(v, h, h.version) if isinstance(h, Node) else v for _, v, h in _kept(node)]


def _leading_to(wanted, roots):
    """The nodes between the roots and the wanted ones: only their rules need to run."""
    stack, reached, needed = [node for node, _ in roots], set(), set(wanted)
    while stack:
        node = stack.pop()
        if node and node not in reached:
            reached.add(node)
            stack.extend(node.parents or ())
    for node in sorted(reached, key=lambda node: node.number):
        freed = node.plan is None and node.tensor is None  # nobody knows where it led to; propagate will say so
        if freed or not needed.isdisjoint(node.parents or ()):
            needed.add(node)
    return needed


@enable_grad()
def grad(
    outputs: Any, inputs: Any, grad_outputs: Any = None, create_graph: bool = False,
    retain_graph: bool | None = None, allow_unused: bool = False,
) -> Any:  # fmt: skip
    """Gradients of the outputs' sum with respect to the inputs, as Tensors of their shapes; touches no `.grad`.

    Outputs and inputs are Tensors, leaves or not, or lists of them; a list of inputs gives a list. `grad_outputs` are
    the gradients that arrive at the outputs; None is 1, for one element. `create_graph` records the gradients, which
    can then be differentiated too; `retain_graph`, which follows it unless given, keeps the graph for another pass.
    `allow_unused` gives None, not an error, for an input without influence.

    >>> x = lucidlite.tensor(3.0, requires_grad=True)
    >>> lucidlite.grad(lucidlite.grad(x**3, x, create_graph=True), x).item()
    18.0"""
    single, outputs, inputs = isinstance(inputs, Tensor), _tensors("outputs", outputs), _tensors("inputs", inputs)
    if not isinstance(grad_outputs, (list, tuple)):
        grad_outputs = [grad_outputs] * (len(outputs) if grad_outputs is None else 1)
    if len(grad_outputs) != len(outputs):
        raise ValueError(f"grad: {len(outputs)} outputs, but {len(grad_outputs)} grad_outputs; give one for each")
    for i, x in enumerate(inputs):
        if x._node is None:
            raise RuntimeError(f"grad: input {i}, shape {x.shape}, requires no gradient; set requires_grad=True")
    roots = [root("grad", y, g, create_graph) for y, g in zip(outputs, grad_outputs)]
    retain_graph = create_graph if retain_graph is None else retain_graph
    found = propagate(roots, create_graph, retain_graph, {x._node for x in inputs})
    gradients = []
    for i, x in enumerate(inputs):
        g = found.get(x._node)
        if g is None and not allow_unused:
            raise RuntimeError(f"grad: no output depends on input {i}, shape {x.shape}; see allow_unused=True")
        if g is not None:  # each result is a tensor of its own
            g = g.clone() if create_graph else wrap(backend.array(g, device=backend.device_of(g)))
        gradients.append(g)
    return gradients[0] if single else gradients


def _tensors(name, given):
    listed = list(given) if hasattr(given, "__iter__") and not isinstance(given, Tensor) else [given]
    if not all(isinstance(x, Tensor) for x in listed):
        raise TypeError(f"grad: {name} is {checks.brief(given)}; it must be a Tensor or a list of Tensors")
    return listed


def root(what, output, gradient: Any, create_graph):
    """(node, gradient) to start from at this output."""
    if output._node is None:
        raise RuntimeError(f"{what}: nothing in this result has requires_grad=True; or it was made under no_grad()")
    if gradient is None and output.size != 1:
        raise RuntimeError(f"{what}: an output of shape {output.shape} needs a gradient; or take its .sum()")
    array = backend.ones_like(output._data)
    if gradient is not None:
        array = output._fitting(f"{what}: gradient", backend.raw(gradient), output.shape)
        if create_graph and isinstance(gradient, Tensor):
            return output._node, gradient.to(output.dtype)
    return output._node, wrap(array) if create_graph else array
