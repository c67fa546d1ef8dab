"""Containers: modules that hold other modules in a row, in a list or by name, so that their parameters are found."""

from collections.abc import Mapping, MutableMapping, MutableSequence
from typing import Any

from .module import Module


def _checked(owner, name, module):
    if not isinstance(module, Module):
        found = f"{type(owner).__name__}: {name!r} is {module!r}, a {type(module).__name__}"
        hint = "it must be a Module, such as nn.ReLU() with its parentheses; a list goes in as *modules"
        raise TypeError(f"{found}; {hint}")
    return module


class ModuleList(Module, MutableSequence):
    """A list of modules, attributes "0", "1", ..., for a forward that calls them itself.

    >>> layers = nn.ModuleList([nn.Linear(2, 2) for _ in range(3)])
    >>> len(layers), layers.count_parameters()
    (3, 18)
    """

    def __init__(self, modules=()):
        super().__init__()
        self.extend(modules or ())

    def __len__(self):
        return len(self._own(Module))

    def __iter__(self):
        return iter([module for _, module in self._own(Module)])

    def _find(self, index):
        """The (name, module) at an index; a list of them for a slice."""
        try:
            return self._own(Module)[index]
        except IndexError:
            what = f"this {type(self).__name__} has {len(self)} modules, from 0 on"
            raise IndexError(f"index {index} is out of range; {what}") from None

    def __getitem__(self, index):
        found = self._find(index)
        return ModuleList(module for _, module in found) if isinstance(index, slice) else found[1]

    def __setitem__(self, index, module):
        name, _ = self._find(index)
        self.add_module(name, _checked(self, name, module))

    def __delitem__(self, index):
        named = self._own(Module)
        self._find(index)  # an IndexError says how many there are
        del named[index]
        self._put(0, named)

    def insert(self, index, value):
        """Add a module before the one at this index."""
        start = slice(index, None).indices(len(self))[0]
        self._check_name("0", _checked(self, str(start), value))
        self._put(start, [("0", value), *self._own(Module)[start:]])

    def _put(self, start, named):
        """Replace what is there from `start` on by these pairs; names that are numbers are counted anew."""
        for name, _ in self._own(Module)[start:]:
            delattr(self, name)
        for i, (name, module) in enumerate(named, start):
            self.add_module(str(i) if name.isdecimal() else name, module)


class Sequential(ModuleList):
    """Modules one behind the other, or one dict of names and modules: each gets what the one before it returns.

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
        named = len(modules) == 1 and isinstance(modules[0], Mapping)
        super().__init__(() if named else modules)
        for name, module in modules[0].items() if named else ():
            self.add_module(name, _checked(self, name, module))

    def __getitem__(self, index):
        found = self._find(index)
        return Sequential(dict(found)) if isinstance(index, slice) else found[1]

    def forward(self, input_):
        """The input through all modules in order."""
        for module in self:
            input_ = module(input_)
        return input_


class ModuleDict(Module, MutableMapping):
    """A dict of modules; the keys are names of attributes, so they must be no method's name.

    >>> heads = nn.ModuleDict({"digit": nn.Linear(8, 10), "parity": nn.Linear(8, 2)})
    >>> heads["parity"](lucidlite.ones(1, 8)).shape
    (1, 2)
    """

    __eq__: Any = Module.__eq__  # as every Module, and not as other dicts
    __hash__: Any = Module.__hash__

    def __init__(self, modules=None):
        super().__init__()
        self.update(modules or {})

    def __getitem__(self, key):
        named = dict(self._own(Module))
        if key not in named:
            raise KeyError(f"there is no module {key!r}; the keys are {list(named)}")
        return named[key]

    def __setitem__(self, key, module):
        self.add_module(key, _checked(self, key, module))

    def __delitem__(self, key):
        self[key]  # a KeyError names the keys
        delattr(self, key)

    def __len__(self):
        return len(self._own(Module))

    def __iter__(self):
        return iter([name for name, _ in self._own(Module)])
