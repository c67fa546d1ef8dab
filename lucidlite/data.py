"""Data: samples that can be counted and looked up, and a loader that hands them out in batches."""

import operator
from itertools import accumulate, pairwise
from typing import Any

from . import backend, checks, ops, random
from .tensor import Tensor


class Dataset:
    """Samples numbered from 0. A subclass writes `__getitem__` and `__len__`; `a + b` puts one behind the other.

    >>> class Squares(lucidlite.data.Dataset):
    ...     def __len__(self): return 3
    ...     def __getitem__(self, index): return index, index**2
    >>> list(Squares())
    [(0, 0), (1, 1), (2, 4)]"""

    __getitem__: Any
    __len__: Any

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __add__(self, other):
        return ConcatDataset([self, other])

    def __repr__(self):
        return f"{type(self).__name__}(n={len(self)})"


class TensorDataset(Dataset):
    """Tensors of one length, or arrays, which are copied into Tensors: `dataset[i]` is the tuple of their i-th rows."""

    def __init__(self, *tensors):
        sizes = {tuple(getattr(t, "shape", ()))[:1] for t in tensors}
        checks.refuse(len(sizes) != 1 or () in sizes, f"{checks.brief(tensors)}; they need one length, as in (x, y)")
        self.tensors: tuple = tuple(t if isinstance(t, Tensor) else Tensor(t) for t in tensors)

    def __getitem__(self, index):
        return tuple(t[index] for t in self.tensors)

    def __len__(self):
        return len(self.tensors[0])


class Subset(Dataset):
    """The samples of a dataset that `indices`, whole numbers or a mask, name, in this order."""

    def __init__(self, dataset, indices):
        chosen = indices.tolist() if hasattr(indices, "tolist") else list(indices)
        self.dataset, self.indices = dataset, backend.numpy.arange(len(dataset))[chosen]

    def __getitem__(self, index):
        return self.dataset[operator.index(self.indices[index])]

    def __len__(self):
        return len(self.indices)


class ConcatDataset(Dataset):
    """Datasets one behind the other, as `a + b` puts them."""

    def __init__(self, datasets):
        self.places = [(dataset, i) for dataset in datasets for i in range(len(dataset))]

    def __getitem__(self, index):
        dataset, i = self.places[index]
        return dataset[i]

    def __len__(self):
        return len(self.places)


def random_split(dataset, lengths, seed: int | None = None) -> tuple[Subset, ...]:
    """Disjoint random Subsets that together are the dataset.

    Lengths are whole numbers that add up to len(dataset), or fractions that add up to 1 and are rounded down; what is
    left goes to the first subsets, one sample each. Without a seed the package's random stream decides."""
    n, lengths = len(dataset), list(lengths)
    scale, total = (1, n) if all(hasattr(x, "__index__") for x in lengths) else (n, 1)
    if not (abs(sum(lengths) - total) < 1e-9 and min(lengths, default=0) >= 0):
        raise ValueError(f"random_split: {lengths} add up to {sum(lengths)}; {n} samples need {total}, of numbers >= 0")
    sizes = [int(x * scale + 1e-6) for x in lengths]  # 100 * 0.29 is 28.999999999999996
    ends = accumulate((size + (i < n - sum(sizes)) for i, size in enumerate(sizes)), initial=0)
    order = (random.generator() if seed is None else backend.stream(seed)).permutation(n)
    return tuple(Subset(dataset, order[start:end]) for start, end in pairwise(ends))


class DataLoader:
    """Batches of a dataset, for a `for` loop; loops over one loader can be repeated and nested.

    A list of samples is a dataset, too. With `shuffle` the order is drawn from the package's random stream whenever an
    iteration starts; with `drop_last` a short last batch is left out; `collate_fn` makes a batch of a list of samples.

    >>> list(lucidlite.data.DataLoader([(0.5, 0), (1.5, 1), (2.5, 2)], batch_size=2))
    [(Tensor([0.5, 1.5]), Tensor([0, 1])), (Tensor([2.5]), Tensor([2]))]"""

    def __init__(self, dataset, batch_size=1, shuffle=False, collate_fn=None, *, drop_last=False):
        checks.whole("DataLoader: len(dataset)", len(dataset))
        self.dataset, self.collate_fn, self.batch_size = dataset, collate_fn, checks.whole("batch_size", batch_size)
        self.shuffle, self.drop_last = checks.flag("shuffle", shuffle), checks.flag("drop_last", drop_last)

    def __len__(self):
        return (len(self.dataset) + (0 if self.drop_last else self.batch_size - 1)) // self.batch_size

    def __iter__(self):
        dataset, n, size = self.dataset, len(self.dataset), self.batch_size
        order = random.generator().permutation(n) if self.shuffle else backend.numpy.arange(n)
        while type(dataset) is Subset:
            dataset, order = dataset.dataset, dataset.indices[order]
        batches = (order[i * size : (i + 1) * size] for i in range(len(self)))
        if type(dataset) is TensorDataset and self.collate_fn is None:  # no subclass: it may change its samples
            return (dataset[rows] for rows in batches)  # one indexing op for each tensor and batch
        return ((self.collate_fn or collate)([dataset[i] for i in rows.tolist()]) for rows in batches)


def collate(samples):
    """A batch from a list of samples: Tensors and arrays are stacked, numbers become a Tensor, float32, int64 or bool;
    tuples, lists and dicts are collated position by position and key by key."""
    first, nested = samples[0], isinstance(samples[0], (tuple, list, dict))
    sizes = {len(sample) if nested else tuple(getattr(sample, "shape", ())): None for sample in samples}
    if len(sizes) > 1:
        raise ValueError(f"collate: {'lengths' if nested else 'shapes'} {[*sizes]} make no batch; a collate_fn may pad")
    if isinstance(first, dict):
        return {key: collate([sample[key] for sample in samples]) for key in first}
    if nested:
        return type(first)(map(collate, zip(*samples)))
    batch = ops.stack(samples) if all(hasattr(sample, "shape") for sample in samples) else samples
    return batch if isinstance(batch, Tensor) else Tensor(batch)
