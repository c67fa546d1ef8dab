"""The strict tracer of what one fused kernel can do: it runs a function on unknown values and refuses everything else.

cupy.fuse falls back to another implementation without a word, or computes in another dtype, when a rule does more than
work element by element on arrays of one dtype with scalars of that dtype.
"""

import numpy as np

OPERATORS = ("add", "sub", "mul", "truediv", "pow")
COMPARISONS = ("lt", "le", "gt", "ge", "eq", "ne")
FUNCTIONS = {"sqrt": 1, "abs": 1, "sign": 1, "maximum": 2, "minimum": 2, "where": 3}


class BadRule(TypeError):
    """What a rule must not do."""


class Traced:
    """An array or a scalar whose values are not known; it remembers the dtype and refuses everything but arithmetic."""

    __slots__ = ("dtype", "mask", "scalar", "written")
    __hash__ = object.__hash__

    def __init__(self, dtype, scalar=False, mask=False):
        self.dtype, self.scalar, self.mask, self.written = np.dtype(dtype), scalar, mask, None

    def combine(self, *others):
        for x in others:
            if isinstance(x, float):
                raise BadRule(f"the Python float {x} in a rule; hand it in as a scalar of the arrays' dtype")
            if not isinstance(x, (Traced, int)):
                raise BadRule(f"{x!r} in a rule")
        traced = [x for x in (self, *others) if isinstance(x, Traced)]
        if any(isinstance(x, Traced) and x.mask for x in others):
            raise BadRule("a mask in arithmetic; math.where takes it")
        if all(x.scalar for x in traced):
            raise BadRule("arithmetic between scalars; the host does that")
        if len({x.dtype for x in traced}) > 1:
            raise BadRule(f"arrays and scalars of {sorted({x.dtype.name for x in traced})}")
        return Traced(self.dtype)

    def compare(self, *others):
        return Traced(self.combine(*others).dtype, mask=True)

    def __neg__(self):
        return self.combine(self)

    def refuse(self, *arguments, **options):
        raise BadRule("a branch, an index or a loop over values that a kernel does not know yet")

    def __setitem__(self, index, value):
        """`x[...] = value`, the one way in which a fused function gives something back."""
        if index is not ... or self.scalar:
            raise BadRule(f"x[{index!r}] = ... in a fused function; it can only write x[...]")
        self.written = self.combine(value)

    __bool__ = __getitem__ = __iter__ = __len__ = __float__ = __int__ = refuse


for _name in OPERATORS:
    setattr(Traced, f"__{_name}__", Traced.combine)
    setattr(Traced, f"__r{_name}__", Traced.combine)
for _name in COMPARISONS:
    setattr(Traced, f"__{_name}__", Traced.compare)


class Math:
    """The functions that fuse knows."""

    def __getattr__(self, name):
        return lambda *arguments: call(name, *arguments)


def call(name, *arguments):
    """What the function of this name gives for unknown values."""
    if name not in FUNCTIONS:
        raise BadRule(f"{name} is no function of fuse; there are {', '.join(FUNCTIONS)}")
    values = arguments[1:] if name == "where" else arguments
    first = next((x for x in values if isinstance(x, Traced)), None)
    chooses = name == "where" and getattr(arguments[0], "mask", False)
    if len(arguments) != FUNCTIONS[name] or first is None or first.mask or chooses != (name == "where"):
        raise BadRule(f"{name}{arguments}")
    return first.combine(*(x for x in values if x is not first))
