"""Every op, one row each (or one for each family of options): what it computes, and on which inputs.

The checks below the table do the rest: value, first and second derivative, float16, float32 and float64 kept, integers
never float64, 0-d, empty and non-contiguous inputs, constants beside tensors, methods, inputs left alone. An op without
a row fails, and so does one that has not shown what it does with a 0-d and with an empty input.
"""

import math
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pytest
from support import CLOSE, DEVICE, differences, host, make

import lucidlite
from lucidlite import Tensor, ops


@dataclass
class Row:
    """An op, an independent reference on NumPy arrays, and the inputs to compare them on."""

    name: str
    reference: Any  # takes the arrays, then the same arguments and options as the op
    inputs: list  # each a tuple of shapes, or of arrays where the values matter
    arguments: tuple = ()
    options: dict = field(default_factory=dict)
    domain: Any = (-2.0, 2.0)  # where to draw from: one (low, high), or one for each input
    call: Any = None  # call(op, *tensors), where op(*tensors, *arguments, **options) is not the way
    order: int = 2  # how many derivatives to check; 0 for results without a gradient

    def apply(self, op, *tensors):
        """The results as a list."""
        call = self.call or (lambda op, *inputs: op(*inputs, *self.arguments, **self.options))
        out = call(op, *tensors)
        return list(out) if isinstance(out, tuple) else [out]

    def expected(self, *arrays):
        out = self.reference(*arrays, *self.arguments, **self.options)
        return [np.asarray(y) for y in (out if isinstance(out, (tuple, list)) else [out])]


def rows(name, reference, inputs, *variants, **more):
    """A row for each variant: a tuple of arguments, or a dict of options."""
    for variant in variants:
        given = {"options": variant} if isinstance(variant, dict) else {"arguments": variant}
        yield Row(name, reference, inputs, **given, **more)


def sample(shape, low, high, random):
    """Numbers between low and high, all different, so that no two are tied."""
    n = math.prod(shape)
    places = (random.permutation(n) + random.uniform(0.2, 0.8, n)) / max(n, 1)
    return (low + (high - low) * places).reshape(shape)


def arrays_for(row, inputs):
    random = np.random.default_rng(0)
    domains = row.domain if isinstance(row.domain, list) else [row.domain] * len(inputs)
    return [x.copy() if isinstance(x, np.ndarray) else sample(x, *d, random) for x, d in zip(inputs, domains)]


# ---- References where NumPy has no function of that name -------------------------------------------------------------


def mask(shape):
    """A fixed pattern of bools."""
    return np.arange(math.prod(shape)).reshape(shape) % 3 == 1


def logsumexp(a, axis=None, keepdims=False):
    return np.log(np.exp(a).sum(axis=axis, keepdims=keepdims))


def norm(a, ord=2, axis=None, keepdims=False):
    powers = (
        np.abs(a).max(axis=axis, keepdims=keepdims)
        if ord == math.inf
        else (np.abs(a) ** ord).sum(axis=axis, keepdims=keepdims)
    )
    return powers if ord == math.inf else powers ** (1 / ord)


def argsort(a, axis=-1, descending=False):
    return np.argsort(-a if descending else a, axis=axis, kind="stable")


def sort(a, axis=-1, descending=False):
    order = argsort(a, axis, descending)
    return np.take_along_axis(a, order, axis), order


def topk(a, k, axis=-1, largest=True):
    order = np.take(argsort(a, axis, largest), range(k), axis)
    return np.take_along_axis(a, order, axis), order


def pieces(a, sizes, axis=0):
    return np.split(a, np.cumsum(sizes)[:-1], axis)


def roll(a, shifts, axis=None):
    return np.roll(a, shifts, axis)


def flatten(a, start_axis=0, end_axis=-1):
    end = end_axis % a.ndim
    return a.reshape(*a.shape[:start_axis], math.prod(a.shape[start_axis : end + 1]), *a.shape[end + 1 :])


