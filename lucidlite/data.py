"""Data: samples that can be counted and looked up, and a loader that hands them out in batches.

A training loop wants shuffled batches, a Dataset knows single samples, the DataLoader stands between them. What lies in
Tensors anyway (TensorDataset, and Subsets of it) is fetched with one indexing op per tensor, the rest sample by sample.
"""

import math
import operator
from abc import ABC, abstractmethod
from bisect import bisect_right
from itertools import accumulate
from typing import Any

from . import backend, checks, ops, random
from .tensor import Tensor


class Dataset(ABC):
    """Samples numbered from 0. A subclass writes `__getitem__` and `__len__`; `a + b` puts one behind the other.

    >>> class Squares(lucidlite.data.Dataset):
    ...     def __len__(self):
    ...         return 3
    ...
    ...     def __getitem__(self, index):
    ...         return index, index**2
    >>> list(Squares())
    [(0, 0), (1, 1), (2, 4)]
    """

    @abstractmethod
    def __getitem__(self, index): ...

    @abstractmethod
    def __len__(self) -> int: ...

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __add__(self, other):
        return ConcatDataset([self, other])

    def __repr__(self):
        return f"{type(self).__name__}(n={len(self)})"


class TensorDataset(Dataset):
    """Tensors of one length, or arrays, which are copied into Tensors: `dataset[i]` is the tuple of their i-th rows.

    >>> dataset = lucidlite.data.TensorDataset(lucidlite.ones(4, 3), lucidlite.arange(4))
    >>> dataset[2]
    (Tensor([1., 1., 1.]), Tensor(2))
    """

    def __init__(self, *tensors):
        if wrong := [type(t).__name__ for t in tensors if not hasattr(t, "shape")]:
            raise TypeError(f"TensorDataset: {wrong[0]} is no Tensor or array; give them as in (x, y)")
        shapes = [tuple(t.shape) for t in tensors]
        if () in shapes or len({shape[:1] for shape in shapes}) != 1:
            hint = "give at least one, and all with a first axis of one length, which counts the samples"
            raise ValueError(f"TensorDataset: tensors of shapes {shapes}; {hint}")
        self.tensors: tuple = tuple(t if isinstance(t, Tensor) else Tensor(t) for t in tensors)

    def __getitem__(self, index):
        return tuple(t[index] for t in self.tensors)

    def __len__(self):
        return len(self.tensors[0])


class Subset(Dataset):
    """The samples of a dataset that `indices` names, in this order.

    >>> dataset = lucidlite.data.TensorDataset(lucidlite.arange(10))
    >>> list(lucidlite.data.Subset(dataset, [7, -1]))
    [(Tensor(7),), (Tensor(9),)]
    """

    def __init__(self, dataset: Dataset, indices):
        n = len(_checked(dataset))
        found = backend.array(backend.move(backend.raw(indices), "cpu"))
        if found.ndim != 1 or (found.size and found.dtype.kind not in "iu"):
            raise TypeError(f"Subset: indices of {found.dtype}, shape {found.shape}; give a list of whole numbers")
        wrong = found[(found < -n) | (found >= n)]
        if wrong.size:
            raise IndexError(f"Subset: index {wrong[0]} is out of range for a dataset of {n} samples")
        self.dataset, self.indices = dataset, found.astype("int64") % max(n, 1)

    def __getitem__(self, index):
        return self.dataset[self.indices[_place(index, len(self))].item()]

    def __len__(self):
        return len(self.indices)


class ConcatDataset(Dataset):
    """Datasets one behind the other.

    >>> dataset = lucidlite.data.TensorDataset(lucidlite.arange(10))
    >>> lucidlite.data.ConcatDataset([dataset, dataset, dataset])
    ConcatDataset(n=30)
    """

    def __init__(self, datasets):
        self.datasets = [_checked(d) for d in datasets]
        if not self.datasets:
            raise ValueError("ConcatDataset: the list of datasets is empty; give at least one")
        self._ends = list(accumulate(map(len, self.datasets)))

    def __getitem__(self, index):
        index = _place(index, len(self))
        which = bisect_right(self._ends, index)
        return self.datasets[which][index - self._ends[which] + len(self.datasets[which])]

    def __len__(self):
        return self._ends[-1]


def _checked(x):
    if not isinstance(x, Dataset):
        raise TypeError(f"{type(x).__name__} is no Dataset; subclass it, or use TensorDataset(x, y)")
    return x


def _place(index, n):
    """The index counted from 0."""
    i = operator.index(index)
    if not -n <= i < n:
        raise IndexError(f"index {i} is out of range for a dataset of {n} samples")
    return i % n


