"""Save and load: checkpoints in the safetensors format, which holds arrays and text and nothing that could be executed.

Any reader of safetensors finds the arrays, under names such as "state.0.square_avg". The rest (an int key, a tuple) is
a JSON text in the metadata, with a SHA-256 of the whole file, its own digits taken as zeros."""

import hashlib
import json
import os
from pathlib import Path

import safetensors.numpy

from . import backend, checks
from .tensor import Parameter, Tensor

FORMAT, KEY, ZEROS = "lucidlite 1", "lucidlite", b"0" * 64
DEPTH, HEADER = 100, 100_000_000  # levels of dicts and lists, bytes beside the arrays: more could not be read again
CODES = {name.upper().replace("UINT", "U").replace("INT", "I").replace("FLOAT", "F"): name for name in backend.DTYPES}


def save(obj, path):
    """Write an object to a file for `load`, and return its path; until the new file is complete, the old one stays.

    Kept are Tensors with `requires_grad` (of computed ones the numbers), arrays and NumPy numbers with dtype and shape,
    None, bool, int, float, str, and lists, tuples and dicts of these with str and int keys, at most 100 levels deep.
    Whatever has a `state_dict` is saved as that. ".safetensors" is added to a path without a suffix."""
    path, arrays = _with_suffix(path), {}
    content = {"format": FORMAT, "sha256": ZEROS.decode(), "structure": _pack(obj, (), arrays)}
    blob = safetensors.numpy.save(arrays, {KEY: json.dumps(content, ensure_ascii=False, separators=(",", ":"))})
    if (size := int.from_bytes(blob[:8], "little")) > HEADER:
        raise ValueError(f"cannot save to {path}: {size:,} bytes beside the arrays; keep long lists as arrays")
    target = path.resolve()  # a link stays a link
    temporary = target.with_name(f".lucidlite-{os.urandom(8).hex()}.tmp")
    try:
        try:
            with open(temporary, "xb") as file:
                file.write(blob.replace(ZEROS, hashlib.sha256(blob).hexdigest().encode(), 1))  # metadata stand first
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:  # which may name the temporary file
        raise type(error)(error.errno, f"cannot save: {error.strerror or error}", str(path)) from None
    return path


def load(path):
    """What `save` wrote, on the CPU; from another program's file a dict of arrays, where bfloat16 becomes float32.

    ".safetensors" may be left out. A ValueError names a file that is damaged, an OSError one that cannot be read."""
    named = _with_suffix(path)
    blob = (named if named.exists() else Path(path)).read_bytes()
    try:
        found = dict(safetensors.deserialize(blob))
        header = json.loads(blob[8 : 8 + int.from_bytes(blob[:8], "little")])
        metadata = header.pop("__metadata__", {})
        own = [text for key, text in metadata.items() if key == KEY or text.startswith('{"format":"lucidlite')]
        arrays = {name: _array(name, **found.pop(name)) for name in header}
        if not own:
            return arrays
        content = json.loads(own[0])
        checksum = str(content.get("sha256")).encode()
        if hashlib.sha256(blob.replace(checksum, ZEROS, 1)).hexdigest().encode() != checksum:
            raise ValueError("its checksum does not fit its content, it was damaged; take another copy of the file")
        checks.refuse(content["format"] != FORMAT, f"its format is {content['format']!r}; lucidlite reads {FORMAT!r}")
        return _unpack(content["structure"], arrays)
    except (safetensors.SafetensorError, ValueError, TypeError, LookupError, RecursionError) as error:
        raise ValueError(f"cannot load {path}: {error}") from None


def _pack(x, keys, arrays):
    """x, which is obj[keys[0]][keys[1]]..., in JSON's types; its arrays go into `arrays`."""
    kind = type(x)
    if x is None or kind in (bool, float, str):
        return x
    if kind is int:  # whole numbers below 2**53 are exact for readers too that know float64 only
        return x if abs(x) < 2**53 else {"int": hex(x)}
    if isinstance(x, Tensor):
        kind = "parameter" if isinstance(x, Parameter) else "tensor"
        return {kind: _name(x.data, keys, arrays), "requires_grad": x.requires_grad and x.is_leaf}
    x = backend.move(x, "cpu")
    if type(x) is backend.ndarray or isinstance(x, backend.numpy.generic):  # a masked array would lose its mask
        return {"array" if type(x) is backend.ndarray else "scalar": _name(x, keys, arrays)}
    checks.refuse(len(keys) >= DEPTH, f"{_place(keys[:3])}... goes more than {DEPTH} deep, or contains itself")
    x = x.state_dict() if hasattr(x, "state_dict") else x
    if isinstance(x, dict):
        if odd := [key for key in x if type(key) not in (str, int)]:
            raise TypeError(f"{_place(keys)} has the key {odd[0]!r} ({type(odd[0]).__name__}); keys can be str and int")
        return {"dict": [[_pack(k, keys, {}), _pack(v, (*keys, k), arrays)] for k, v in x.items()]}
    if type(x) not in (list, tuple):
        raise TypeError(f"{_place(keys)} is a {type(x).__name__}; turn it into arrays, numbers, str, lists or dicts")
    items = [_pack(item, (*keys, i), arrays) for i, item in enumerate(x)]
    return items if type(x) is list else {"tuple": items}


def _name(array, keys, arrays):
    """The name under which the array now stands in `arrays`, made ready for safetensors."""
    if array.dtype.name not in backend.DTYPES:
        raise TypeError(f"{_place(keys)} is an array of {array.dtype}; arrays can be of {', '.join(backend.DTYPES)}")
    name = ".".join(map(str, keys)) or "data"
    while name in arrays or name == "__metadata__":  # obj["a.b"] beside obj["a"]["b"]
        name += "~"
    arrays[name] = backend.numpy.asarray(backend.move(array, "cpu"), array.dtype.name, order="C")
    return name


def _place(keys):
    return "obj" + "".join(f"[{json.dumps(key, ensure_ascii=False)}]" for key in keys)


def _unpack(x, arrays):
    """The inverse of `_pack`."""
    if not isinstance(x, dict):
        return [_unpack(item, arrays) for item in x] if isinstance(x, list) else x
    match x:
        case {"tuple": items} | {"dict": items}:
            return (tuple if "tuple" in x else dict)(_unpack(items, arrays))
        case {"int": digits}:
            return int(digits, 16)
        case {"array": name} | {"scalar": name}:
            return arrays[name] if "array" in x else arrays[name][()]
        case {"tensor": name, "requires_grad": wanted} | {"parameter": name, "requires_grad": wanted}:
            made = (Parameter if "parameter" in x else Tensor)(arrays[name])
            made.requires_grad = wanted
            return made
    raise ValueError(f"its structure holds {x!r}, which this version of lucidlite does not know")


def _array(name, dtype, shape, data):
    if dtype == "BF16":  # the upper half of a float32
        return backend.array(backend.ndarray(shape, "uint16", data).astype("uint32") << 16).view("float32")
    if dtype not in CODES:
        raise ValueError(f"its array {name!r} is of {dtype}, which NumPy does not have; convert it to float32 first")
    return backend.ndarray(shape, CODES[dtype], data).copy()


def _with_suffix(path):
    path = Path(path)
    return path if path.suffix else path.with_name(path.name + ".safetensors")
