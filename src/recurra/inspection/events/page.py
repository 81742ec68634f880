"""The page of events: one HTML file that needs no other file and no network."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.inspection.document import document, image_element

__all__ = ["Curve", "EventPage", "Explanation", "Overview", "ShownEvent", "Similar", "event_page"]

_FILES = resources.files("recurra.inspection.events")
_STYLE, _SCRIPT = (_FILES.joinpath(name).read_text(encoding="utf-8") for name in ("events.css", "events.js"))
_DIGITS = 5

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """A channel around an event.

    Attributes:
        name: of the channel.
        fraction: of the score of the event that it adds, 0 to 1.
        observed: (W,) what came, NaN if missing.
        expected: (W,) what was expected, NaN if nothing was.
        band: half the width of the band of what is expected.
    """

    name: str
    fraction: float
    observed: Array
    expected: Array
    band: float


@dataclass(frozen=True)
class Similar:
    """The most similar earlier event.

    Attributes:
        text: where it is, in words.
        event: its index on the page. None: it is not there.
    """

    text: str
    event: int | None = None


@dataclass(frozen=True)
class ShownEvent:
    """An event, and the W rows around it that are plotted.

    Attributes:
        series: the id of its series; empty if there is one alone.
        start: stamp of its first row, as text that a file of verdicts holds.
        end: of its last row.
        peak: of the row with the highest score.
        rows: how many.
        score: the highest.
        rarity: how rare such a score is among normal rows, in words.
        odds: the same, as short as in a list.
        similar: the most similar earlier event.
        stamps: (W,) of the rows, as text.
        inside: the indices of its first and last row among the W.
        top: the index of its peak among the W.
        scores: (W,).
        thresholds: (W,) that the scores were compared with.
        curves: the channels, that which adds most first.
        verdict: what a person said of it before: "normal", "anomaly" or nothing.
    """

    series: str
    start: str
    end: str
    peak: str
    rows: int
    score: float
    rarity: str
    odds: str
    similar: Similar
    stamps: Sequence[str]
    inside: tuple[int, int]
    top: int
    scores: Array
    thresholds: Array
    curves: Sequence[Curve]
    verdict: str = ""


@dataclass(frozen=True)
class Overview:
    """The scores of a whole series in N parts of equal length.

    Attributes:
        series: its id; empty if there is one alone.
        stamps: (N,) of the row with the highest score of each part, as text.
        scores: (N,) that score.
        thresholds: (N,) that it was compared with.
        events: of each event on the page, its index there, and its first and last part.
    """

    series: str
    stamps: Sequence[str]
    scores: Array
    thresholds: Array
    events: Sequence[tuple[int, int, int]] = ()


@dataclass(frozen=True)
class Explanation:
    """A picture that the page shows where a reader asks for it.

    Attributes:
        title: what it explains.
        picture: the content of a PNG file.
        description: what it shows, for those who do not see it.
    """

    title: str
    picture: bytes
    description: str


@dataclass(frozen=True)
class EventPage:
    """What the page shows.

    Attributes:
        title: of the page.
        facts: about data, detector and budget, by name.
        overviews: of the series.
        events: in order.
        notes: sentences that a person should read first, such as that events are left out.
        feedback: the command that takes the file of verdicts; empty: there is none.
        verdicts: the name of the file of verdicts that the page writes.
        explanations: pictures of how the events were found.
    """

    title: str
    facts: Mapping[str, str]
    overviews: Sequence[Overview]
    events: Sequence[ShownEvent]
    notes: Sequence[str] = ()
    feedback: str = ""
    verdicts: str = field(default="verdicts.csv")
    explanations: Sequence[Explanation] = ()


def event_page(page: EventPage) -> str:
    """The page as HTML, light or dark as the reader's browser is.

    Events are looked through by keys or in a list, rows are read by pointer or keys, and verdicts, "normal" or
    "anomaly", are saved as a file that a detector can learn from.
    """
    facts = "".join(f"<tr><td>{escape(k)}</td><td>{escape(v)}</td></tr>" for k, v in page.facts.items())
    content = {name: getattr(page, name) for name in ("overviews", "events", "feedback", "verdicts")}
    # Within a script element HTML looks for its end alone.
    data = json.dumps(_plain(content), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    data = data.replace("<", "\\u003c")
    parts = [
        *(f'<div class="finding">{escape(note)}</div>' for note in page.notes),
        f'<table class="facts">{facts}</table>' if facts else "",
        *(
            f'<details class="explanation"><summary>{escape(one.title)}</summary>'
            f"{image_element(one.picture, one.description)}</details>"
            for one in page.explanations
        ),
        '<div id="events"><noscript>This page needs JavaScript.</noscript></div>',
        f'<script type="application/json" id="content">{data}</script>',
        f"<script>{_SCRIPT}</script>",
    ]
    return document(page.title, parts, _STYLE, pictures=False)


def _plain(value: Any) -> Any:
    """As JSON values; numbers with a few digits, and missing ones as null."""
    if isinstance(value, np.ndarray):
        return [_plain(one) for one in value.tolist()]
    if isinstance(value, bool | int | str) or value is None:
        return value
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if np.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, Sequence):
        return [_plain(one) for one in value]
    return {name: _plain(one) for name, one in vars(value).items()}