def windows(a, size, stride=1, dilation=1):
    """Element by element, from the definition."""
    if isinstance(size, int):
        size, stride, dilation = (size,), (stride,), (dilation,)
    n = len(size)
    stride, dilation = ((v,) * n if isinstance(v, int) else v for v in (stride, dilation))
    front, lengths = a.shape[: a.ndim - n], a.shape[a.ndim - n :]
    positions = tuple((m - d * (k - 1) - 1) // s + 1 for m, k, s, d in zip(lengths, size, stride, dilation))
    out = np.zeros((*front, *positions, *size))
    for place in np.ndindex(positions):
        for offset in np.ndindex(size):
            out[(..., *place, *offset)] = a[
                (..., *(p * s + o * d for p, s, o, d in zip(place, stride, offset, dilation)))
            ]
    return out


def overlap_add(w, shape, stride=1, dilation=1):
    n = w.ndim - len(shape)
    stride, dilation = ((v,) * n if isinstance(v, int) else v for v in (stride, dilation))
    total = np.zeros(shape)
    positions, size = w.shape[w.ndim - 2 * n : w.ndim - n], w.shape[w.ndim - n :]
    for place in np.ndindex(positions):
        for offset in np.ndindex(size):
            total[(..., *(p * s + o * d for p, s, o, d in zip(place, stride, offset, dilation)))] += w[
                (..., *place, *offset)
            ]
    return total


def einsum(equation, *inputs):
    return Row("einsum", partial(np.einsum, equation), list(inputs), call=lambda op, *tensors: op(equation, *tensors))


def index(key, *inputs, tensors=None):
    """A row of `a[key]`; `tensors()` is the same key with Tensors in it."""
    return Row("getitem", lambda a: a[key], list(inputs), call=lambda op, a: op(a, tensors() if tensors else key))


def joined(name, reference, axis, *inputs):
    """A row of an op that takes its tensors in a list."""
    return Row(
        name, lambda *a: reference(a, axis), list(inputs), call=lambda op, *tensors: op(list(tensors), axis=axis)
    )


# ---- The table -------------------------------------------------------------------------------------------------------

ANY, SMALL, POSITIVE, UNIT = (-2.0, 2.0), (-1.0, 1.0), (0.3, 3.0), (-0.9, 0.9)

UNARY = {
    "neg": (np.negative, ANY), "exp": (np.exp, ANY), "log": (np.log, POSITIVE), "log2": (np.log2, POSITIVE),
    "sqrt": (np.sqrt, POSITIVE), "square": (np.square, ANY), "abs": (np.abs, ANY), "sign": (np.sign, ANY),
    "reciprocal": (np.reciprocal, POSITIVE), "sin": (np.sin, ANY), "cos": (np.cos, ANY), "tan": (np.tan, SMALL),
    "arcsin": (np.arcsin, UNIT), "arccos": (np.arccos, UNIT), "arctan": (np.arctan, ANY), "sinh": (np.sinh, ANY),
    "cosh": (np.cosh, ANY), "tanh": (np.tanh, ANY), "arcsinh": (np.arcsinh, ANY), "arccosh": (np.arccosh, (1.2, 3.0)),
    "arctanh": (np.arctanh, UNIT), "erf": (np.vectorize(math.erf, otypes=["d"]), (-3.0, 3.0)), "clone": (np.copy, ANY),
    "sigmoid": (lambda a: 1 / (1 + np.exp(-a)), ANY), "relu": (lambda a: np.where(a > 0, a, 0), ANY),
    "floor": (np.floor, ANY), "ceil": (np.ceil, ANY), "round": (np.round, ANY), "zeros_like": (np.zeros_like, ANY),
}  # fmt: skip

BINARY = {
    "add": (np.add, ANY, ANY), "sub": (np.subtract, ANY, ANY), "multiply": (np.multiply, ANY, ANY),
    "true_divide": (np.divide, ANY, POSITIVE), "div": (np.divide, ANY, POSITIVE), "power": (np.power, POSITIVE, ANY),
    "maximum": (np.maximum, ANY, ANY), "minimum": (np.minimum, ANY, ANY), "remainder": (np.mod, ANY, POSITIVE),
    "floor_divide": (np.floor_divide, ANY, POSITIVE),
}  # fmt: skip

BOOLEAN = {  # on Tensors and on arrays
    "equal": (lambda op, a, b: op(a.round(), b.round()), lambda a, b: np.round(a) == np.round(b)),
    "not_equal": (lambda op, a, b: op(a.round(), b.round()), lambda a, b: np.round(a) != np.round(b)),
    "less": (lambda op, a, b: op(a.round(), b.round()), lambda a, b: np.round(a) < np.round(b)),
    "less_equal": (lambda op, a, b: op(a.round(), b.round()), lambda a, b: np.round(a) <= np.round(b)),
    "greater": (lambda op, a, b: op(a.round(), b.round()), lambda a, b: np.round(a) > np.round(b)),
    "greater_equal": (lambda op, a, b: op(a.round(), b.round()), lambda a, b: np.round(a) >= np.round(b)),
    "logical_and": (lambda op, a, b: op(a > 0, b > 0), lambda a, b: (a > 0) & (b > 0)),
    "logical_or": (lambda op, a, b: op(a > 0, b > 0), lambda a, b: (a > 0) | (b > 0)),
}

ONE = [((2, 3),), ((),), ((0, 3),)]
PAIRS = [  # every way in which two operands can broadcast
    ((2, 3), (2, 3)), ((2, 1), (3,)), ((3,), (2, 3)), ((), (2, 3)), ((2, 3), ()), ((), ()), ((2, 1, 3), (4, 1)),
    ((1,), (2, 2)), ((0, 3), (3,)), ((0, 1), (1, 3)), ((0,), ()),
]  # fmt: skip
AXES = [{}, {"axis": 0}, {"axis": -1, "keepdims": True}, {"axis": (0, 2)}, {"axis": (-1, 0), "keepdims": True}]
NONE = {"axis": ()}
SPREAD = [*AXES, {"axis": 1, "ddof": 1}, {"ddof": 1, "keepdims": True}]
ORDERS = [{"ord": 1}, {"ord": 3, "axis": 1}, {"ord": math.inf, "axis": -1}, {"ord": 1.5, "keepdims": True}]
SOME = [{}, {"axis": 1}, {"axis": 0, "keepdims": True}]

REDUCTIONS = {
    "sum": (np.sum, [*AXES, NONE]), "mean": (np.mean, [*AXES, NONE]), "max": (np.max, [*AXES, NONE]),
    "min": (np.min, [*AXES, NONE]), "prod": (np.prod, [*AXES, NONE]), "logsumexp": (logsumexp, [*AXES, NONE]),
    "var": (np.var, SPREAD), "std": (np.std, SPREAD), "norm": (norm, [*AXES, *ORDERS]),
}  # fmt: skip

ROWS = [
    *(Row(name, reference, ONE, domain=domain) for name, (reference, domain) in UNARY.items()),
    *(Row(name, reference, PAIRS, domain=[a, b]) for name, (reference, a, b) in BINARY.items()),
    *(Row(name, reference, PAIRS, call=call, order=0) for name, (call, reference) in BOOLEAN.items()),
    Row("logical_not", lambda a: a <= 0, ONE, call=lambda op, a: op(a > 0), order=0),
    *rows("div", lambda a, b, floor: a // b if floor else a / b, PAIRS[:2], {"floor": True}, (False,),
          domain=[ANY, POSITIVE]),
    # Powers: a constant exponent lets the base be negative or 0; a constant base.
    *rows("power", lambda a, n: a**n, [((2, 3),), ((),)], (0,), (1,), (2,), (3,), (-1,), (2.0,)),
    *rows("power", lambda a, n: a**n, [((4,),)], (0.5,), domain=POSITIVE),
    Row("power", lambda a: a**2, [(np.array([-1.0, 0.0, 2.0]),)], call=lambda op, a: op(a, make([2, 2, 2]))),
    Row("power", lambda b: 2.0**b, [((4,),)], call=lambda op, b: op(2.0, b)),
    *rows("round", np.round, ONE, {"decimals": 1}, (-1,)),
    *(Row("where", lambda a, b, m=m: np.where(m, a, b), inputs, call=lambda op, a, b, m=m: op(make(m), a, b))
      for m, inputs in ((mask((2, 3)), [((2, 3), (2, 3)), ((3,), (2, 1)), ((), (2, 3))]),
                        (mask((0, 3)), [((0, 3), (3,)), ((), ())]))),
    Row("where", lambda a: np.where(mask((3,)), a, 7.0), [((2, 3),)], call=lambda op, a: op(make(mask((3,))), a, 7.0)),
    *rows("clip", np.clip, ONE, (-0.5, 1.0), (None, 0.3), (0.1, None), {"min": -0.5, "max": 1}),
    Row("masked_fill", lambda a: np.where(mask(a.shape), 7, a), ONE, call=lambda op, a: op(a, make(mask(a.shape)), 7)),
    Row("masked_fill", lambda a: np.where(mask((3,)), 0, a), ONE[:1], call=lambda op, a: op(a, make(mask((3,))), 0)),
    *rows("astype", lambda a, dtype: a.astype(dtype), ONE, {"dtype": "float64"}),
    Row("move", np.copy, ONE, call=lambda op, a: op(op(a, "cpu"), DEVICE)),
    # Reductions
    *(row for name, (f, axes) in REDUCTIONS.items() for row in rows(name, f, [((2, 3, 4),)], *axes)),
    *(Row(name, f, [((),)]) for name, (f, _) in REDUCTIONS.items()),
    *(row for name, (f, _) in REDUCTIONS.items() for row in rows(name, f, [((0, 3),)], {"axis": 1})),
    *(Row(name, f, [((0, 3),)]) for name, f in (("sum", np.sum), ("prod", np.prod), ("norm", norm))),
    *rows("std", np.std, [((1, 3),)], {"axis": 1}),
    *rows("prod", np.prod, [(np.array([[2.0, 0.0, 3.0], [0.0, 0.0, 5.0]]),)], {"axis": 1}),
    *rows("prod", np.prod, [((3, 1, 5),)], {"axis": (0, 2)}),
    *rows("cumsum", lambda a, axis=-1: np.cumsum(a, axis), [((2, 3, 2),), ((0, 3),)], {}, {"axis": 0}, (-2,)),
    *rows("argmax", np.argmax, [((2, 3),)], *SOME, order=0),
    *rows("argmin", np.argmin, [((2, 3),)], *SOME, order=0),
    *(Row(name, f, [((),)], order=0) for name, f in (("argmax", np.argmax), ("argmin", np.argmin))),
    *rows("argmax", np.argmax, [((0, 3),)], (1,), order=0),
    *rows("argmin", np.argmin, [((0, 3),)], (1,), order=0),
    *(Row(name, lambda a, f=f, o=o: f(a > 0, **o), [((2, 3),)], call=lambda op, a, o=o: op(a > 0, **o), order=0)
      for name, f in (("any", np.any), ("all", np.all)) for o in ({"axis": 0}, {"axis": (0, 1), "keepdims": True})),
    *(Row(name, lambda a, f=f: f(a > 0), ONE, call=lambda op, a: op(a > 0), order=0)
      for name, f in (("any", np.any), ("all", np.all))),
    *rows("argsort", argsort, [((3, 4),), ((0, 3),), (np.array([1.0, 0.0, 1.0, 0.0]),)], {}, (0,), {"descending": True},
          order=0),
    *rows("sort", sort, [((3, 4),), ((0, 3),)], {}, (0,), {"axis": -1, "descending": True}),
    *rows("topk", topk, [((3, 4),), ((0, 3),)], (2,), {"k": 1, "largest": False}),
    *rows("topk", topk, [((3, 4),), ((3, 0, 2),)], (2, 0), {"k": 0, "axis": 0}),
    # Shapes
    *rows("reshape", lambda a, *shape: a.reshape(*shape), [((2, 3),)], (3, 2), (-1,), (1, 6, 1), ((6,),), ([2, -1],)),
    *rows("reshape", lambda a, *shape: a.reshape(*shape), [((),)], (1, 1), ((),)),
    *rows("reshape", lambda a, shape: a.reshape(shape), [((0, 3),)], ((3, 0),)),
    Row("ravel", np.ravel, ONE),
    *rows("flatten", flatten, [((2, 3, 2),), ((0, 3, 1),)], {}, {"start_axis": 1}, (0, 1)),
    Row("flatten", np.ravel, [((),)]),
    Row("transpose", np.transpose, [*ONE, ((2, 3, 4),)]),
    *rows("transpose", lambda a, *axes: a.transpose(*axes), [((2, 3, 4),), ((0, 3, 1),)],
          (1, 2, 0), (-1, 0, 1), ([0, 2, 1],)),
    *rows("swapaxes", np.swapaxes, [((2, 3, 4),), ((0, 2, 3),)], (0, -1), (1, 1), {"axis1": 2, "axis2": 1}),
    *rows("squeeze", np.squeeze, [((1, 3, 1),), ((1, 0, 1),)], {}, (0,), {"axis": (0, -1)}),
    Row("squeeze", np.squeeze, [((),)]),
    *rows("unsqueeze", np.expand_dims, ONE, (0,), {"axis": -1}),
    *rows("broadcast_to", np.broadcast_to, [((3,),), ((2, 1),), ((),)], ((2, 3),)),
    *rows("broadcast_to", np.broadcast_to, [((0, 1),)], {"shape": (2, 0, 3)}),
    *(Row("expand", lambda a: np.broadcast_to(a, (2, 2, 3)), [((2, 3),)], call=lambda op, a, s=s: op(a, *s))
      for s in ((2, 2, 3), (2, -1, -1), ((2, 2, 3),))),
    Row("expand", lambda a: np.broadcast_to(a, (2, 0)), [((),), ((0,),), ((2, 1),)], call=lambda op, a: op(a, 2, 0)),
    *rows("repeat", np.repeat, ONE, (2,), (0,)),
    *rows("repeat", np.repeat, [((2, 3),)], (3, 0), {"repeats": 2, "axis": -1}, ([1, 0, 2], 1)),
    *rows("tile", lambda a, *reps: np.tile(a, reps[0] if len(reps) == 1 else reps), ONE,
          (2,), (2, 1), ((2, 1, 3),), (0, 1)),
    *rows("flip", np.flip, ONE, {}),
    *rows("flip", np.flip, [((2, 3),)], (0,), {"axis": (0, -1)}),
    *rows("roll", roll, [((2, 3),), ((0, 3),)], (2,), (-1, 1), ((1, 2), (0, 1)), {"shifts": [1, 4], "axis": [0, 1]}),
    *rows("roll", roll, [((),)], (2,)),
    *(row for name, f in (("tril", np.tril), ("triu", np.triu))
      for row in rows(name, f, [((2, 3),), ((2, 3, 3),), ((0, 3),)], (), (1,), (-1,))),
    *rows("diagonal", np.diagonal, [((3, 4),), ((3, 3, 2),), ((0, 3),)], (), (1,), (-2,), {"offset": 5}),
    *rows("diagonal", np.diagonal, [((2, 3, 4),)], {"axis1": 2, "axis2": 0}, {"offset": 1, "axis1": -1, "axis2": 1}),
    # Joining and taking apart
    joined("concatenate", np.concatenate, 0, ((2, 3), (1, 3), (3, 3)), ((0, 3), (2, 3)), ((3,),)),
    joined("concatenate", np.concatenate, -1, ((2, 1), (2, 3))),
    *(joined("stack", np.stack, axis, ((2, 3), (2, 3)), ((), ()), ((0, 3), (0, 3))) for axis in (0, -1)),
    Row("split", lambda a: pieces(a, [2, 2, 1]), [((5, 2),), ((5, 0),)], call=lambda op, a: op(a, 2)),
    *rows("split", pieces, [((2, 4),)], ([1, 0, 3], 1)),
    Row("chunk", lambda a: pieces(a, [2, 2, 1]), [((5, 2),)], call=lambda op, a: op(a, 3)),
    Row("chunk", lambda a: pieces(a, [1, 1], -1), [((3, 2),), ((0, 2),)], call=lambda op, a: op(a, 5, axis=-1)),
    *rows("pad", lambda a, width, value=0: np.pad(a, width, constant_values=value), ONE, (1,), (0, 2.5)),
    *rows("pad", lambda a, width, value=0: np.pad(a, width, constant_values=value), [((2, 3),)],
          ((1, 2), 3.5), ([(0, 1), (2, 0)], -1)),
    # Choosing elements
    *(index(key, ((3, 4),)) for key in (
        1, -1, (1, 2), (slice(None, None, -2), 1), (..., None, slice(1, 3)), (None, 2, ..., None), [0, 0, 2],
        ([0, 2, 0], [1, 1, 1]), (slice(1, None), [3, 0, 3]), ([1], slice(None), None), mask((3, 4)), mask((3,)),
        (1, mask((4,))), np.array([[0, 1], [2, 2]]), np.array(1),
    )),
    index([], ((3, 4),), ((0, 3),)),
    index(..., ((),), ((0, 3),)),
    index(None, ((),), ((2,),)),
    index(True, ((),), ((2,),)),
    index(1, ((3, 4),), tensors=lambda: make(1)),
    index((slice(None), 2), ((3, 4),), tensors=lambda: (slice(None), np.int64(2))),
    index([2, 2, 0], ((3, 4),), tensors=lambda: make([2, 2, 0])),
    index(mask((3, 4)), ((3, 4),), tensors=lambda: make(mask((3, 4)))),
    index(([2, 0], [1, 1]), ((3, 4),), tensors=lambda: (make([2, 0]), [1, 1])),
    *(Row("gather", lambda a, axis=axis, i=i: np.take_along_axis(a, i, axis), [inputs],
          call=lambda op, a, axis=axis, i=i: op(a, axis, make(i)))
      for axis, i, inputs in ((1, np.array([[0, 0, 3], [1, 2, 2]]), ((2, 4),)),
                              (-2, np.array([[1, 0, 1, 1]]), ((2, 4),)),
                              (0, np.zeros((1, 0), dtype="int64"), ((2, 0),)))),
    Row("gather", lambda a: a[[1, 0], [[0, 1]]], [((2, 4),)], call=lambda op, a: op(a, 0, [[1, 0]])),
    # Products and sums
    Row("matmul", np.matmul, [((2, 3), (3, 4)), ((3,), (3,)), ((3,), (3, 2)), ((2, 3), (3,)), ((1, 1), (1, 1))]),
    Row("matmul", np.matmul, [((2, 2, 3), (2, 3, 2)), ((2, 2, 3), (3, 2)), ((2, 3), (2, 3, 2)), ((3,), (2, 3, 2)),
                              ((2, 2, 3), (3,)), ((2, 1, 2, 3), (2, 3, 2))]),
    Row("matmul", np.matmul, [((0, 3), (3, 2)), ((2, 0), (0, 3)), ((2, 3), (3, 0)), ((2, 2, 0), (0, 3)),
                              ((0, 2, 3), (3, 2)), ((0,), (0,))]),
    Row("dot", np.dot, [((3,), (3,)), ((0,), (0,))]),
    Row("outer", np.outer, [((2,), (3,)), ((0,), (3,))]),
    *rows("tensordot", np.tensordot, [((2, 3, 4), (3, 4, 2)), ((2, 0, 3), (0, 3, 2))], {}, (2,)),
    *rows("tensordot", np.tensordot, [((2, 3), (3,))], (1,), {"axes": (-1, 0)}),
    *rows("tensordot", np.tensordot, [((2,), (3,)), ((), ())], (0,)),
    *rows("tensordot", np.tensordot, [((2, 3, 4), (4, 2))], (([0, 2], [1, 0]),)),
    *rows("tensordot", np.tensordot, [((2, 3, 2), (2, 3, 4, 2))], (([2, 1], [0, 1]),), (([-1], [-1]),)),
    einsum("ij,jk->ik", ((2, 3), (3, 2)), ((0, 3), (3, 2)), ((1, 3), (3, 1))),
    einsum("ij,jk", ((2, 3), (3, 2))),
    einsum("ba", ((2, 3),)),
    einsum("ii->", ((3, 3),)),
    einsum("ii", ((3, 3),)),
    einsum("ii->i", ((3, 3),)),
    einsum("iji->j", ((3, 2, 3),)),
    einsum("...ij,jk", ((2, 2, 3), (3, 2))),
    einsum("...i,...i->...", ((2, 1, 3), (4, 3))),
    einsum("i,i->", ((1,), (3,))),
    einsum("ij,jk,ik->k", ((2, 3), (3, 2), (1, 2))),
    einsum("bij,bkj->bik", ((2, 3, 2), (2, 2, 2)), ((0, 3, 2), (0, 2, 2))),
    einsum("ij,ij->ij", ((2, 3), (2, 3))),
    einsum("iij,jk->ik", ((2, 2, 3), (3, 2))),
    einsum("ij->", ((2, 3),), ((0, 3),)),
    einsum("ij,k->k", ((2, 3), (2,))),
    einsum("ij,ik->j", ((2, 3), (2, 2))),
    einsum("i,j,k->kji", ((2,), (3,), (2,))),
    einsum("i,ij,j->", ((2,), (2, 3), (3,))),
    einsum(",i->i", ((), (3,))),
    einsum(" i j -> j i ", ((2, 3),)),
    *rows("windows", windows, [((7,),)], (3,), {"size": 2, "dilation": 3}, {"size": 2, "stride": 5}),
    *rows("windows", windows, [((2, 7),), ((0, 4),)], {"size": 2, "stride": 2}),
    *rows("windows", windows, [((2, 4, 4),)], ((2, 3),)),
    *rows("windows", windows, [((5, 5),)], {"size": (2, 2), "stride": (2, 1), "dilation": (1, 2)}),
    *rows("overlap_add", overlap_add, [((5, 3),)], ((7,),)),
    *rows("overlap_add", overlap_add, [((2, 3, 2),)], {"shape": (2, 7), "stride": 2}),
    *rows("overlap_add", overlap_add, [((4, 2),)], {"shape": (7,), "dilation": 3}),
    *rows("overlap_add", overlap_add, [((3, 2, 2, 3),)], ((4, 4),)),
    *rows("overlap_add", overlap_add, [((0, 3, 2),)], ((0, 4),)),
]  # fmt: skip

# What an op refuses because of a 0-d or an empty input; everything else with 0-d and empty inputs has a row above.
ZERO_D, EMPTY = "0-d", "empty"
REFUSED = [
    ("max", EMPTY, lambda op: op(make(np.zeros((0, 3)))), ValueError, r"max: .*\(0, 3\).*no elements"),
    ("min", EMPTY, lambda op: op(make(np.zeros((0, 3))), axis=0), ValueError, r"min: .*\(0, 3\).*no elements"),
    ("logsumexp", EMPTY, lambda op: op(make(np.zeros((0, 3)))), ValueError, r"logsumexp: .*\(0, 3\).*no elements"),
    ("mean", EMPTY, lambda op: op(make(np.zeros((0, 3)))), ValueError, r"mean: .*\(0, 3\)"),
    ("var", EMPTY, lambda op: op(make(np.zeros((0, 3)))), ValueError, r"var: .*0 elements"),
    ("std", EMPTY, lambda op: op(make(np.zeros((0, 3)))), ValueError, r"0 elements"),
    ("argmax", EMPTY, lambda op: op(make(np.zeros((0, 3)))), ValueError, r"argmax: .*\(0, 3\).*(empty|no elements)"),
    ("argmin", EMPTY, lambda op: op(make(np.zeros((0, 3)))), ValueError, r"argmin: .*\(0, 3\).*(empty|no elements)"),
    *(
        (name, ZERO_D, call, IndexError, f"{name}: .*axis")
        for name, call in {
            "cumsum": lambda op: op(make(1.0)),
            "argsort": lambda op: op(make(1.0)),
            "sort": lambda op: op(make(1.0)),
            "topk": lambda op: op(make(1.0), 1),
            "swapaxes": lambda op: op(make(1.0), 0, 1),
            "concatenate": lambda op: op([make(1.0), make(2.0)]),
            "split": lambda op: op(make(1.0), 1),
            "chunk": lambda op: op(make(1.0), 1),
            "gather": lambda op: op(make(1.0), 0, make([0])),
        }.items()
    ),
    ("diagonal", ZERO_D, lambda op: op(make(1.0)), IndexError, r"diagonal: a \(\).*: axis 0"),
    ("tril", ZERO_D, lambda op: op(make(1.0)), (ValueError, IndexError), r"tril: .*\(\).*count axes"),
    ("triu", ZERO_D, lambda op: op(make(1.0)), (ValueError, IndexError), r"triu: .*\(\).*count axes"),
    ("matmul", ZERO_D, lambda op: op(make(1.0), make([1.0])), ValueError, r"matmul: .*\(\).*at least one axis"),
    ("dot", ZERO_D, lambda op: op(make(1.0), make([1.0])), ValueError, r"dot: .*\(\)"),
    ("outer", ZERO_D, lambda op: op(make(1.0), make([1.0])), ValueError, r"outer: .*\(\)"),
    ("windows", ZERO_D, lambda op: op(make(1.0), 1), ValueError, r"windows: .*\(\)"),
    ("windows", EMPTY, lambda op: op(make(np.zeros(0)), 1), ValueError, r"windows: .*\(0,\)"),
    ("overlap_add", ZERO_D, lambda op: op(make(1.0), (3,)), ValueError, r"overlap_add: .*\(\)"),
]

CASES = [(row, inputs) for row in ROWS for inputs in row.inputs]
NAMES = sorted({row.name for row in ROWS})


def _label(row, inputs):
    shapes = "+".join("x".join(map(str, x.shape if isinstance(x, np.ndarray) else x)) or "0d" for x in inputs)
    options = ",".join([*map(str, row.arguments), *(f"{k}={v}" for k, v in row.options.items())])
    return "-".join(part for part in (row.name, options, shapes) if part)


def cases(keep=lambda row, inputs: True):
    chosen = [case for case in CASES if keep(*case)]
    return pytest.mark.parametrize(("row", "inputs"), chosen, ids=[_label(*case) for case in chosen])


def find(name):
    """The op as the package exports it; the few that only operators and rules use stay in `ops`."""
    return getattr(lucidlite if hasattr(lucidlite, name) and name != "zeros_like" else ops, name)


# ---- The machinery ---------------------------------------------------------------------------------------------------


def leaves(arrays, dtype=None):
    return [make(a, True, dtype) for a in arrays]


def projection(outputs, seed=1):
    """One number from all floating results: their elements, each times a fixed random number."""
    total = 0.0
    for i, y in enumerate(outputs):
        if y.dtype.kind == "f":
            weights = np.random.default_rng([seed, i]).uniform(0.5, 1.5, y.shape)
            total = total + (y.astype("float64") * make(weights)).sum()
    return total


def project_reference(row, arrays):
    """The same number from the reference."""
    total = 0.0
    for i, y in enumerate(row.expected(*arrays)):
        if y.dtype.kind == "f":
            total += (y * np.random.default_rng([1, i]).uniform(0.5, 1.5, y.shape)).sum()
    return total


def first_order(row, op, tensors, inputs, create_graph=False):
    """Gradients of the projection with respect to some of the tensors; zeros where nothing depends on one."""
    total = projection(row.apply(op, *tensors))
    if not total.requires_grad:
        return [None] * len(inputs)
    return lucidlite.grad(total, inputs, create_graph=create_graph, allow_unused=True)


def slope(gradients):
    """One number from the gradients, to be differentiated again."""
    return projection([g for g in gradients if g is not None], seed=2)


def second_order(row, op, arrays):
    """The engine's derivative of the slope, and the slope as a function of the arrays."""
    tensors = leaves(arrays)
    total = slope(first_order(row, op, tensors, tensors, create_graph=True))
    if getattr(total, "requires_grad", False):
        found = lucidlite.grad(total, tensors, allow_unused=True)
    else:
        found = [None] * len(tensors)

    def value(*moved):
        new = leaves(moved)
        return float(slope(first_order(row, op, new, new)))

    return found, value


def dense(gradients, arrays):
    return [np.zeros(a.shape) if g is None else host(g) for g, a in zip(gradients, arrays)]


@cases()
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_value_is_the_references_and_the_dtype_stays(row, inputs, dtype):
    arrays = [a.astype(dtype) for a in arrays_for(row, inputs)]
    found = row.apply(find(row.name), *(make(a) for a in arrays))
    expected = row.expected(*(a.astype("float64") for a in arrays))
    assert len(found) == len(expected)
    # The reference computes in float64. A float32 result is off by a few roundings (6e-8), more where terms cancel.
    near = {"rtol": 1e-12, "atol": 1e-13} if dtype == "float64" else {"rtol": 2e-6, "atol": 2e-6}
    for y, z in zip(found, expected):
        assert isinstance(y, Tensor) and y.shape == z.shape and y.device == make(0.0).device
        assert y.dtype == (row.options.get("dtype", dtype) if z.dtype.kind == "f" else z.dtype)
        np.testing.assert_allclose(host(y), z, **near)


@cases(lambda row, inputs: row.order)
def test_gradient_equals_central_differences(row, inputs):
    arrays = arrays_for(row, inputs)
    tensors = leaves(arrays)
    before = [host(t) for t in tensors]
    total = projection(row.apply(find(row.name), *tensors))
    if total.requires_grad:
        total.backward()
    for t, a, wanted in zip(tensors, before, differences(lambda *moved: project_reference(row, moved), arrays)):
        assert t.grad is None or (t.grad.shape == t.shape and t.grad.dtype == t.dtype)
        np.testing.assert_allclose(np.zeros(t.shape) if t.grad is None else host(t.grad), wanted, **CLOSE)
        np.testing.assert_array_equal(host(t), a, err_msg="the op has changed its input")


@cases(lambda row, inputs: row.order == 2)
def test_second_derivative_equals_differences_of_the_first(row, inputs):
    arrays = arrays_for(row, inputs)
    found, value = second_order(row, find(row.name), arrays)
    for g, wanted in zip(dense(found, arrays), differences(value, arrays)):
        np.testing.assert_allclose(g, wanted, **CLOSE)


CONSTANTS = {
    "tensors": make,
    **({"arrays": np.array} if DEVICE == "cpu" else {}),
}  # an array stands beside what the CPU holds


@cases(lambda row, inputs: row.order == 2 and len(inputs) > 1)
@pytest.mark.parametrize("constant", CONSTANTS.values(), ids=CONSTANTS)
@pytest.mark.parametrize("i", [0, 1, 2])
def test_both_derivatives_flow_past_constant_operands(row, inputs, constant, i):
    """With respect to one input; the others are constants."""
    arrays, op = arrays_for(row, inputs), find(row.name)
    if i >= len(arrays):
        return

    def slope_at(moved, create_graph=False):
        x = make(moved, True)
        tensors = [x if k == i else constant(a) for k, a in enumerate(arrays)]
        gradients = first_order(row, op, tensors, [x], create_graph)
        return x, gradients, slope(gradients)

    x, gradients, total = slope_at(arrays[i], create_graph=True)
    (wanted,) = differences(lambda a: project_reference(row, [*arrays[:i], a, *arrays[i + 1 :]]), [arrays[i]])
    np.testing.assert_allclose(dense(gradients, [x])[0], wanted, **CLOSE)
    found = lucidlite.grad(total, [x], allow_unused=True) if getattr(total, "requires_grad", False) else [None]
    (wanted,) = differences(lambda a: float(slope_at(a)[2]), [arrays[i]])
    np.testing.assert_allclose(dense(found, [x])[0], wanted, **CLOSE)


@cases(lambda row, inputs: row.order)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_small_floats_stay_small_in_results_and_gradients(row, inputs, dtype):
    tensors = leaves(arrays_for(row, inputs), dtype)
    outputs = row.apply(find(row.name), *tensors)
    assert [y.dtype for y in outputs if y.dtype.kind == "f"][:1] == [row.options.get("dtype", dtype)]
    wanted = [t for t in tensors if outputs[0].requires_grad]
    for g, t in zip(
        lucidlite.grad(projection(outputs), wanted, create_graph=True, allow_unused=True) if wanted else [], tensors
    ):
        assert g is None or g.dtype == t.dtype == dtype


@cases(lambda row, inputs: row.name != "astype")
def test_integers_never_become_float64(row, inputs):
    """NumPy gives float64 for most functions of integers, and float16 for those of bytes."""
    for dtype in ("int64", "int16", "uint8"):
        tensors = [make(np.abs(np.round(a)).astype(dtype)) for a in arrays_for(row, inputs)]
        try:
            with np.errstate(all="ignore"):
                found = row.apply(find(row.name), *tensors)
        except (
            TypeError,
            ValueError,
        ):  # refused: arccosh of a tensor of integers is defined, a negative power of one is not
            continue
        assert {y.dtype.name for y in found if y.dtype.kind == "f"} <= {"float32"}


def _transposed(a):
    return make(np.ascontiguousarray(a.T)).T


def _reversed(a):
    return make(np.ascontiguousarray(np.flip(a)))[(slice(None, None, -1),) * a.ndim]


def _sliced(a):
    return make(np.repeat(a, 2, axis=-1))[..., ::2]


@cases(lambda row, inputs: any(len(getattr(x, "shape", x)) > 0 for x in inputs))
@pytest.mark.parametrize("view", [_transposed, _reversed, _sliced])
def test_views_that_are_not_contiguous_give_the_same(row, inputs, view):
    arrays, op = arrays_for(row, inputs), find(row.name)
    plain, views = leaves(arrays), [(view(a) if a.ndim else make(a)).detach() for a in arrays]
    for v in views:
        v.requires_grad = True
    results = row.apply(op, *plain), row.apply(op, *views)
    # The order of the elements in memory decides in which order BLAS and sum() add: a rounding of float64 apart.
    for y, z in zip(*results):
        np.testing.assert_allclose(host(z), host(y), rtol=1e-13, atol=1e-14)
    if row.order and projection(results[0]).requires_grad:
        both = [lucidlite.grad(projection(out), ts, allow_unused=True) for out, ts in zip(results, (plain, views))]
        for g, h in zip(dense(both[0], arrays), dense(both[1], arrays)):
            np.testing.assert_allclose(h, g, rtol=1e-13, atol=1e-14)


@cases(lambda row, inputs: hasattr(Tensor, row.name) and row.name != "zeros_like")
def test_method_is_the_function(row, inputs):
    arrays = arrays_for(row, inputs)
    by_function = row.apply(find(row.name), *(make(a) for a in arrays))
    by_method = row.apply(
        lambda a, *rest, **o: getattr(a if isinstance(a, Tensor) else make(a), row.name)(*rest, **o),
        *(make(a) for a in arrays),
    )
    for y, z in zip(by_function, by_method):
        np.testing.assert_array_equal(host(y), host(z))


@pytest.mark.parametrize(
    ("name", "kind", "call", "error", "message"), REFUSED, ids=[f"{r[0]}-{r[1]}-{i}" for i, r in enumerate(REFUSED)]
)
def test_what_has_no_meaning_for_0d_or_empty_is_refused(name, kind, call, error, message):
    with pytest.raises(error, match=message):
        call(find(name))


# ---- Nothing is forgotten --------------------------------------------------------------------------------------------


def exported():
    """Every op and every function made of ops that the package exports, and those that `ops` keeps for operators."""
    found = [*vars(lucidlite).items(), *vars(ops).items()]
    return {
        n
        for n, f in found
        if callable(f) and (hasattr(f, "op") or getattr(f, "__module__", "").startswith("lucidlite.ops."))
    }


def test_every_exported_op_has_a_row():
    assert exported() - {row.name for row in ROWS} == set()


def test_every_row_names_an_op():
    assert {row.name for row in ROWS} - exported() == set()


def _has(name, kind):
    def fits(x):
        shape = getattr(x, "shape", x)
        return shape == () if kind == ZERO_D else 0 in shape

    shown = any(row.name == name and any(fits(x) for x in inputs) for row, inputs in CASES)
    return shown or any(r[:2] == (name, kind) for r in REFUSED)


@pytest.mark.parametrize("kind", [ZERO_D, EMPTY])
def test_every_op_has_shown_what_it_does_with_0d_and_empty_inputs(kind):
    assert [name for name in NAMES if not _has(name, kind)] == []


def test_every_op_that_is_a_method_of_numpys_arrays_is_a_method_here():
    assert [name for name in exported() if hasattr(np.ndarray, name) and not hasattr(Tensor, name)] == []


def test_operators_are_ops():
    a, b, i = make([1.5, -2.0]), make([2.0, 3.0]), make([5, 6])
    for found, wanted in (
        (a + b, [3.5, 1.0]), (a - b, [-0.5, -5.0]), (a * b, [3.0, -6.0]), (a / b, [0.75, -2 / 3]),
        (a // b, [0.0, -1.0]),
        (a % b, [1.5, 1.0]), (a**2, [2.25, 4.0]), (b**a, [2**1.5, 1 / 9]), (a @ b, -3.0), (-a, [-1.5, 2.0]),
        (abs(a), [1.5, 2.0]), (2 + a, [3.5, 0.0]), (2 - a, [0.5, 4.0]), (2 * a, [3.0, -4.0]), (3 / a, [2.0, -1.5]),
        (2 // b, [1.0, 0.0]), (5 % b, [1.0, 2.0]), (2**b, [4.0, 8.0]), (i & 4, [4, 4]),
        (([1.0, 1.0] if DEVICE == "cpu" else make([1.0, 1.0])) @ b, 5.0),
        (i | 1, [5, 7]), (3 & i, [1, 2]), (8 | i, [13, 14]), (~i, [-6, -7]),
        (a < b, [True, True]), (a >= b, [False, False]), (a == 1.5, [True, False]), (a != 1.5, [False, True]),
        (b >= 3, [False, True]), (~(a > 0), [False, True]),
    ):  # fmt: skip
        np.testing.assert_allclose(host(found), wanted, rtol=1e-6)  # float32


# ---- Corners that a table of smooth inputs does not reach ------------------------------------------------------------


def gradient_of(function, *arrays):
    tensors = leaves([np.asarray(a, dtype="float64") for a in arrays])
    out = function(*tensors)
    (out if out.size == 1 and not out.ndim else out.sum()).backward()
    return [None if t.grad is None else host(t.grad).tolist() for t in tensors]


INF, NAN = math.inf, math.nan
CORNERS = [  # what is decided where a derivative jumps, and where a formula would divide zero by zero
    ("abs and sign take 0 at 0", lambda a: a.abs() + a.sign(), [0.0, -2.0], [0.0, -1.0]),
    ("relu takes 0 at 0", lambda a: a.relu(), [0.0, -1.0, 2.0], [0.0, 0.0, 1.0]),
    ("clip passes gradients at its bounds", lambda a: a.clip(0.0, 1.0), [-1, 0, 0.5, 1, 2], [0, 1, 1, 1, 0]),
    ("largest elements share", lambda a: a.max(), [3.0, 1.0, 3.0], [0.5, 0.0, 0.5]),
    ("smallest elements share", lambda a: a.min(axis=0), [[1.0, 5.0], [1.0, 4.0]], [[0.5, 0.0], [0.5, 1.0]]),
    ("maximum shares a tie", lambda a: a.maximum(make([1.0, 2.0], dtype="float64")), [1.0, 3.0], [0.5, 1.0]),
    ("minimum shares a tie", lambda a: a.minimum(make([1.0, 2.0], dtype="float64")), [1.0, 3.0], [0.5, 0.0]),
    ("one zero among factors", lambda a: a.prod(), [2.0, 0.0, 3.0], [0.0, 6.0, 0.0]),
    ("two zeros among factors", lambda a: a.prod(), [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]),
    ("norm of nothing but zeros", lambda a: a.norm(), [0.0, 0.0], [0.0, 0.0]),
    ("norm of order 1 at zeros", lambda a: a.norm(ord=1), [0.0, 0.0], [0.0, 0.0]),
    ("norm of order 3 at zeros", lambda a: a.norm(ord=3), [0.0, 0.0], [0.0, 0.0]),
    ("std of equal elements", lambda a: a.std(), [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]),
    ("x ** 0 is flat at 0 too", lambda a: a**0, [0.0, 2.0], [0.0, 0.0]),
    ("x ** 1 has slope 1 at 0", lambda a: a**1, [0.0], [1.0]),
    ("x ** 2 with exponents in a tensor", lambda a: a ** make([2.0, 0.0, 1.0]), [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]),
    ("0 ** b is flat", lambda b: 0.0**b, [1.0, 2.0], [0.0, 0.0]),
    ("logsumexp does not overflow", lambda a: a.logsumexp(), [1000.0, 1000.0], [0.5, 0.5]),
    ("logsumexp leaves out what is masked", lambda a: a.logsumexp(), [-INF, 1.0], [0.0, 1.0]),
    ("logsumexp of nothing but masked values", lambda a: a.logsumexp(), [-INF, -INF], [0.0, 0.0]),
    ("sigmoid does not overflow", lambda a: a.sigmoid(), [-1000.0, 1000.0], [0.0, 0.0]),
    ("max of values with a nan", lambda a: a[:1].max(), [NAN, 1.0], [0.0, 0.0]),
    ("where keeps the other branch out", lambda a: lucidlite.where(a > 0, a.clip(0.1).log(), a), [-1, 2], [1, 0.5]),
    ("an element chosen twice counts twice", lambda a: a[[0, 0, 1]], [1.0, 2.0, 3.0], [2.0, 1.0, 0.0]),
    ("a row gathered twice counts twice", lambda a: a.gather(0, make([[1], [1]])), [[1.0], [2.0]], [[0.0], [2.0]]),
    ("a tensor used as both operands", lambda a: a * a + a @ a, [1.0, 2.0], [6.0, 12.0]),
]  # fmt: skip


@pytest.mark.parametrize(("function", "at", "wanted"), [c[1:] for c in CORNERS], ids=[c[0] for c in CORNERS])
def test_corner(function, at, wanted):
    np.testing.assert_allclose(
        gradient_of(function, at)[0], wanted, rtol=1e-9, atol=1e-12
    )  # a few roundings of float64


def test_second_derivative_of_a_product_with_zeros():
    """Dividing the product by each factor, the usual formula, gives nan here."""
    x = make(np.array([0.0, 0.0, 3.0]), True)
    (g,) = lucidlite.grad(x.prod(), [x], create_graph=True)
    assert host(lucidlite.grad(g[0], x)).tolist() == [0.0, 3.0, 0.0]


def test_erf_is_right_to_the_last_digits_everywhere():
    points = np.concatenate([np.linspace(-7, 7, 1401), 10.0 ** np.arange(-300, 1, 20), [INF, -INF]])
    exact = np.array([math.erf(x) for x in points])
    np.testing.assert_allclose(
        host(make(points).erf()), exact, rtol=2e-14, atol=0
    )  # 90 roundings; float32 needs 5e8 of them
    assert np.isnan(host(make([NAN]).erf()))[0]


@pytest.mark.parametrize(("function", "argument"), [
    (lambda a, b: a.clip(b, None), "min"), (lambda a, b: a.clip(None, b), "max"),
    (lambda a, b: lucidlite.pad(a, 1, b.sum()), "value"),
    (lambda a, b: a.masked_fill(make([True, False]), b.sum()), "value"),
])  # fmt: skip
def test_a_gradient_that_an_op_does_not_have_is_refused(function, argument):
    """It used to be dropped without a word: the tensor was taken for a number."""
    with pytest.raises(TypeError, match=rf"(clip|pad|masked_fill): .*{argument}"):
        function(make([1.0, 2.0]), make([0.5, 0.5], True))
