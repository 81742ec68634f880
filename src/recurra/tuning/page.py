"""The page of a search: one HTML file that needs no other file and no network."""

from collections.abc import Sequence
from html import escape
from typing import Any

from recurra.inspection.document import document, image_element
from recurra.options import Range
from recurra.tuning.pictures import draw_history, draw_importance, draw_parallel
from recurra.tuning.results import Trial, Tuned
from recurra.tuning.space import Space

__all__ = ["tuning_page"]

_STYLE = (
    "th.text { text-align: left; } .best td { font-weight: 600; } td.reason { text-align: left; max-width: 26rem; }"
)
_FEWEST = 2


def tuning_page(tuned: Tuned, space: Space, facts: dict[str, str]) -> str:
    """The page as HTML: what was chosen and how, the space, pictures, and every trial.

    Args:
        tuned: the search.
        space: that was searched.
        facts: about data and search, by name.
    """
    complete = [trial for trial in tuned.trials if trial.loss is not None]
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>"
        for name, value in {"trials": tuned.counts(), **facts}.items()
    )
    finding = "finding none" if tuned.best is not None else "finding"
    parts = [
        f'<div class="{finding}">{escape(tuned.chosen())}</div>',
        f'<table class="facts">{rows}</table>',
        "<h2>The space</h2>",
        _space(space, tuned),
    ]
    if len(complete) >= _FEWEST:
        parts += [
            "<h2>History</h2>",
            image_element(draw_history(tuned.trials), "The validation loss of each trial, and the least so far"),
            "<h2>Importance</h2>",
            "<p>How much each option decides which trials are among the best (PED-ANOVA, Watanabe et al. 2023). With "
            "few trials these figures are uncertain.</p>",
            image_element(draw_importance(tuned.importance), "Importance of each option") if tuned.importance else "",
            "<h2>Values together</h2>",
            "<p>Each line is a complete trial, in the order of its validation loss by colour; the best is red. A value "
            "that is left to the data is on no axis.</p>",
            image_element(draw_parallel(tuned.trials, space), "The values of each complete trial, by validation loss"),
        ]
    parts += ["<h2>Trials</h2>", _trials(tuned, list(space))]
    return document(tuned.title, parts, _STYLE, pictures=False)


def _space(space: Space, tuned: Tuned) -> str:
    best = tuned.best.options if tuned.best is not None else {}
    rows = [
        [name.replace("_", "-"), _range(values), _text(best.get(name)), f"{100 * tuned.importance[name]:.0f} %"
         if name in tuned.importance else ""]
        for name, values in space.items()
    ]  # fmt: skip
    return _table(["option", "values tried", "best", "importance"], rows)


def _range(values: Range | tuple[Any, ...]) -> str:
    if not isinstance(values, Range):
        return ", ".join(map(_text, values))
    scale = ", logarithmic" if values.log else f", in steps of {values.step:g}" if values.step else ""
    return f"{values.low:g} to {values.high:g}{scale}"


def _trials(tuned: Tuned, names: Sequence[str]) -> str:
    head = ["trial", "state", "validation", "loss", "seconds", *(name.replace("_", "-") for name in names), ""]
    lines = [f"<tr>{''.join(f'<th>{escape(cell)}</th>' for cell in head)}</tr>"]
    for trial in tuned.ranked():
        mark = ' class="best"' if tuned.best is not None and trial.number == tuned.best.number else ""
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in _cells(trial, names))
        lines.append(f'<tr{mark}>{cells}<td class="reason">{escape(trial.reason)}</td></tr>')
    return f'<div class="wide"><table>{"".join(lines)}</table></div>'


def _cells(trial: Trial, names: Sequence[str]) -> list[str]:
    loss = "" if trial.loss is None else f"{trial.loss:.4f}"
    seconds = "" if trial.seconds is None else f"{trial.seconds:,.1f}"
    return [
        str(trial.number), trial.state, trial.validation, loss, seconds,
        *(_text(trial.options.get(name)) for name in names),
    ]  # fmt: skip


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["".join(f'<th class="text">{escape(cell)}</th>' for cell in head)]
    lines += ["".join(f'<td class="text">{escape(cell)}</td>' for cell in row) for row in rows]
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
