"""Drawing: the graph behind a result, as a picture in a notebook and as a list of steps in a terminal."""

import itertools
from html import escape

from . import autograd, backend, checks
from .autograd import Node
from .tensor import Tensor

LETTER, BOX, ROW, LEFT = 7.4, 26, 36, 100  # pixels: a letter, a box, from box to box, the room for arrows
LOOK = "font: 12px ui-monospace, monospace; color-scheme: light dark; color: CanvasText; background: Canvas"


class graph:
    """Draw how a Tensor was computed: boxes in a notebook, a list of steps in a terminal.

    `names`, a Module or a dict of Tensors, says what things are called; only the last `limit` ops are drawn. Value and
    gradient of leaves are those at the moment of showing; what an op gave is known where a gradient needs it. More than
    four numbers stand as mean ± standard deviation. A backward pass frees the graph: draw before.

    >>> x = lucidlite.tensor(3.0, requires_grad=True)
    >>> lucidlite.graph(x * x, {"x": x})
    x = leaf                 ()  3.
    result = multiply(x, x)  ()  9."""

    def __init__(self, result: Tensor, names=(), limit=200):
        checks.refuse(not isinstance(result, Tensor), f"graph: {checks.brief(result)} is no Tensor", TypeError)
        if hasattr(names, "named_parameters"):
            names = [*names.named_parameters(), *names.named_buffers()]
        end = result._node or result  # a Tensor stands for itself where it needs no gradient
        ops, earlier, limit = [], {end}, checks.whole("graph: limit", limit)
        while earlier and len(ops) < limit:  # the newest first: whatever used it is newer still
            ops.insert(0, max(earlier, key=lambda x: getattr(x, "number", 0)))
            earlier = earlier - {ops[0]} | {x for x in _given(ops[0]) if _given(x)}
        kept = [entry for op in ops if _given(op) for entry in autograd._kept(op)]
        values = {holder: value for _, value, holder in kept if isinstance(holder, Node)} | {end: result.data}
        called = {end: "result"} | {tensor._node or tensor: str(name) for name, tensor in dict(names).items()}
        unused = (name for i in itertools.count(1) if (name := f"t{i}") not in called.values())
        steps = dict.fromkeys(earlier, Step("…", f"earlier ops, limit={limit}"))
        for op in ops:
            for x in (*_given(op), op):
                if x not in steps and not isinstance(x, str):
                    steps[x] = Step(called.get(x) or next(unused), x, steps, values.get(x, getattr(x, "data", None)))
        self.steps = list(dict.fromkeys(steps.values()))

    def __repr__(self):
        rows = [[f"{step.name} = {step.text}", *step.numbers()] for step in self.steps]
        widths = [max(map(len, column)) for column in zip(*rows)]
        return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)

    def _repr_svg_(self):
        """The list with a box around each line, and on the left an arrow from each step to every step that uses it."""
        lines = str(self).splitlines()
        wide, high, top = LETTER * max(map(len, lines)) + 20, ROW * len(lines) + 10, {}
        boxes = arrows = ""
        for step, line in zip(self.steps, lines):
            top[step] = ROW * len(top)
            look = 'fill-opacity="0.1"' if step.inputs else 'fill="none" stroke="currentColor"'
            box = f'<rect y="{top[step]}" width="{wide:.0f}" height="{BOX}" rx="6" {look}/>'
            boxes += f'<g>{box}<text xml:space="preserve" x="10" y="{top[step] + 17}">{escape(line)}</text></g>'
            for i, source in enumerate(step.inputs, 1):  # from top to bottom as the arguments
                start, end = top[source] + BOX // 2, top[step] + BOX * i // (len(step.inputs) + 1)
                out = max(-LEFT, -20 - (end - start) // 3)
                arrows += f"M0 {start}C{out} {start} {out} {end} -1 {end}m-6 -3l6 3l-6 3"
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" fill="currentColor" style="{LOOK}" '
            f'width="{wide + LEFT:.0f}" height="{high}" viewBox="{5 - LEFT} -5 {wide + LEFT:.0f} {high}">'
            f"<title>Graph of {escape(self.steps[-1].name)}, {len(lines)} boxes</title>{boxes}"
            f'<path d="{arrows}" fill="none" stroke="currentColor" stroke-opacity="0.6"/></svg>'
        )


class Step:
    """One line of the list and one box of the picture. It keeps no array alive."""

    def __init__(self, name, source, steps=(), value=None):
        given = _given(source)
        self.name, self.inputs = name, [steps[x] for x in given if x in steps]
        if given:
            names = (x if isinstance(x, str) else steps[x].name for x in given)
            self.text = f"{source.plan.op.name}({', '.join(names)})"
        elif isinstance(source, (Tensor, str)):
            self.text = "constant" if isinstance(source, Tensor) else source
        else:
            self.text = "leaf" if source.tensor else "freed by a backward pass; draw before, or retain_graph=True"
        self.shape, self.value = str(getattr(source, "shape", "")), "" if value is None else _numbers(value)
        self.tensor = getattr(source, "tensor", None)  # the weak reference of a leaf's node

    def numbers(self):
        """Shape, value and gradient; those of a leaf as they are now."""
        tensor = self.tensor and self.tensor()
        if tensor is None:
            return self.shape, self.value, ""
        return self.shape, _numbers(tensor.data), "" if tensor.grad is None else f"grad {_numbers(tensor.grad)}"


def _given(source):
    """The Nodes and constant Tensors that an op was given, and texts for the rest; nothing for a leaf or a text."""
    if getattr(source, "plan", None) is None:
        return []
    constants = dict(zip(source.plan.constants, source.constants or ()))
    given = [constants.get(i, "…") if parent is None else parent for i, parent in enumerate(source.parents)]
    return [x if isinstance(x, (Node, Tensor, str)) else checks.brief(x) for x in given]


def _numbers(array):
    if array.size > 4:
        with backend.numpy.errstate(all="ignore"):  # the mean of inf and -inf is nan
            return f"{float(array.mean()):.3g} ± {float(array.std()):.3g}"
    return " ".join(backend.numpy.array2string(backend.move(array, "cpu"), precision=4, separator=", ").split())
