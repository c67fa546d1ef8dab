"""Containers: modules that hold other modules in a row, in a list or by name, so that their parameters are found."""

from collections.abc import Mapping, MutableMapping, MutableSequence
from typing import Any

from .module import Module


class ModuleList(Module, MutableSequence):
    """A list of modules, attributes "0", "1", ..., for a forward that calls them itself."""

    def __init__(self, modules=None):
        super().__init__()
        self._hold(modules or ())

    def _hold(self, modules):
        named = modules if isinstance(modules, Mapping) else {str(i): module for i, module in enumerate(modules)}
        for name, module in named.items():
            self._check(name, module, Module)
        for name, _ in self._own(Module):
            delattr(self, name)
        vars(self).update(named)

    def __len__(self):
        return len(self._own(Module))

    def __iter__(self):
        return iter([module for _, module in self._own(Module)])

    def __getitem__(self, index):
        found = [*self][index]
        return ModuleList(found) if isinstance(index, slice) else found

    def __setitem__(self, index, module):
        self._register(self._own(Module)[index][0], module, Module)

    def __delitem__(self, index):
        modules = [*self]
        del modules[index]
        self._hold(modules)

    def insert(self, index, value):
        """Add a module before the one at this index."""
        modules = [*self]
        modules.insert(index, value)
        self._hold(modules)


class Sequential(ModuleList):
    """Modules one behind the other, or one dict of names and modules: each gets what the one before it returns.

    A slice is a Sequential of the same modules, under the same names; inserting and deleting counts them anew.

    >>> nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    Sequential(  # 15 parameters
      (0): Linear(in_features=4, out_features=3, bias=True)  # 15 parameters
      (1): ReLU()
    )
    """

    def __init__(self, *modules: Any):
        super().__init__(modules[0] if len(modules) == 1 and isinstance(modules[0], Mapping) else modules)

    def __getitem__(self, index):
        return Sequential(dict(self._own(Module)[index])) if isinstance(index, slice) else super().__getitem__(index)

    def forward(self, input_):
        for module in self:
            input_ = module(input_)
        return input_


class ModuleDict(Module, MutableMapping):
    """A dict of modules; the keys are names of attributes, so they must be no method's name."""

    __eq__: Any = Module.__eq__  # as every Module, and not as other dicts
    __hash__: Any = Module.__hash__

    def __init__(self, modules=None):
        super().__init__()
        self.update(modules or ())

    def __getitem__(self, key):
        return dict(self._own(Module))[key]

    def __setitem__(self, key, module):
        self._register(key, module, Module)

    def __delitem__(self, key):
        self[key]  # a KeyError where there is none
        delattr(self, key)

    def __len__(self):
        return len(self._own(Module))

    def __iter__(self):
        return iter(dict(self._own(Module)))
