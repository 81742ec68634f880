"""Tables for a terminal."""

import re
from collections.abc import Mapping, Sequence

__all__ = ["counted", "number_of", "one_line", "percent", "shown_text", "text_table"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_CONTROL_BUT_LINES = re.compile(r"(?![\t\n])" + _CONTROL.pattern)


def text_table(lines: Sequence[Sequence[str]]) -> str:
    """Lay out cells in columns, one line per row. The first column is left-aligned, the others right-aligned."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(w) if k == 0 else cell.rjust(w) for k, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def shown_text(text: str) -> str:
    """The text with its control characters replaced, except newlines and tabs; it is safe to print to a terminal."""
    return _CONTROL_BUT_LINES.sub("\ufffd", text)


def one_line(text: str, longest: int = 40) -> str:
    """A name on one line, safe to print to a terminal.

    Control characters are replaced, and a name of more than `longest` characters loses its middle.
    """
    shown = _CONTROL.sub("\ufffd", " ".join(text.split()))
    if len(shown) <= longest:
        return shown
    end = longest // 3
    return f"{shown[: longest - 1 - end]}…{shown[-end:]}"


def counted(counts: Mapping[str, int], most: int) -> str:
    """The first `most` names with their counts, safe to print to a terminal: "yes (1,200), no (30), ..."."""
    shown = ", ".join(f"{one_line(name)} ({count:,})" for name, count in list(counts.items())[:most])
    return shown + (", ..." if len(counts) > most else "")


def number_of(count: float, noun: str) -> str:
    """So many things in words, such as "1 bar", "1,200 notes" or "0.5 bars"."""
    number = f"{count:,}" if isinstance(count, int) else f"{count:g}"
    return f"{number} {noun}{'' if count == 1 else 's'}"


def percent(fraction: float) -> str:
    """A fraction in percent, with two decimals."""
    return f"{100 * fraction:.2f}"
