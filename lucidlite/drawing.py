"""Drawing: the graph behind a result, as a picture in a notebook and as a list of steps in a terminal.

The engine links every op to what it was given, and keeps of the values what gradients will need (see autograd.py).
"""

import itertools
from html import escape

from . import autograd, backend, checks, errors
from .autograd import Node
from .tensor import Tensor

LETTER, LINE, BOX, ROW, LANE = 7.4, 16, 58, 86, 12  # pixels from letter to letter, line to line ..., arrow to arrow
LOOK = "font: 12px ui-monospace, monospace; color-scheme: light dark; color: CanvasText; background: Canvas"


def graph(result: Tensor, names=(), limit=200) -> "Graph":
    """Draw how a Tensor was computed: boxes in a notebook, a list of steps in a terminal.

    `names`, a Module or a dict of Tensors, says what things are called; only the last `limit` ops are drawn. Value and
    gradient of leaves are those at the moment of showing; what an op gave is known where a gradient needs it. More than
    four numbers stand as mean ± standard deviation. A backward pass frees the graph: draw before.

    >>> x = lucidlite.tensor(3.0, requires_grad=True)
    >>> lucidlite.graph(x * x, {"x": x})
    x = leaf                 ()  3.
    result = multiply(x, x)  ()  9.
    """
    if not isinstance(result, Tensor):
        raise TypeError(f"graph: {errors.brief(result)} is no Tensor; give it the result of a computation")
    if hasattr(names, "named_parameters"):
        names = [*names.named_parameters(), *names.named_buffers()]
    return Graph(result, dict(names), checks.whole("graph: limit", limit))


class Graph:
    """The drawing that `graph` returns: its steps in the order of computation."""

    def __init__(self, result, names, limit):
        end = result._node or result  # a Tensor stands for itself where it needs no gradient
        ops, earlier = [], {end}
        while earlier and len(ops) < limit:  # the newest first: whatever used it is newer still
            ops.insert(0, max(earlier, key=lambda x: getattr(x, "number", 0)))
            earlier = earlier - {ops[0]} | {x for x in _given(ops[0]) if _given(x)}
        kept = [entry for op in ops if _given(op) for entry in autograd._kept(op)]
        values = {holder: value for _, value, holder in kept if isinstance(holder, Node)} | {end: result.data}
        called = {end: "result"} | {tensor._node or tensor: str(name) for name, tensor in names.items()}
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
        """Every op below the one before, and beside it the leaves that the next op is the first to use."""
        lines, half, x, row, lane, right = {}, {}, {}, {}, {}, 0.0
        for s in self.steps:
            shape, *numbers = s.numbers()
            lines[s] = [f"{s.name} = {s.text.partition('(')[0]} {shape}", *filter(None, numbers)]
            half[s] = LETTER * (max(map(len, lines[s])) / 2 + 1)
            x[s] = right + ROW - BOX + half[s] if x and not s.inputs else 0.0
            row[s], right = max(row.values(), default=0) + bool(s.inputs), x[s] + half[s]
        edge = min(x[s] - half[s] for s in self.steps)
        arrows = boxes = ""
        for s in self.steps:
            top = ROW * row[s]
            for i, source in enumerate(s.inputs):  # from left to right as the arguments
                points = [(x[source], ROW * row[source] + BOX), (LETTER * (2 * i + 1 - len(s.inputs)), top - 1)]
                if row[s] > row[source] + 1:  # round the boxes in between, on the left
                    around = lane.setdefault(source, edge - LANE * (len(lane) % 20 + 1))
                    points[1:1] = [(around, ROW * row[source] + ROW), (around, top - ROW + BOX)]
                for (a, b), (c, d) in itertools.pairwise(points):
                    arrows += f"M{a:.1f} {b}C{a:.1f} {(b + d) / 2} {c:.1f} {(b + d) / 2} {c:.1f} {d}"
                arrows += "m-3.5 -7l3.5 7l3.5 -7"
            look = 'rx="8" fill-opacity="0.1"' if s.inputs else 'fill-opacity="0" stroke="currentColor"'
            text = "".join(f'<tspan x="{x[s]:.1f}" dy="{LINE}">{escape(line)}</tspan>' for line in lines[s])
            boxes += (
                f'<g><title>{escape(f"{s.name} = {s.text}")}</title><rect x="{x[s] - half[s]:.1f}" y="{top}" '
                f'width="{2 * half[s]:.1f}" height="{BOX}" {look}/>'
                f'<text y="{top + (BOX - LINE * len(lines[s])) / 2 - 4}">{text}</text></g>'
            )
        left = min([edge, *lane.values()]) - LANE
        wide, high = max(x[s] + half[s] for s in self.steps) + LANE - left, ROW * max(row.values()) + BOX + 2 * LANE
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{wide:.0f}" height="{high}" style="{LOOK}" '
            f'viewBox="{left:.0f} {-LANE} {wide:.0f} {high}" fill="currentColor" text-anchor="middle">'
            f"<title>Graph of {escape(self.steps[-1].name)}, {len(self.steps)} boxes</title>"
            f'<path d="{arrows}" fill="none" stroke="currentColor" stroke-opacity="0.6"/>{boxes}</svg>'
        )


class Step:
    """One line of the list and one box of the picture. It keeps no array alive."""

    def __init__(self, name, source, steps=(), value=None):
        self.name, self.text, self.inputs = name, _text(source, steps), [steps[x] for x in _given(source) if x in steps]
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
    return [x if isinstance(x, (Node, Tensor, str)) else errors.brief(x) for x in given]


def _text(source, steps):
    if given := _given(source):
        names = [x if isinstance(x, str) else steps[x].name for x in given]
        return f"{source.plan.op.name.strip('_')}({', '.join(names)})"
    if isinstance(source, (Tensor, str)):
        return "constant" if isinstance(source, Tensor) else source
    return "leaf" if source.tensor else "freed by a backward pass; draw before it, or pass retain_graph=True"


def _numbers(array):
    if array.size > 4:
        with backend.numpy.errstate(all="ignore"):  # the mean of inf and -inf is nan
            return f"{float(array.mean()):.3g} ± {float(array.std()):.3g}"
    return " ".join(backend.numpy.array2string(backend.move(array, "cpu"), precision=4, separator=", ").split())
