"""Datasets, splits and batches."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import DEVICE, host, make

import lucidlite
from lucidlite.data import ConcatDataset, DataLoader, Dataset, Subset, TensorDataset, collate, random_split


class Squares(Dataset):
    """(i, i squared) as Python numbers; a negative index would give wrong samples, and nothing may ask for one."""

    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        assert type(index) is int and 0 <= index < self.n
        return index, index**2


class Doubled(TensorDataset):
    """A TensorDataset that changes its samples, one at a time."""

    def __getitem__(self, index):
        assert type(index) is int
        return tuple(2 * t for t in super().__getitem__(index))


def count(n):
    """The numbers below n, one in each sample."""
    return TensorDataset(make(np.arange(n)))


def numbers(batches):
    """What stands in the first element of each batch, as lists."""
    return [batch[0].tolist() for batch in batches]


# ---- Datasets --------------------------------------------------------------------------------------------------------


def test_a_dataset_is_iterable_again_and_again_and_prints_its_length():
    dataset = Squares(3)
    assert list(dataset) == list(dataset) == [(0, 0), (1, 1), (2, 4)]
    assert repr(dataset) == "Squares(n=3)"


def test_tensor_dataset_gives_rows_of_all_its_tensors():
    x, y = np.arange(12.0).reshape(4, 3), np.arange(4)
    dataset = TensorDataset(make(x), y)
    assert len(dataset) == 4
    for i in (0, 3, -1):
        row, label = dataset[i]
        assert isinstance(row, lucidlite.Tensor) and isinstance(label, lucidlite.Tensor)
        np.testing.assert_array_equal(host(row), x[i])
        assert label.item() == y[i] and label.shape == ()
    assert [label.item() for _, label in dataset] == [0, 1, 2, 3]


def test_tensor_dataset_copies_arrays_and_keeps_tensors():
    array, tensor = np.zeros(2), make(np.zeros(2))
    dataset = TensorDataset(array, tensor)
    array[0] = 7
    assert dataset[0][0].item() == 0
    assert dataset.tensors[1] is tensor


@pytest.mark.parametrize("index", [4, -5])
@pytest.mark.parametrize("dataset", [count(4), Subset(count(9), range(4)), Squares(1) + Squares(3)], ids=repr)
def test_an_index_out_of_range_is_an_index_error(dataset, index):
    with pytest.raises(IndexError, match=f"{index} is out of bounds|index out of range"):
        dataset[index]


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ((), r"\(\)"),
        ((np.zeros((3, 2)), np.zeros(4), np.zeros(3)), r"\[\(3, 2\) float64, \(4,\) float64, \(3,\) float64\]"),
        ((np.zeros(3), np.zeros(())), r"\[\(3,\) float64, \(\) float64\]"),
        ((lucidlite.tensor(1.0),), r"\[\(\) float32\]; .*one length"),
        (([np.zeros(3), np.zeros(3)],), r"as in \(x, y\)"),
        ((np.zeros(3), [1, 2, 3]), r"\[1, 2, 3\]"),
        ((None,), "None"),
    ],
)
def test_tensor_dataset_refuses(tensors, words):
    with pytest.raises(ValueError, match=words):
        TensorDataset(*tensors)


def test_subset_takes_any_list_of_whole_numbers():
    expected = [5, 0, 5, 8]
    for indices in ([5, 0, -4, 8], (5, 0, 5, -1), np.array([5, 0, 5, 8], "uint8"), make(np.array(expected))):
        subset = Subset(count(9), indices)
        assert [x.item() for (x,) in subset] == expected
        assert subset[-1][0].item() == 8
        assert [i for i, _ in Subset(Squares(9), indices)] == expected
    assert len(Subset(count(9), [])) == len(Subset(count(9), range(0))) == len(Subset(Squares(0), [])) == 0


def test_subset_takes_a_mask():
    for mask in ([True, False, True], np.array([True, False, True]), make(np.array([4, 0, 5])) > 3):
        assert [x.item() for (x,) in Subset(count(3), mask)] == [0, 2]


@pytest.mark.parametrize("indices", [[0.5], [True, False], 3, ["a"], None])
def test_subset_refuses_what_is_no_list_of_whole_numbers(indices):
    with pytest.raises((TypeError, IndexError)):
        Subset(count(4), indices)


@pytest.mark.parametrize("indices", [[0, 4], [-5]])
def test_subset_names_an_index_out_of_range_when_it_is_made(indices):
    with pytest.raises(IndexError, match=f"{indices[-1]} is out of bounds .* size 4"):
        Subset(count(4), indices)


def test_datasets_add_up():
    joined = Squares(2) + Squares(0) + count(3) + Squares(1)
    assert isinstance(joined, ConcatDataset) and len(joined) == 6
    assert [s[0] if len(s) == 2 else s[0].item() for s in joined] == [0, 1, 0, 1, 2, 0]
    assert joined[-1] == joined[5] == (0, 0)
    assert joined[-6] == (0, 0) and joined[1] == (1, 1)


@pytest.mark.parametrize("use", [DataLoader, lambda x: Subset(x, [0]), lambda x: random_split(x, [1])])
def test_what_is_no_dataset_is_refused_with_its_type(use):
    with pytest.raises(TypeError, match="'NoneType' has no len"):
        use(None)


def test_a_list_of_samples_is_a_dataset():
    samples = [(0, "a"), (1, "b"), (2, "c")]
    assert list(Subset(samples, [2, 0])) == [(2, "c"), (0, "a")]
    assert list(ConcatDataset([samples, Subset(samples, [1])])) == [*samples, (1, "b")]
    assert [len(part) for part in random_split(samples, [1, 2])] == [1, 2]
    assert list(DataLoader(samples, 2, collate_fn=list)) == [samples[:2], samples[2:]]


# ---- Splits ----------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 20), min_size=1, max_size=5), st.integers(0, 2**70))
def test_a_split_deals_out_every_sample_once(lengths, seed):
    parts = random_split(count(sum(lengths)), lengths, seed)
    assert [len(part) for part in parts] == lengths
    assert sorted(x.item() for part in parts for (x,) in part) == list(range(sum(lengths)))


@pytest.mark.parametrize(
    ("n", "fractions", "sizes"),
    [
        (10, [0.5, 0.25, 0.25], [6, 2, 2]),
        (10, [1 / 3] * 3, [4, 3, 3]),
        (100, [0.71, 0.29], [71, 29]),  # 100 * 0.29 is 28.999999999999996, which used to make 72 and 28
        (1797, [0.8, 0.2], [1438, 359]),
        (3, [1.0], [3]),
        (2, [0.0, 1.0], [0, 2]),
        (0, [0.5, 0.5], [0, 0]),
    ],
)
def test_fractions_are_rounded_down_and_the_rest_goes_to_the_first(n, fractions, sizes):
    assert [len(part) for part in random_split(count(n), fractions)] == sizes


@given(st.integers(0, 10_000), st.lists(st.integers(1, 100), min_size=1, max_size=12))
def test_fractions_use_every_sample_and_miss_none_by_more_than_one(n, weights):
    fractions = [w / sum(weights) for w in weights]
    sizes = [len(part) for part in random_split(Squares(n), fractions)]
    assert sum(sizes) == n
    assert all(abs(size - n * f) < 1 + 1e-6 for size, f in zip(sizes, fractions))


def test_a_split_follows_its_seed_or_the_packages_stream():
    def split(seed=None):
        return [part.indices.tolist() for part in random_split(count(50), [30, 20], seed)]

    before = lucidlite.random.get_state()
    assert split(seed=1) == split(seed=1) != split(seed=2)
    assert lucidlite.random.get_state() == before, "a split with a seed must not move the package's stream"
    first, second = split(), split()
    lucidlite.random.set_state(before)
    assert first == split() != second
    assert first[0] != list(range(30))


@pytest.mark.parametrize(
    ("lengths", "kind", "words"),
    [
        ([3, 4], ValueError, r"\[3, 4\] add up to 7; 10"),
        ([12, -2], ValueError, r"\[12, -2\]"),
        ([], ValueError, "add up to 0; 10"),
        ([0.5, 0.4], ValueError, r"\[0.5, 0.4\] add up to 0.9; 10 samples need 1"),
        ([1.5, -0.5], ValueError, "-0.5"),
        ([float("nan"), 1.0], ValueError, "nan"),
        ([float("inf"), 1.0], ValueError, "inf"),
        ([5, 0.5], ValueError, r"\[5, 0.5\] add up to 5.5; 10 samples need 1"),
        (["5", "5"], TypeError, "'str'"),
        (5, TypeError, "int"),
    ],
)
def test_a_split_refuses_lengths_that_do_not_fit(lengths, kind, words):
    with pytest.raises(kind, match=words):
        random_split(count(10), lengths)


# ---- Batches ---------------------------------------------------------------------------------------------------------


@given(st.integers(1, 40), st.integers(1, 45), st.booleans(), st.booleans(), st.booleans())
def test_a_loader_gives_every_sample_once_in_batches_of_one_size(n, size, shuffle, drop_last, fast):
    dataset = count(n) if fast else Squares(n)
    loader = DataLoader(dataset, size, shuffle, drop_last=drop_last)
    batches = numbers(loader)
    assert len(loader) == len(batches) == (n // size if drop_last else -(-n // size))
    assert all(len(batch) == size for batch in batches[:-1])
    seen = [x for batch in batches for x in batch]
    kept = n - n % size if drop_last else n
    assert len(seen) == len(set(seen)) == kept and set(seen) <= set(range(n))
    if not shuffle:
        assert seen == list(range(kept))


@pytest.mark.parametrize("dtype", lucidlite.backend.DTYPES)
def test_batches_have_the_dtype_and_device_of_the_data(dtype):
    array = np.arange(6).reshape(3, 2).astype(dtype)
    x = make(array)
    datasets = [TensorDataset(x), Subset(TensorDataset(x), [0, 1, 2]), TensorDataset(x) + TensorDataset(x)]
    for dataset in datasets:
        (batch,) = next(iter(DataLoader(dataset, 2)))
        assert batch.dtype == dtype and batch.device == x.device and batch.device.startswith(DEVICE)
        np.testing.assert_array_equal(host(batch), array[:2])
    foreign = array.astype(array.dtype.newbyteorder(">"))
    (batch,) = next(iter(DataLoader(TensorDataset(foreign), 2)))
    assert batch.dtype == dtype and batch.tolist() == array[:2].tolist()


def test_every_iteration_is_shuffled_anew_and_a_seed_repeats_them():
    loader = DataLoader(count(100), 10, shuffle=True)
    lucidlite.random.seed(5)
    first, second = numbers(loader), numbers(loader)
    lucidlite.random.seed(5)
    assert [first, second] == [numbers(loader), numbers(loader)]
    assert first != second
    lucidlite.random.seed(6)
    assert numbers(loader) != first


def test_the_order_is_the_packages_random_stream_and_is_drawn_when_iteration_starts():
    loader = DataLoader(count(20), 20, shuffle=True)
    lucidlite.random.seed(3)
    iterator = iter(loader)
    after = lucidlite.random.get_state()
    lucidlite.random.seed(3)
    assert lucidlite.randperm(20).tolist() == next(iterator)[0].tolist()
    assert lucidlite.random.get_state() == after


def test_a_loader_that_does_not_shuffle_leaves_the_random_stream_alone():
    before = lucidlite.random.get_state()
    list(DataLoader(count(20), 3))
    assert lucidlite.random.get_state() == before


def test_nested_loops_over_one_loader_do_not_disturb_each_other():
    """In lucid a loader is its own iterator, and the inner loop ends the outer one."""
    loader = DataLoader(count(7), 2, shuffle=True)
    outer = 0
    for (a,) in loader:
        inner = sorted(x for batch in numbers(loader) for x in batch)
        assert inner == list(range(7))
        outer += len(a)
    assert outer == 7


def test_two_iterators_that_take_turns_give_what_they_would_give_alone():
    loader = DataLoader(count(9), 2, shuffle=True)
    a, b = iter(loader), iter(loader)
    pairs = list(zip(numbers(a), numbers(b)))
    lucidlite.random.seed(0)
    assert pairs == list(zip(numbers(loader), numbers(loader)))


@pytest.mark.parametrize("wrap", [lambda d: d, lambda d: Subset(d, range(8)), lambda d: random_split(d, [8])[0]])
def test_a_batch_of_tensors_is_one_indexing_op_per_tensor(wrap, monkeypatch):
    dataset = wrap(TensorDataset(make(np.arange(24.0).reshape(8, 3)), make(np.arange(8))))
    calls, original = [], lucidlite.Tensor.__getitem__
    monkeypatch.setattr(lucidlite.Tensor, "__getitem__", lambda t, index: calls.append(index) or original(t, index))
    batches = list(DataLoader(Subset(dataset, range(6)), 3, shuffle=True))
    assert len(batches) == 2 and len(calls) == 4
    assert all(x.shape == (3, 3) and (host(x)[:, 0] == 3 * host(y)).all() for x, y in batches)


def test_batches_of_a_subset_are_its_own_samples_in_its_order():
    outer = Subset(Subset(count(9), [8, 3, 5, 1]), [3, 0, 0])
    assert numbers(DataLoader(outer, 2)) == [[1, 8], [8]]
    assert sorted(numbers(DataLoader(outer, shuffle=True))) == [[1], [8], [8]]


def test_a_subclass_that_changes_its_samples_is_asked_for_each_of_them():
    assert numbers(DataLoader(Doubled(make(np.arange(4))), 3)) == [[0, 2, 4], [6]]
    assert numbers(DataLoader(Subset(Doubled(make(np.arange(4))), [3, 1]), 2)) == [[6, 2]]

    class Shifted(Subset):
        def __getitem__(self, index):
            return tuple(1000 + t for t in super().__getitem__(index))

    assert numbers(DataLoader(Shifted(count(4), [3, 1]), 2)) == [[1003, 1001]]
    assert numbers(DataLoader(Subset(Shifted(count(4), [3, 1]), [1]), 2)) == [[1001]]


def test_the_fast_way_gives_what_the_slow_way_gives():
    x, y = make(np.arange(30.0).reshape(10, 3)), make(np.arange(10) % 3)
    fast = DataLoader(TensorDataset(x, y), 4)
    slow = DataLoader(TensorDataset(x, y), 4, False, collate)
    for a, b in zip(fast, slow, strict=True):
        assert isinstance(a, tuple) and isinstance(b, tuple)
        for s, t in zip(a, b, strict=True):
            assert s.dtype == t.dtype and s.shape == t.shape and s.device == t.device and (s == t).all()


def test_changing_a_batch_leaves_the_data_alone():
    dataset = count(4)
    for (batch,) in DataLoader(dataset, 2):
        batch[...] = -1
    assert dataset.tensors[0].tolist() == [0, 1, 2, 3]


def test_collate_fn_gets_the_list_of_samples():
    loader = DataLoader(Squares(5), 2, False, lambda samples: samples)
    assert list(loader) == [[(0, 0), (1, 1)], [(2, 4), (3, 9)], [(4, 16)]]
    (first, *_) = DataLoader(count(5), 2, collate_fn=len)
    assert first == 2


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"batch_size": 0}, ValueError, "batch_size is 0"),
        ({"batch_size": -3}, ValueError, "batch_size is -3"),
        ({"batch_size": 2.0}, TypeError, "batch_size is 2.0"),
        ({"batch_size": "2"}, TypeError, "batch_size is '2'"),
        ({"batch_size": None}, TypeError, "batch_size is None"),
        ({"batch_size": True}, TypeError, "batch_size is True"),
    ],
)
def test_a_loader_refuses(options, kind, words):
    with pytest.raises(kind, match=words):
        DataLoader(count(3), **options)


@pytest.mark.parametrize(
    "dataset", [TensorDataset(np.zeros((0, 3))), Subset(count(3), []), ConcatDataset([])], ids=repr
)
def test_a_loader_refuses_an_empty_dataset(dataset):
    with pytest.raises(ValueError, match=r"len\(dataset\) is 0"):
        DataLoader(dataset)


def test_a_loader_takes_lucids_first_four_arguments_in_lucids_order():
    loader = DataLoader(Squares(4), 3, True, len)
    assert (loader.batch_size, loader.shuffle, loader.collate_fn) == (3, True, len)
    assert Counter(loader) == {3: 1, 1: 1}


# ---- collate ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("samples", "dtype", "values"),
    [
        ([0.5, 1.5], "float32", [0.5, 1.5]),
        ([1, 2], "int64", [1, 2]),
        ([1, 2.5], "float32", [1, 2.5]),
        ([True, False], "bool", [True, False]),
        ([np.float64(1), np.float64(2)], "float64", [1, 2]),
        ([np.int8(1), np.int8(2)], "int8", [1, 2]),
        ([np.array([1, 2], "uint8"), np.array([3, 4], "uint8")], "uint8", [[1, 2], [3, 4]]),
        ([np.zeros((0, 2)), np.zeros((0, 2))], "float64", [[], []]),
        ([lucidlite.tensor([1.0]), lucidlite.tensor([2.0])], "float32", [[1], [2]]),
    ],
)
def test_collate_stacks_numbers_arrays_and_tensors(samples, dtype, values):
    batch = collate(samples)
    assert isinstance(batch, lucidlite.Tensor)
    assert batch.dtype == dtype and batch.tolist() == values


def test_collate_goes_into_tuples_lists_and_dicts():
    def sample(i):
        return {"x": make(np.full(2, i)), "y": (i, [float(i), {"z": np.float32(i)}])}

    batch = collate([sample(0), sample(1)])
    assert list(batch) == ["x", "y"] and isinstance(batch["y"], tuple) and isinstance(batch["y"][1], list)
    assert batch["x"].tolist() == [[0, 0], [1, 1]] and batch["x"].device == make(1).device
    assert batch["y"][0].tolist() == [0, 1] and batch["y"][0].dtype == "int64"
    assert batch["y"][1][0].tolist() == [0, 1] and batch["y"][1][1]["z"].dtype == "float32"


def test_collate_lets_gradients_through():
    w = make(np.array([1.0, 2.0]), requires_grad=True)
    collate([w, w * 3]).sum().backward()
    assert host(w.grad).tolist() == [4, 4]


@pytest.mark.parametrize(
    ("samples", "kind", "words"),
    [
        ([np.zeros(2), np.zeros(3)], ValueError, r"shapes \[\(2,\), \(3,\)\] make no batch; a collate_fn"),
        ([(1, 2), (1, 3), (1,)], ValueError, r"lengths \[2, 1\]"),
        ([{"a": 1}, {"a": 1, "b": 2}], ValueError, r"lengths \[1, 2\]"),
        ([{"a": 1}, {0: 1}], KeyError, "'a'"),
        ([1, None], TypeError, r"\[1, None\]"),
        ([(1, np.zeros(2)), (1, np.zeros(1))], ValueError, r"shapes \[\(2,\), \(1,\)\]"),
        (["a", "b"], TypeError, r"\['a', 'b'\]"),
    ],
)
def test_collate_refuses_samples_that_make_no_batch(samples, kind, words):
    with pytest.raises(kind, match=words):
        collate(samples)
