"""Checkpoints: what is saved comes back exactly, what is damaged is noticed, and a crash loses nothing."""

import errno
import hashlib
import json
import math
import os
import stat
import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from support import DEVICE, make

import lucidlite
from lucidlite import backend, serialization
from lucidlite.serialization import load, save

pytest.importorskip("safetensors.numpy")  # a machine with a GPU may have numpy, cupy, pytest and hypothesis only
safetensors = sys.modules["safetensors"]


def same(a, b):
    """Whether two objects are equal in every type, key order, bit and sign; NaN equals NaN."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return same(list(a.items()), list(b.items()))
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, lucidlite.Tensor):
        return a.requires_grad == b.requires_grad and same(np.array(a), np.array(b))
    if isinstance(a, (np.ndarray, np.generic)):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, float):
        return math.isnan(a) == math.isnan(b) and (math.isnan(a) or struct.pack("d", a) == struct.pack("d", b))
    return a == b


def trip(obj, folder):
    return load(save(obj, folder / "obj"))


def files(folder):
    return sorted(os.listdir(folder))


def foreign(header, data=b""):
    """The bytes of a safetensors file with this header."""
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


@pytest.fixture
def small(tmp_path):
    return save({"w": np.float32([1, 2]), 0: (True, 0.5)}, tmp_path / "small")


def metadata(path):
    with safetensors.safe_open(path, "np") as file:
        return file.metadata()


# ---- What comes back -------------------------------------------------------------------------------------------------

OPTIMIZER = {
    "state": {0: {"step": 7, "square_avg": np.arange(4, dtype="float32")}, 1: {}},
    "param_groups": [{"params": [0, 1], "lr": 0.01, "betas": (0.9, 0.999), "centered": False, "foreach": None}],
}


def test_an_optimizers_state_comes_back_equal_in_every_type(tmp_path):
    assert same(trip(OPTIMIZER, tmp_path), OPTIMIZER)


@pytest.mark.parametrize("device", ["cpu", DEVICE])
def test_tensors_keep_their_kind_and_whether_they_require_gradients(tmp_path, device):
    frozen = lucidlite.Parameter([3.0], device=device)
    frozen.requires_grad = False
    w = lucidlite.tensor([[1.0, -0.0]], requires_grad=True, device=device)
    plain = lucidlite.tensor(7, device=device)
    found = trip([lucidlite.Parameter([1.0, 2.0], device=device), frozen, w, plain, w * 2, w.data], tmp_path)
    assert [type(t).__name__ for t in found] == ["Parameter", "Parameter", "Tensor", "Tensor", "Tensor", "ndarray"]
    assert [t.requires_grad for t in found[:5]] == [True, False, True, False, False]
    assert [t.device for t in found[:5]] == ["cpu"] * 5
    assert [t.tolist() for t in found] == [[1, 2], [3], [[1, -0.0]], 7, [[2, -0.0]], [[1, -0.0]]]
    assert found[4].is_leaf and found[3].shape == () and found[3].dtype == "int64"


@pytest.mark.parametrize("dtype", backend.DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (2, 3)], ids=str)
def test_arrays_keep_dtype_shape_and_bits(tmp_path, dtype, shape):
    bits = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 256, (*shape, np.dtype(dtype).itemsize))
    array = bits.astype("uint8").reshape(-1).view(dtype).reshape(shape)
    for obj in (array, make(np.nan_to_num(array)), {"a": [array, array[()]]}):
        expected = lucidlite.tensor(np.nan_to_num(array)) if isinstance(obj, lucidlite.Tensor) else obj
        assert same(trip(obj, tmp_path), expected)


def test_loaded_arrays_can_be_written_and_own_their_memory(tmp_path):
    found = trip([np.zeros(3), lucidlite.ones(2)], tmp_path)
    found[0][1] = 5
    with lucidlite.no_grad():
        found[1][0] = 5
    assert found[0].dtype is np.dtype("float64"), "the engine compares dtypes by identity"
    assert found[0].flags.owndata and found[0].tolist() == [0, 5, 0] and found[1].tolist() == [5, 1]


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12.0).reshape(3, 4).T,
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.arange(12)[::-3],
        np.broadcast_to(np.float32(3), (2, 2)),
        np.arange(5, dtype=">i4"),
        np.array(2.5, ">f8"),
        np.arange(6, dtype=">u2").reshape(2, 3).T,
        np.arange(6.0).reshape(2, 3)[:, 1:2],
        np.frombuffer(b"x" + np.arange(3.0).tobytes(), "f8", offset=1),  # not aligned
    ],
    ids=range(9),
)
def test_strided_and_big_endian_arrays_come_back_with_the_same_numbers(tmp_path, array):
    found = trip({"array": array}, tmp_path)["array"]
    assert found.dtype == array.dtype.newbyteorder("=") and found.dtype.isnative and found.flags.c_contiguous
    assert found.shape == array.shape and found.tolist() == array.tolist()


@pytest.mark.parametrize(
    "obj",
    [
        None,
        True,
        0,
        -1,
        2**53,
        -(2**53) + 1,
        -(10**40),
        7**10_000,  # more digits than Python would turn into a decimal text
        0.1,
        -0.0,
        5e-324,
        1.7976931348623157e308,
        math.nan,
        math.inf,
        -math.inf,
        "",
        "α \u2028 \x00 \U0001f600 \\ \" ' \n \ufffe",
        '{"format":"lucidlite',
        '","sha256":"' + "0" * 64,
        (),
        [],
        {},
        (1,),
        [(), [()], {}],
        {"": {"": ()}},
        {0: "int", "0": "str", -5: None, 2**70: 1, "int": "0x5", "tuple": [1], "dict": [[1, 2]], "array": "data"},
        {"__metadata__": np.zeros(1), "data": np.ones(1), "": np.zeros(2)},
        {"a": {"b": np.zeros(1)}, "a.b": np.ones(2), "a.b~2": np.ones(3)},
        {0: np.zeros(1), "0": np.ones(2)},
        {"sha256": '"sha256":"', '"sha256":"': np.zeros(1)},
        np.float64(0.1),
        [np.float32(0.1), np.int64(3), np.bool_(True), np.float16("nan")],
    ],
    ids=lambda x: ascii(x)[:30] if not isinstance(x, int) else "int",
)
def test_this_comes_back_equal_in_every_type(tmp_path, obj):
    assert same(trip(obj, tmp_path), obj)


texts = st.text(st.characters(exclude_categories=["Cs"]))
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    texts,
    arrays_of.arrays(st.sampled_from(backend.DTYPES), arrays_of.array_shapes(min_dims=0, min_side=0, max_side=3)),
    arrays_of.arrays("float32", arrays_of.array_shapes(max_side=3)).map(lucidlite.tensor),
    arrays_of.arrays("float16", ()).map(lucidlite.Parameter),
    st.floats(width=32).map(np.float32),
)
nested = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner),
        st.lists(inner).map(tuple),
        st.dictionaries(st.one_of(texts, st.integers()), inner),
    ),
)


@given(nested)
def test_any_nested_structure_comes_back_equal_in_every_type(tmp_path_factory, obj):
    assert same(trip(obj, tmp_path_factory.getbasetemp()), obj)


def test_what_has_a_state_dict_is_saved_as_that_also_inside_of_other_things(tmp_path):
    class Model:
        def state_dict(self):
            return {"0.weight": np.ones((2, 2), "float32"), "inner": Inner()}

    class Inner:
        def state_dict(self):
            return {"step": 3}

    expected = {"0.weight": np.ones((2, 2), "float32"), "inner": {"step": 3}}
    assert same(trip(Model(), tmp_path), expected)
    assert same(trip({"model": Model(), "epoch": 3}, tmp_path), {"model": expected, "epoch": 3})


def test_subclasses_of_dict_come_back_as_dicts(tmp_path):
    from collections import OrderedDict, defaultdict

    obj = {"a": OrderedDict(b=1), "c": defaultdict(list, {0: [1]})}
    assert same(trip(obj, tmp_path), {"a": {"b": 1}, "c": {0: [1]}})


def test_one_array_in_two_places_comes_back_in_both(tmp_path):
    array = np.arange(3.0)
    inner = [array]
    assert same(trip([array, array, inner, inner], tmp_path), [array, array, [array], [array]])


def test_the_state_of_the_random_stream_can_be_saved(tmp_path):
    state = trip(lucidlite.random.get_state(), tmp_path)
    expected = lucidlite.randn(5).tolist()
    lucidlite.random.set_state(state)
    assert lucidlite.randn(5).tolist() == expected


def test_a_hundred_levels_come_back_and_one_more_is_refused(tmp_path):
    for wrap in (lambda x: [x], lambda x: (x,), lambda x: {"key": x}):
        obj = np.ones(2)
        for _ in range(100):
            obj = wrap(obj)
        assert same(trip(obj, tmp_path), obj)
        with pytest.raises(ValueError, match="more than 100 deep"):
            save(wrap(obj), tmp_path / "deep")


# ---- What is refused -------------------------------------------------------------------------------------------------


class Named(tuple):
    pass


@pytest.mark.parametrize(
    ("obj", "words"),
    [
        (object(), "^obj is a object"),
        ({"state": [{"x": {1, 2}}]}, r'^obj\["state"\]\[0\]\["x"\] is a set'),
        ({"é": {-1: [b"bytes"]}}, r'^obj\["é"\]\[-1\]\[0\] is a bytes'),
        ([1, (2, lambda: 3)], r"^obj\[1\]\[1\] is a function"),
        (1j, "complex"),
        (Named([1]), "Named"),
        (np.zeros(2, complex), "^obj is an array of complex128.*float32"),
        ([np.array(["a"])], r"^obj\[0\] is an array of <U1"),
        ([np.array([None])], r"^obj\[0\] is an array of object"),
        ([np.datetime64("2024-01-01")], r"^obj\[0\] is an array of datetime64"),
        ([np.complex64(1)], r"^obj\[0\] is an array of complex64"),
        ([np.str_("a")], r"^obj\[0\] is an array of <U1"),
        (np.ma.masked_array([1, 2], [0, 1]), "MaskedArray"),
        ({True: 1}, r"^obj has the key True \(bool\)"),
        ({"a": {None: 1}}, r'^obj\["a"\] has the key None \(NoneType\)'),
        ([{(0, 1): 1}], r"^obj\[0\] has the key \(0, 1\) \(tuple\)"),
        ({0.5: 1}, "float"),
    ],
)
def test_anything_else_is_refused_with_its_place_and_type(tmp_path, obj, words):
    with pytest.raises(TypeError, match=words):
        save(obj, tmp_path / "obj")
    assert files(tmp_path) == []


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\ud83d\ude00"])  # the last would come back as one character
def test_text_with_lone_surrogates_is_refused(tmp_path, text):
    for obj in ({"x": [text]}, {"x": {text: 1}}, {text: np.zeros(1)}):
        with pytest.raises(ValueError, match="surrogates"):
            save(obj, tmp_path / "obj")
    assert files(tmp_path) == []


def test_what_contains_itself_is_refused(tmp_path):
    a = {"list": [1]}
    a["list"].append(a)
    with pytest.raises(ValueError, match=r'^obj\["list"\]\[1\].* contains itself'):
        save(a, tmp_path / "obj")
    assert files(tmp_path) == []


def test_a_header_that_no_reader_would_take_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(serialization, "HEADER", 1000)
    save(["x" * 700], tmp_path / "obj")
    with pytest.raises(ValueError, match="bytes beside the arrays"):
        save(["x" * 1000], tmp_path / "large")
    assert files(tmp_path) == ["obj.safetensors"]


@pytest.mark.parametrize("path", [3, None, ["x"]])
def test_a_path_must_be_one(path):
    for use in (lambda: save({}, path), lambda: load(path)):
        with pytest.raises(TypeError, match="PathLike"):
            use()


# ---- The file, for other programs ------------------------------------------------------------------------------------


def test_other_programs_read_the_arrays_under_readable_names(tmp_path):
    found = safetensors.numpy.load_file(
        save({"model": {"0.weight": make([1.0])}, "optimizer": OPTIMIZER}, tmp_path / "x")
    )
    assert sorted(found) == ["model.0.weight", "optimizer.state.0.square_avg"]
    assert same(found["optimizer.state.0.square_avg"], np.arange(4, dtype="float32"))
    assert list(safetensors.numpy.load_file(save(np.ones(2), tmp_path / "y"))) == ["data"]
    assert list(metadata(tmp_path / "x.safetensors")) == ["lucidlite"]


def test_equal_objects_give_equal_files_in_every_process(tmp_path):
    code = f"""
