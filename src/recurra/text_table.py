"""Tables for a terminal."""

import re
from collections.abc import Sequence

__all__ = ["one_line", "percent", "shown_text", "text_table"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_CONTROL_BUT_LINES = re.compile(r"(?![\t\n])" + _CONTROL.pattern)


def text_table(lines: Sequence[Sequence[str]]) -> str:
    """Cells in columns, the first aligned to the left and the others to the right, a line each."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(w) if k == 0 else cell.rjust(w) for k, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def shown_text(text: str) -> str:
    """A text for a terminal, with its line ends and tabs and nothing else that controls it."""
    return _CONTROL_BUT_LINES.sub("\ufffd", text)


def one_line(text: str, longest: int = 40) -> str:
    """A name from a file, for a terminal: no line breaks, nothing that controls it, a long one without its middle."""
    shown = _CONTROL.sub("\ufffd", " ".join(text.split()))
    if len(shown) <= longest:
        return shown
    end = longest // 3
    return f"{shown[: longest - 1 - end]}…{shown[-end:]}"


def percent(share: float) -> str:
    """A share in percent, with two digits after the point."""
    return f"{100 * share:.2f}"
