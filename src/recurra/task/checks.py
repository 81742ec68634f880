"""Checks of options that several tasks have."""

__all__ = ["check_cell"]


def check_cell(name: str, value: str) -> None:
    """Refuse what is not the name of a cell. Raises ParameterError."""
    from recurra.cells import find_cell

    find_cell(value)