import numpy as np
from lucidlite.serialization import save
save({{"b": [np.arange(3), {{0: 1.5, "x": "y"}}], "a": np.ones(2, "float32")}}, {str(tmp_path / "PROCESS")!r})
"""
    for process in "012":
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": process}
        subprocess.run([sys.executable, "-c", code.replace("PROCESS", process)], check=True, env=environment)
    assert len({(tmp_path / name).read_bytes() for name in files(tmp_path)}) == 1 and len(files(tmp_path)) == 3


def test_other_programs_can_check_the_checksum_and_read_the_structure(small):
    (text,) = metadata(save([0.1, -math.inf, 10**30, "é"], small)).values()
    content = json.loads(text)
    assert content["structure"] == [0.1, -math.inf, {"int": hex(10**30)}, "é"]
    digits = content["sha256"].encode()
    assert hashlib.sha256(small.read_bytes().replace(digits, b"0" * 64)).hexdigest().encode() == digits


def test_files_of_other_programs_load_as_a_dict_of_arrays_in_their_order(tmp_path):
    content = {"b": np.arange(6, dtype="int16").reshape(2, 3), "a": np.float32([[1, np.nan]]), "c": np.array(True)}
    safetensors.numpy.save_file(content, tmp_path / "x.safetensors", {"format": "pt", "about": "sha256 lucidlite"})
    found = load(tmp_path / "x.safetensors")
    assert sorted(found) == ["a", "b", "c"] and all(same(found[name], content[name]) for name in content)
    header = {n: {"dtype": "U8", "shape": [1], "data_offsets": [i, i + 1]} for i, n in enumerate("zebra")}
    (tmp_path / "y.safetensors").write_bytes(foreign(header, b"01234"))
    assert "".join(load(tmp_path / "y")) == "zebra"
    (tmp_path / "plain").write_bytes(foreign({}))
    assert load(tmp_path / "plain") == {}


def test_bfloat16_of_other_programs_becomes_float32(tmp_path):
    values = np.float32([1, -0.0, np.inf, 1.5, 3.0e38, 1e-40])
    upper = (values.view("uint32") >> 16).astype("<u2")
    header = {
        "x": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]},
        "y": {"dtype": "BF16", "shape": [], "data_offsets": [12, 14]},
    }
    (tmp_path / "x").write_bytes(foreign(header, upper.tobytes() + upper[3:4].tobytes()))
    found = load(tmp_path / "x")
    assert same(found["x"], (upper.astype("uint32") << 16).view("float32").reshape(2, 3))
    assert same(found["y"], np.array(1.5, "float32"))


@pytest.mark.parametrize("dtype", ["F8_E4M3", "F8_E5M2"])
def test_dtypes_that_tensors_do_not_have_are_refused_with_the_name_of_the_array(tmp_path, dtype):
    header = {"layer.w": {"dtype": dtype, "shape": [2], "data_offsets": [0, 2]}}
    (tmp_path / "x").write_bytes(foreign(header, bytes(2)))
    with pytest.raises(ValueError, match=rf"{tmp_path}/x.*layer\.w.*{dtype}"):
        load(tmp_path / "x")


# ---- Damage ----------------------------------------------------------------------------------------------------------


def damaged(path, blob):
    path.write_bytes(blob)
    with pytest.raises(ValueError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_every_flipped_bit_is_noticed(small):
    blob = small.read_bytes()
    assert len(blob) < 600
    for i in range(len(blob)):
        for bit in range(8):
            damaged(small, blob[:i] + bytes([blob[i] ^ 1 << bit]) + blob[i + 1 :])


def test_every_truncation_and_every_trailing_byte_is_noticed(small):
    blob = small.read_bytes()
    for length in range(len(blob)):
        damaged(small, blob[:length])
    for tail in (b"\0", b" ", b"\n", bytes(8), blob):
        damaged(small, blob + tail)


def test_zeroed_blocks_and_exchanged_bytes_are_noticed(small):
    blob = small.read_bytes()
    for start in range(0, len(blob), 16):
        damaged(small, blob[:start] + bytes(len(blob[start : start + 16])) + blob[start + 16 :])
    a, b = blob[-8:-4], blob[-4:]
    assert "checksum" in damaged(small, blob[:-8] + b + a)


def test_a_file_of_ours_needs_its_checksum(small):
    """Whoever takes the checksum out is told; without any trace of lucidlite it is another program's file."""
    arrays = {"w": np.float32([1, 2])}
    (text,) = metadata(small).values()
    content = json.loads(text)
    assert list(content) == ["format", "sha256", "structure"] and len(content["sha256"]) == 64
    without = json.dumps({k: v for k, v in content.items() if k != "sha256"}, separators=(",", ":"))
    for notes in ({"lucidlite": without}, {"other": text}, {"other": without}, {"lucidlite": "{}"}):
        assert "checksum" in damaged(small, safetensors.numpy.save(arrays, notes))
    small.write_bytes(safetensors.numpy.save(arrays, {"other": "text"}))
    assert same(load(small), arrays)


