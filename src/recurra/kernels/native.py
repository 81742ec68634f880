"""The compiled extension: whether it is installed, and what it says of this machine."""

from functools import cache

__all__ = ["instruction_sets", "is_installed"]


@cache
def is_installed() -> bool:
    """Whether the package was built with its C++ extension."""
    try:
        import recurra._native  # noqa: F401
    except ModuleNotFoundError:
        return False
    return True


def instruction_sets() -> tuple[str, ...]:
    """The vector instruction sets that this processor offers, widest last; empty without the extension."""
    if not is_installed():
        return ()
    from recurra import _native

    return tuple(_native.instruction_sets())
