"""The .npz files of sketch-rnn: arrays of Python objects, read without running what a pickle may contain."""

import pickle
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from recurra.data.drawings.drawings import Drawings
from recurra.data.drawings.strokes import check_strokes
from recurra.data.files.text_file import check_file
from recurra.errors import DataError

__all__ = ["read_sketch_rnn"]

_PARTS = {"train": "train", "valid": "validation", "validation": "validation", "test": "test"}
_EXPECTED = "expected the arrays train, valid and test, each a list of strokes (N, 3): dx, dy, and 1 if the pen lifts"
# What numpy writes into a pickle of arrays, by module and name. Nothing else is imported.
_MODULES = {"numpy.core.multiarray": "numpy", "numpy._core.multiarray": "numpy", "numpy": "numpy", "_codecs": "_codecs"}
_NAMES = {("numpy", "_reconstruct"), ("numpy", "scalar"), ("numpy", "ndarray"), ("numpy", "dtype"),
          ("_codecs", "encode")}  # fmt: skip


class _ArrayUnpickler(pickle.Unpickler):
    """Reads arrays of arrays of numbers, and refuses every other object."""

    def find_class(self, module: str, name: str) -> Any:
        if (_MODULES.get(module), name) not in _NAMES:
            raise pickle.UnpicklingError(f"it holds {module}.{name}, which is not an array")
        return super().find_class(module, name)


def read_sketch_rnn(path: str | Path) -> Drawings:
    """Read the drawings of an .npz file that sketch-rnn could read; the name of the file is their class.

    Raises:
        DataError: the file is missing or damaged, holds other objects than arrays, or strokes of another shape.
    """
    path = check_file(path)
    arrays = _arrays(path)
    strokes: list[np.ndarray] = []
    parts: list[str] = []
    for name, array in arrays.items():
        for position, one in enumerate(array, 1):
            strokes.append(check_strokes(one, f"{path}, {name}, drawing {position}"))
            parts.append(_PARTS[name])
    if not strokes:
        raise DataError(f"{path}: no drawings; {_EXPECTED}.")
    divided = tuple(parts) if len(set(parts)) > 1 else ()
    return Drawings(str(path), tuple(strokes), (path.stem,) * len(strokes), divided)


def _arrays(path: Path) -> dict[str, list[Any]]:
    if not zipfile.is_zipfile(path):
        raise DataError(f"{path}: not an .npz file; {_EXPECTED}.")
    try:
        with zipfile.ZipFile(path) as file:
            names = [name.removesuffix(".npy") for name in file.namelist()]
            if not set(names) & set(_PARTS):
                raise DataError(f"{path}: the arrays are {', '.join(names) or 'none'}; {_EXPECTED}.")
            arrays = {}
            for name in names:
                if name in _PARTS:
                    with file.open(f"{name}.npy") as member:
                        arrays[name] = list(_array(member))
            return arrays
    except DataError:
        raise
    # A damaged pickle raises nearly anything.
    except Exception as error:
        kinds = (OSError, ValueError, EOFError, zlib.error, zipfile.BadZipFile, pickle.UnpicklingError)
        reason = str(error) if isinstance(error, kinds) and str(error) else type(error).__name__
        raise DataError(f"{path}: cannot be read ({reason}); {_EXPECTED}.") from None


def _array(file: Any) -> np.ndarray:
    """The array of a .npy file."""
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    version = np.lib.format.read_magic(file)
    if version not in readers:
        raise ValueError(f"version {version} of .npy")
    shape, fortran_order, dtype = readers[version](file)
    if dtype.kind != "O":
        count = int(np.prod(shape, dtype=np.int64))
        content = file.read(count * dtype.itemsize)
        return np.frombuffer(content, dtype, count).reshape(shape, order="F" if fortran_order else "C")
    return _unpickled(file)


def _unpickled(file: BinaryIO) -> np.ndarray:
    # The files of sketch-rnn were written by Python 2: bytes are text there.
    array = _ArrayUnpickler(file, encoding="latin1").load()
    if not isinstance(array, np.ndarray):
        raise ValueError(f"it holds {type(array).__name__} in place of an array")
    return array
