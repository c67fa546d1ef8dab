"""Save and load: checkpoints in the safetensors format, which holds arrays and text and nothing that could be executed.

The arrays of what is saved stand in the file under names such as "state.0.square_avg", for any reader of safetensors.
The rest, which names cannot tell (an int key, a tuple, an exact float), is a JSON text in the file's metadata, together
with the SHA-256 checksum of the whole file, in which the digits of the checksum itself count as zeros.
"""

import contextlib
import errno
import hashlib
import itertools
import json
import math
import os
import stat
from typing import Any

from . import backend
from .tensor import Parameter, Tensor

SUFFIX = ".safetensors"
FORMAT = "lucidlite 1"
KEY = "lucidlite"  # one entry of metadata: safetensors writes several in random order, and equal files are good to have
MARK = b'\\"sha256\\":\\"'  # stands before the checksum; in a user's text each of its quotes would be escaped once more
ZEROS = b"0" * 64
DEPTH = 100  # levels of dicts and lists: each is up to three of JSON, and Python's parser gives up at about 1000
HEADER = 100_000_000  # bytes: safetensors reads no longer header, but would write it
CODES = {name.upper().replace("UINT", "U").replace("INT", "I").replace("FLOAT", "F"): name for name in backend.DTYPES}


def save(obj: Any, path: Any) -> Any:
    """Write an object to a file for `load`. The new file is complete when it appears; until then the old one stays.

    Kept are Tensors with `requires_grad` (a Parameter stays one, a computed tensor becomes a constant), arrays and
    NumPy numbers with dtype and shape, None, bool, int, float, str, and lists, tuples and dicts of these with str and
    int keys. Whatever has a `state_dict`, as a Module or an Optimizer, is saved as that, subclasses of dict as dicts.

    Args:
        obj: any of these, nested at most 100 deep; a TypeError says where in it something else was found.
        path: the file; ".safetensors" is added to a name without a suffix.

    Returns:
        The path of the file, a `Path`.

    >>> path = lucidlite.save({"model": model, "optimizer": optimizer, "epoch": 3}, "digits")  # doctest: +SKIP
    >>> model.load_state_dict(lucidlite.load(path)["model"])  # doctest: +SKIP
    """
    from pathlib import Path  # here, because the two together would add 5 ms to `import lucidlite`

    import safetensors.numpy

    path, arrays = _with_suffix(os.fsdecode(path)), {}
    content = {"format": FORMAT, "sha256": ZEROS.decode(), "structure": _pack(obj, (), frozenset(), arrays)}
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    blob = safetensors.numpy.save(arrays, {KEY: text})
    if int.from_bytes(blob[:8], "little") > HEADER:
        raise ValueError(
            f"cannot save to {path}: {len(text):,} characters beside the arrays; keep long lists as arrays"
        )
    start, view = blob.index(MARK) + len(MARK), memoryview(blob)
    try:
        _replace(path, [view[:start], _checksum(view, start), view[start + len(ZEROS) :]])
    except OSError as error:  # which may name the temporary file
        raise type(error)(error.errno, f"cannot save: {error.strerror or error}", path) from None
    return Path(path)


def load(path: Any) -> Any:
    """What `save` wrote, on the CPU; from another program's file a dict of arrays, where bfloat16 becomes float32.

    Args:
        path: the file; ".safetensors" may be left out.

    Raises:
        ValueError: the file is damaged, or none of safetensors; the message names it.
        OSError: the file cannot be read, as FileNotFoundError or IsADirectoryError.

    >>> lucidlite.load("digits.safetensors")["epoch"]  # doctest: +SKIP
    3
    """
    from safetensors import SafetensorError

    path = os.fsdecode(path)
    named = _with_suffix(path)
    path = named if os.path.exists(named) or not os.path.exists(path) else path
    with open(path, "rb") as file:
        blob = file.read()
    try:
        return _read(blob)
    except (SafetensorError, ValueError, TypeError, LookupError, RecursionError) as error:
        raise ValueError(f"cannot load {path}: {error}") from None


# ---- The object as JSON and arrays -----------------------------------------------------------------------------------


def _pack(x, keys, outer, arrays):
    """x, which is obj[keys[0]][keys[1]]..., in JSON's types. Its arrays go into `arrays`, `outer` has the ids above."""
    kind = type(x)
    if x is None or kind is bool or (kind is float and math.isfinite(x)) or (kind is int and abs(x) < 2**53):
        return x  # whole numbers below 2**53 are exact for readers too that know float64 only
    if kind in (int, float):
        return {kind.__name__: hex(x) if kind is int else str(x)}
    if kind is str:
        return _text(x, keys)
    if isinstance(x, Tensor):
        word = "parameter" if isinstance(x, Parameter) else "tensor"
        return {word: _name(x.data, keys, arrays), "requires_grad": x.requires_grad and x.is_leaf}
    x = backend.move(x, "cpu")
    if type(x) is backend.ndarray:  # no subclass: a masked array would lose its mask
        return {"array": _name(x, keys, arrays)}
    if isinstance(x, backend.numpy.generic):
        return {"scalar": _name(x.reshape(1), keys, arrays)}
    if id(x) in outer:
        raise ValueError(f"{_place(keys)} contains itself, which cannot be saved; leave it out")
    if len(keys) >= DEPTH:
        raise ValueError(f"{_place(keys[:3])}... is nested more than {DEPTH} deep; make it flatter")
    return _pack_container(x, keys, outer | {id(x)}, arrays)


