"""Tables for a terminal."""

from collections.abc import Sequence

__all__ = ["percent", "text_table"]


def text_table(lines: Sequence[Sequence[str]]) -> str:
    """Cells in columns, the first aligned to the left and the others to the right, a line each."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(w) if k == 0 else cell.rjust(w) for k, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def percent(share: float) -> str:
    """A share in percent, with two digits after the point."""
    return f"{100 * share:.2f}"