def random_split(dataset: Dataset, lengths: Any, seed: int | None = None) -> tuple[Subset, ...]:
    """Disjoint random Subsets that together are the dataset.

    Args:
        lengths: whole numbers that add up to len(dataset), or fractions that add up to 1, which are rounded down; the
            samples that are left go to the first subsets, one each.
        seed: for the same split at every call; without it the package's random stream decides.

    >>> dataset = lucidlite.data.TensorDataset(lucidlite.arange(10))
    >>> lucidlite.data.random_split(dataset, [0.75, 0.25], seed=0)
    (Subset(n=8), Subset(n=2))
    """
    n, lengths = len(_checked(dataset)), list(lengths)
    whole = all(hasattr(x, "__index__") for x in lengths)
    if not whole and not all(isinstance(x, float) for x in lengths):
        raise TypeError(f"random_split: lengths {lengths}; give whole numbers or floats, and do not mix them")
    total = n if whole else 1
    if not (abs(sum(lengths) - total) < 1e-9 and min(lengths, default=0) >= 0):
        raise ValueError(f"random_split: {lengths} add up to {sum(lengths)}; {n} samples need {total}, of numbers >= 0")
    sizes = lengths if whole else [math.floor(round(n * x, 6)) for x in lengths]  # 100 * 0.29 is 28.999999999999996
    left = n - sum(sizes)
    sizes = [operator.index(size) + (i < left) for i, size in enumerate(sizes)]
    order = (random.generator() if seed is None else backend.stream(seed)).permutation(n)
    return tuple(Subset(dataset, order[end - size : end]) for size, end in zip(sizes, accumulate(sizes)))


class DataLoader:
    """Batches of a dataset, for a `for` loop; loops over one loader can be repeated and nested.

    Args:
        batch_size: samples, at least 1; the last batch may be smaller.
        shuffle: in an order that is drawn from the package's random stream whenever an iteration starts.
        collate_fn: makes a batch from a list of samples, instead of `collate`.
        drop_last: leave out a last batch that is smaller.

    >>> dataset = lucidlite.data.TensorDataset(lucidlite.ones(3, 4), lucidlite.arange(3))
    >>> for x, y in lucidlite.data.DataLoader(dataset, batch_size=2):
    ...     print(x.shape, y)
    (2, 4) Tensor([0, 1])
    (1, 4) Tensor([2])
    """

    def __init__(
        self, dataset, batch_size: int = 1, shuffle: bool = False, collate_fn: Any = None, *, drop_last: bool = False
    ):
        if not len(_checked(dataset)):
            raise ValueError("DataLoader: the dataset is empty; it needs at least one sample")
        if not callable(collate_fn or collate):
            raise TypeError(f"DataLoader: collate_fn is {collate_fn!r}; it must be a function of a list of samples")
        self.dataset, self.batch_size = dataset, checks.whole("DataLoader: batch_size", batch_size)
        self.shuffle, self.collate_fn, self.drop_last = shuffle, collate_fn, drop_last

    def __len__(self):
        n = len(self.dataset)
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    def __iter__(self):
        n, size = len(self.dataset), self.batch_size
        order = random.generator().permutation(n) if self.shuffle else backend.create("arange", "cpu", n)
        return (self._fetch(order[i * size : (i + 1) * size]) for i in range(len(self)))

    def _fetch(self, indices):
        dataset, rows = self.dataset, indices
        while type(dataset) is Subset:
            dataset, rows = dataset.dataset, dataset.indices[rows]
        if type(dataset) is TensorDataset and self.collate_fn is None:  # no subclass: it may change its samples
            return dataset[rows]
        return (self.collate_fn or collate)([self.dataset[i] for i in indices.tolist()])


def collate(samples):
    """A batch from a list of samples: Tensors and arrays are stacked, numbers become a Tensor, float32, int64 or bool.

    Tuples, lists and dicts are collated position by position and key by key.

    >>> lucidlite.data.collate([(0.5, {"label": 1}), (1.5, {"label": 2})])
    (Tensor([0.5, 1.5]), {'label': Tensor([1, 2])})
    """
    first, kinds = samples[0], sorted({_kind(sample) for sample in samples})
    if len(kinds) > 1:
        raise ValueError(f"collate: one batch holds {', '.join(kinds)}; use a collate_fn that makes them alike")
    if isinstance(first, dict):
        return {key: collate([sample[key] for sample in samples]) for key in first}
    if isinstance(first, (tuple, list)):
        columns = [collate(column) for column in zip(*samples)]
        return columns if isinstance(first, list) else tuple(columns)
    if hasattr(first, "shape"):
        stacked = ops.stack(samples)
        return stacked if isinstance(stacked, Tensor) else Tensor(stacked)
    if isinstance(first, (int, float)):
        return Tensor(samples)
    raise TypeError(f"collate: {first!r} is {kinds[0]}, which cannot be stacked; use a collate_fn that knows it")


def _kind(sample):
    """What the samples of a batch must have in common, in words."""
    if hasattr(sample, "shape"):
        return f"{'a Tensor' if isinstance(sample, Tensor) else 'an array'} of shape {tuple(sample.shape)}"
    if isinstance(sample, (tuple, list, dict)):
        return f"a {type(sample).__name__} of {sorted(map(repr, sample)) if isinstance(sample, dict) else len(sample)}"
    return "a number" if isinstance(sample, (int, float)) else f"a {type(sample).__name__}"