def resealed(path, **changes):
    """The file with another structure or format and a checksum that fits, as a later version might write it."""
    (text,) = metadata(path).values()
    content = json.loads(text) | changes | {"sha256": "0" * 64}
    blob = safetensors.numpy.save(
        safetensors.numpy.load_file(path), {"lucidlite": json.dumps(content, separators=(",", ":"))}
    )
    return blob.replace(b"0" * 64, hashlib.sha256(blob).hexdigest().encode(), 1)


def test_another_format_is_refused_by_name(small):
    assert "'lucidlite 2'" in damaged(small, resealed(small, format="lucidlite 2"))


@pytest.mark.parametrize(
    "structure",
    [
        {"set": [1]},
        {"array": "missing"},
        {"array": ["w"]},
        {"dict": [[1]]},
        {"dict": [[[], 1]]},
        {"tuple": 3},
        {"int": 5},
        {"int": "x"},
        {"scalar": []},
        {"tensor": "w"},
        {},
    ],
    ids=str,
)
def test_a_structure_that_makes_no_sense_is_refused_with_the_file(small, structure):
    damaged(small, resealed(small, structure=structure))


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"\0" * 7,
        b"\0" * 8,
        b"\xff" * 8,
        b"\x80\x02}q\x00." * 4,
        b"PK\x03\x04" + bytes(60),
        b'{"a": 1}',
        foreign([]),
    ],
)
def test_what_is_no_safetensors_file_is_refused_with_its_path(small, blob):
    damaged(small, blob)


