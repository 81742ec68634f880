"""Data by kind: series, text, labelled examples, batches, files and samples. The samples load on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recurra.data import samples

__all__ = ["samples"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return import_module(f"recurra.data.{name}")
    raise AttributeError(f"module 'recurra.data' has no attribute {name!r}")
