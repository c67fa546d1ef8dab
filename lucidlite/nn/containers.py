"""Containers: modules that hold other modules in a row, in a list or by name, so that their parameters are found."""

import operator
from collections.abc import Mapping, MutableMapping, MutableSequence
from typing import Any

from .module import Module


def _checked(owner, name, module):
    if isinstance(module, Module):
        return module
    found = f"{type(owner).__name__}: {name!r} is {module!r}, a {type(module).__name__}"
    raise TypeError(f"{found}; it must be a Module, such as nn.ReLU() with its parentheses; a list goes in as *modules")


class _Row(Module, MutableSequence):
    """Modules that are counted: attributes "0", "1", ... in order."""

    def __init__(self, named):
        super().__init__()
        self._fill(dict(named))

    def _fill(self, named):
        """Hold these modules, by name, and no others."""
        for name, module in named.items():
            self._check_name(name, _checked(self, name, module))
        for name, _ in self._own(Module):
            delattr(self, name)
        for name, module in named.items():
            self.add_module(name, module)

    def _recount(self, named):
        """Hold these (name, module) pairs; names that are numbers are counted anew, others stay."""
        self._fill({str(i) if name.isdecimal() else name: module for i, (name, module) in enumerate(named)})

    def _place(self, index):
        """The index counted from 0."""
        place, length = operator.index(index), len(self)
        if not -length <= place < length:
            raise IndexError(
                f"index {place} is out of range; this {type(self).__name__} has {length} modules, from 0 on"
            )
        return place % length

    def __len__(self):
        return len(self._own(Module))

    def __iter__(self):
        return iter([module for _, module in self._own(Module)])

    def __setitem__(self, index, module):
        name = self._own(Module)[self._place(index)][0]
        self.add_module(name, _checked(self, name, module))

    def __delitem__(self, index):
        named = self._own(Module)
        del named[index if isinstance(index, slice) else self._place(index)]
        self._recount(named)

    def insert(self, index, value):
        """Add a module before the one at this index."""
        named = self._own(Module)
        named.insert(operator.index(index), ("0", value))
        self._recount(named)


class Sequential(_Row):
    """Modules one behind the other: each gets what the one before it returns.

    Args:
        modules: Modules, which are counted from "0", or one dict of names and Modules.

    A slice is a Sequential of the same modules, under the same names.

    >>> lucidlite.random.seed(0)
    >>> model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> model
    Sequential(  # 23 parameters
      (0): Linear(in_features=4, out_features=3, bias=True)  # 15 parameters
      (1): ReLU()
      (2): Linear(in_features=3, out_features=2, bias=True)  # 8 parameters
    )
    >>> model[:2](lucidlite.ones(5, 4)).shape
    (5, 3)
    """

    def __init__(self, *modules: Any):
        one_dict = len(modules) == 1 and isinstance(modules[0], Mapping)
        super().__init__(modules[0] if one_dict else ((str(i), module) for i, module in enumerate(modules)))

    def forward(self, input_):
        """The input through all modules in order."""
        for module in self:
            input_ = module(input_)
        return input_

    def __getitem__(self, index):
        if isinstance(index, slice):
            return Sequential(dict(self._own(Module)[index]))
        return self._own(Module)[self._place(index)][1]


class ModuleList(_Row):
    """A list of modules, for a forward that calls them itself.

    >>> layers = nn.ModuleList([nn.Linear(2, 2) for _ in range(3)])
    >>> len(layers), layers.count_parameters()
    (3, 18)
    """

    def __init__(self, modules=()):
        super().__init__((str(i), module) for i, module in enumerate(modules or ()))

    def __getitem__(self, index):
        if isinstance(index, slice):
            return ModuleList(module for _, module in self._own(Module)[index])
        return self._own(Module)[self._place(index)][1]


class ModuleDict(Module, MutableMapping):
    """A dict of modules; the keys are names of attributes, so they must be no method's name.

    >>> heads = nn.ModuleDict({"digit": nn.Linear(8, 10), "parity": nn.Linear(8, 2)})
    >>> heads["parity"](lucidlite.ones(1, 8)).shape
    (1, 2)
    """

    def __init__(self, modules=None):
        super().__init__()
        self.update(modules or {})

    def __getitem__(self, key):
        module = vars(self).get(key)
        if not isinstance(module, Module):
            raise KeyError(f"there is no module {key!r}; the keys are {list(self)}")
        return module

    def __setitem__(self, key, module):
        self.add_module(key, _checked(self, key, module))

    def __delitem__(self, key):
        self[key]  # a KeyError names the keys
        delattr(self, key)

    def __len__(self):
        return len(self._own(Module))

    def __iter__(self):
        return iter([name for name, _ in self._own(Module)])

    def __eq__(self, other):  # as every Module, and not as other dicts
        return self is other

    def __hash__(self):
        return id(self)
