"""Whether the compiled extension is the one that this Python code was written for."""

import ctypes
import hashlib
from pathlib import Path
from typing import Any

from recurra.errors import StaleBuildError
from recurra.kernels.native.nonlinearity import Nonlinearity

__all__ = ["check_build", "source_digest"]

_CHECKOUT = Path(__file__).parents[4]


def check_build(native: Any, record: type[ctypes.Structure], checkout: Path = _CHECKOUT) -> None:
    """Refuse an extension that was built from other sources, or that reads another call record than Python writes.

    An installed wheel has no sources to compare with; its call record and enumeration are compared all the same.

    Args:
        native: the extension module.
        record: Python's declaration of the call record.
        checkout: the folder that has the sources in `csrc`, if they are there.

    Raises:
        StaleBuildError: if the two differ.
    """
    sources = checkout / "csrc"
    has_sources = (sources / "call.hpp").is_file()
    if has_sources and getattr(native, "source_digest", None) != source_digest(sources):
        raise StaleBuildError(f"it was built from other sources than those in {sources}", _MAKE)
    command = _MAKE if has_sources else _PIP
    declared = [(name, getattr(record, name).offset, getattr(record, name).size) for name, *_ in record._fields_]
    if native.call_layout() != declared:
        differing = next(
            (mine[0] for mine, other in zip(declared, native.call_layout(), strict=False) if mine != other),
            "the number of fields",
        )
        raise StaleBuildError(f"its call record differs from Python's at {differing}", command)
    if native.nonlinearities != {one.name: one.value for one in Nonlinearity}:
        raise StaleBuildError("it counts the nonlinearities otherwise than Python does", command)


def source_digest(folder: Path) -> str:
    """The hash of the C++ sources in a folder, as CMakeLists.txt makes it."""
    files = sorted((path for path in folder.iterdir() if path.suffix in (".cpp", ".hpp")), key=lambda path: path.name)
    listing = "".join(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n" for path in files)
    return hashlib.sha256(listing.encode()).hexdigest()


_MAKE = "make setup (or pip install --no-deps -e .)"
_PIP = "pip install --force-reinstall --no-deps recurra"