def test_foreign_files_that_lie_about_their_arrays_are_refused(small):
    def entry(shape, *offsets):
        return {"dtype": "F32", "shape": shape, "data_offsets": offsets}

    damaged(small, foreign({"x": entry([2], 0, 8)}, bytes(4)))
    damaged(small, foreign({"x": entry([1], 0, 4)}, bytes(5)))
    damaged(small, foreign({"x": entry([1], 0, 4), "y": entry([1], 0, 4)}, bytes(4)))
    damaged(small, foreign({"x": entry([3], 0, 8)}, bytes(8)))
    damaged(small, foreign({"x": entry([0, 2**62, 2**62], 0, 0)}))


# ---- Paths -----------------------------------------------------------------------------------------------------------


def test_a_suffix_is_added_where_there_is_none_and_may_be_left_out_for_loading(tmp_path):
    for name, written in [
        ("a", "a.safetensors"),
        ("b.safetensors", "b.safetensors"),
        ("c.v2", "c.v2"),
        (".d", ".d.safetensors"),
    ]:
        path = save([name], tmp_path / name)
        assert path == tmp_path / written and path.is_file()
        assert load(path) == load(str(path)) == load(tmp_path / name) == [name]
    assert save(1, str(tmp_path / "s")) == tmp_path / "s.safetensors"