def _pack_container(x, keys, outer, arrays):
    if hasattr(x, "state_dict"):
        return _pack(x.state_dict(), keys, outer, arrays)
    if isinstance(x, dict):
        if wrong := [key for key in x if type(key) not in (str, int)]:
            what = f"the key {wrong[0]!r}, a {type(wrong[0]).__qualname__}"
            raise TypeError(f"{_place(keys)} has {what}; keys can be str and int")
        return {"dict": [[_pack(k, keys, outer, {}), _pack(v, (*keys, k), outer, arrays)] for k, v in x.items()]}
    if type(x) not in (list, tuple):
        known = "Tensors, arrays, None, bool, int, float, str, lists, tuples and dicts"
        raise TypeError(f"{_place(keys)} is a {type(x).__qualname__}, which cannot be saved; {known} can")
    items = [_pack(item, (*keys, i), outer, arrays) for i, item in enumerate(x)]
    return items if type(x) is list else {"tuple": items}


def _text(text, keys):
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{_place(keys)}: {text!r} is no Unicode, it has a lone surrogate at {error.start}") from None
    return text


def _name(array, keys, arrays):
    """The name under which the array now stands in `arrays`, made ready for safetensors."""
    if array.dtype.name not in backend.DTYPES:
        raise TypeError(f"{_place(keys)} is an array of {array.dtype}; arrays can be of {', '.join(backend.DTYPES)}")
    name = path = ".".join(map(str, keys)) or "data"
    numbers = itertools.count(2)
    while name in arrays or name == "__metadata__":  # obj["a.b"] beside obj["a"]["b"]
        name = f"{path}~{next(numbers)}"
    arrays[name] = backend.move(array, "cpu").astype(array.dtype.name, order="C", copy=False)
    return name


def _place(keys):
    return "obj" + "".join(f"[{json.dumps(key, ensure_ascii=False)}]" for key in keys)


def _unpack(x, arrays):
    """The inverse of `_pack`."""
    match x:
        case None | bool() | int() | float() | str():
            return x
        case list():
            return [_unpack(item, arrays) for item in x]
        case {"tuple": items}:
            return tuple(_unpack(item, arrays) for item in items)
        case {"dict": pairs}:
            return {_unpack(key, arrays): _unpack(value, arrays) for key, value in pairs}
        case {"int": digits}:
            return int(digits, 16)
        case {"float": digits}:
            return float(digits)
        case {"array": name}:
            return arrays[name]
        case {"scalar": name}:
            return arrays[name][0]
        case {"tensor": name, "requires_grad": wanted} | {"parameter": name, "requires_grad": wanted}:
            made = (Parameter if "parameter" in x else Tensor)(arrays[name])
            made.requires_grad = wanted
            return made
    raise ValueError(f"its structure holds {x!r}, which this version of lucidlite does not know")


# ---- The file --------------------------------------------------------------------------------------------------------


def _read(blob):
    """What stands in the bytes of a file."""
    from safetensors import deserialize

    found = dict(deserialize(blob))
    header = json.loads(blob[8 : 8 + int.from_bytes(blob[:8], "little")])
    metadata = header.pop("__metadata__", {})
    own = [text for key, text in metadata.items() if key == KEY or text.startswith('{"format":"lucidlite')]
    start = blob.find(MARK) + len(MARK)
    if own and blob[start : start + len(ZEROS)] != _checksum(blob, start):
        raise ValueError("its checksum does not fit its content, it was damaged; take another copy of the file")
    arrays = {name: _array(name, **found.pop(name)) for name in header}
    if not own:
        return arrays
    content = json.loads(own[0])
    if content["format"] != FORMAT:
        raise ValueError(f"its format is {content['format']!r}, this version of lucidlite reads {FORMAT!r}")
    return _unpack(content["structure"], arrays)


def _checksum(blob, start):
    """The SHA-256 of a file, in hexadecimal, with zeros for its own digits, which begin at `start`."""
    view = memoryview(blob)
    digest = hashlib.sha256(view[:start])
    digest.update(ZEROS)
    digest.update(view[start + len(ZEROS) :])
    return digest.hexdigest().encode()


def _array(name, dtype, shape, data):
    if dtype == "BF16":  # the upper half of a float32
        return backend.array(backend.ndarray(shape, "<u2", data).astype("uint32") << 16).view("float32")
    if dtype not in CODES:
        raise ValueError(f"its array {name!r} is of {dtype}, which NumPy does not have; convert it to float32 first")
    little = backend.dtype(CODES[dtype]).newbyteorder("<")
    return backend.ndarray(shape, little, data).astype(CODES[dtype])  # by name: the engine compares dtypes with `is`


def _with_suffix(path):
    name = os.path.basename(path)
    if name in ("", ".", ".."):
        raise IsADirectoryError(errno.EISDIR, "a file is needed, this is a folder", path)
    return path if os.path.splitext(name)[1] else path + SUFFIX


def _replace(path, pieces):
    """Write a file under another name, to the disk, and give it the right name then: it is never there in part."""
    target = os.path.realpath(path)  # a link stays a link
    folder = os.path.dirname(target)
    temporary = os.path.join(folder, f".lucidlite-{os.urandom(8).hex()}.tmp")
    try:
        with open(temporary, "xb") as file:
            with contextlib.suppress(OSError):  # there is no old file, whose permissions are kept
                os.chmod(temporary, stat.S_IMODE(os.stat(target).st_mode))
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.remove(temporary)
        raise
    with contextlib.suppress(OSError):  # Windows cannot open a folder
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)  # the new name, too, survives a power cut
        finally:
            os.close(handle)
