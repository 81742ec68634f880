"""The compiled extension: whether it is installed, and what it says of this machine."""

try:
    import recurra._native as _native  # pyright: ignore[reportMissingImports]
except ModuleNotFoundError:
    _native = None

__all__ = ["instruction_sets", "is_installed"]


def is_installed() -> bool:
    """Whether the package was built with its C++ extension."""
    return _native is not None


def instruction_sets() -> tuple[str, ...]:
    """The vector instruction sets that this processor offers, widest last; empty without the extension."""
    return () if _native is None else tuple(_native.instruction_sets())
