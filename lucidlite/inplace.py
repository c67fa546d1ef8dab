"""Update rules without waste: an optimizer's rule, the same function, as a list of NumPy calls that say where to write.

Carried out as it stands, a rule makes a new array at every operator, and its results are copied into the parameter at
the end. Here the rule runs once on `Value`s, which take down what is computed. The list is then carried out on the
arrays: a last result goes straight into its array, the others share a few pieces of scratch memory. Same functions,
same order, same bits, in two thirds of the time.
"""

from . import backend


class Value:
    """A number or an array that is not known yet; operators on it are taken down."""

    def __init__(self, calls):
        self.calls = calls

    def call(self, name, *inputs):
        """Take down a call of NumPy's universal function of this name."""
        result = Value(self.calls)
        self.calls.append((backend.ufunc(name), inputs, result))
        return result

    def __neg__(self):
        return self.call("negative", self)


for _operator, _name in {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "pow": "power",
}.items():
    setattr(Value, f"__{_operator}__", lambda a, b, name=_name: a.call(name, a, b))
    setattr(Value, f"__r{_operator}__", lambda a, b, name=_name: a.call(name, b, a))


class Math:
    """The `math` that a rule gets here: NumPy's universal functions of one result."""

    def __getattr__(self, name):
        if backend.ufunc(name).nout != 1:
            raise TypeError(f"{name} has several results")
        return lambda *inputs: next(x for x in inputs if isinstance(x, Value)).call(name, *inputs)


def program(rule, flags, present, names):
    """The rule as `run(arrays, numbers)`, which changes the arrays in place; None where it cannot be taken down.

    `present` says which of p, g and the buffers there are; `numbers` are the scalars with these names, as 0-d arrays.
    """
    calls = []
    arrays = [Value(calls) if there else None for there in present]
    scalars = {name: Value(calls) for name in names}
    try:
        new = rule(Math(), *flags)(*arrays, **scalars)
    except (TypeError, AttributeError):
        return None  # it does more than call such functions; the plain way serves any rule
    inputs = [*arrays, *scalars.values()]
    targets = {value: i for i, value in zip((0, *range(2, len(arrays))), new) if arrays[i] and value is not arrays[i]}
    written = sum(bool(a) and value is not a for a, value in zip((arrays[0], *arrays[2:]), new))
    if len(targets) < written or not all(isinstance(x, Value) and x not in inputs for x in targets):
        return None  # a result that is an input, or one result for two arrays
    constants = [x for _, args, _ in calls for x in args if not isinstance(x, Value)]
    return _runner(_schedule(calls, inputs, constants, targets), constants)


def _schedule(calls, inputs, constants, targets):
    """(function, first, second, out) for each call, as places among arrays, scalars, constants and scratch memory."""
    places = {x: i for i, x in enumerate(inputs) if x is not None}
    base = size = len(inputs) + len(constants)
    numbers = iter(range(len(inputs), base))
    last = {x: k for k, (_, args, _) in enumerate(calls) for x in args if isinstance(x, Value)}
    last |= dict.fromkeys(targets, len(calls))
    steps, free = [], []
    for k, (function, args, result) in enumerate(calls):
        spots = [places[x] if isinstance(x, Value) else next(numbers) for x in args]
        free += {places[x] for x in args if isinstance(x, Value) and last[x] == k and places[x] >= base}
        target = targets.get(result)
        if target is not None and last.get(inputs[target], -1) <= k:  # nobody needs the old values any more
            places[result] = target
        elif free:
            places[result] = free.pop()
        else:
            places[result], size = size, size + 1
        steps.append((function, spots[0], spots[1] if len(spots) > 1 else None, places[result]))
    steps += [(backend.ufunc("positive"), places[x], None, i) for x, i in targets.items() if places[x] != i]
    return steps, size - base


def _runner(schedule, constants):
    (steps, scratch), made = schedule, {}

    def run(arrays, numbers):
        dtype = arrays[0].dtype
        if dtype not in made:
            made[dtype] = [backend.array(x, dtype) for x in constants]
        values = [*arrays, *numbers, *made[dtype], *[backend.empty_like(arrays[0]) for _ in range(scratch)]]
        for function, first, second, out in steps:
            if second is None:
                function(values[first], out=values[out])
            else:
                function(values[first], values[second], out=values[out])

    return run