def test_a_folder_of_the_same_name_is_no_obstacle(tmp_path):
    (tmp_path / "model").mkdir()
    save([1], tmp_path / "model")
    assert load(tmp_path / "model") == [1]


def test_a_relative_path_without_a_folder_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(save([1], "x")) == "x.safetensors" and load("x") == [1] and files(tmp_path) == ["x.safetensors"]


def test_files_that_cannot_be_opened_are_os_errors_that_name_them(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.x").mkdir()
    for kind, use in [
        (FileNotFoundError, lambda: load(tmp_path / "none")),
        (FileNotFoundError, lambda: save([1], tmp_path / "none" / "x")),
        (IsADirectoryError, lambda: load(tmp_path / "folder")),
        (IsADirectoryError, lambda: save([1], tmp_path / "folder.x")),
        (NotADirectoryError, lambda: save([1], tmp_path / "file" / "x")),
    ]:
        (tmp_path / "file").touch()
        with pytest.raises(kind) as caught:
            use()
        assert str(tmp_path) in str(caught.value) and ".tmp" not in str(caught.value)
    assert files(tmp_path) == ["file", "folder", "folder.x"]


def test_permissions_follow_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        path = save([1], tmp_path / "x")
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_link_stays_a_link_and_what_it_points_to_is_replaced(tmp_path):
    (tmp_path / "a").mkdir()
    target = save([1], tmp_path / "a" / "x")
    link = tmp_path / "latest.safetensors"
    link.symlink_to(target)
    assert save([2], link) == link
    assert link.is_symlink() and load(target) == load(link) == [2]
    assert files(tmp_path) == ["a", "latest.safetensors"] and files(tmp_path / "a") == ["x.safetensors"]


def test_a_name_as_long_as_the_file_system_allows_works(tmp_path):
    path = tmp_path / ("x" * 243 + ".safetensors")
    assert load(save([1], path)) == [1]


# ---- Crashes ---------------------------------------------------------------------------------------------------------


def full(*args, **options):
    raise OSError(errno.ENOSPC, "No space left on device")


def interrupt(*args, **options):
    raise KeyboardInterrupt


@pytest.mark.parametrize("where", ["fsync", "replace", "write"])
@pytest.mark.parametrize(("failure", "kind"), [(full, OSError), (interrupt, KeyboardInterrupt)])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, where, failure, kind):
    path = save(["old"], tmp_path / "x")
    with monkeypatch.context() as patch:
        if where == "write":
            patch.setattr(serialization, "open", lambda *args: Failing(*args, failure), raising=False)
        else:
            patch.setattr(os, where, failure)
        with pytest.raises(kind) as caught:
            save(["new"], path)
        with pytest.raises(kind):
            save(["new"], tmp_path / "y")
    if kind is OSError:
        assert (
            caught.value.errno == errno.ENOSPC
            and "No space left" in str(caught.value)
            and str(path) in str(caught.value)
        )
    assert files(tmp_path) == ["x.safetensors"] and load(path) == ["old"]


class Failing:
    """A file that takes ten bytes, and then no more."""

    def __init__(self, path, mode, failure):
        self.file, self.failure = open(path, mode, buffering=0), failure  # noqa: SIM115

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.file.close()

    def write(self, blob):
        self.file.write(blob[:10])
        self.failure()


def test_a_process_that_is_killed_while_it_saves_leaves_the_old_file(tmp_path):
    path = save(["old"], tmp_path / "x")
    code = f"""
import os
from lucidlite.serialization import save
os.fsync = lambda handle: os._exit(9)
save(["new"], {str(path)!r})
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 9
    assert load(path) == ["old"]


def test_the_file_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    steps, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (steps.append(os.fstat(handle).st_size), fsync(handle)))
    monkeypatch.setattr(os, "replace", lambda a, b: (steps.append("name"), replace(a, b)))
    size = save(["new"], tmp_path / "x").stat().st_size
    assert steps == [size, "name"]


def test_importing_lucidlite_does_not_import_safetensors():
    code = "import sys, lucidlite; sys.exit('safetensors' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0
