"""The page of events, as a person uses it: keys, pointer, verdicts."""

import re
from pathlib import Path

import numpy as np
import pytest

from browser import Browser
from recurra.inspection.events import Curve, EventPage, Overview, ShownEvent, Similar, event_page

ROWS = 30


def made_event(k: int, similar: Similar, verdict: str = "") -> ShownEvent:
    observed = np.sin(np.arange(ROWS) / 3) + k
    observed[4] = np.nan
    curves = [Curve("<flow>", 0.8, observed, observed + 1, 0.5), Curve("heat", 0.2, observed, np.full(ROWS, np.nan), 1)]
    stamps = [f"2026-01-{k + 1:02} {row:02}:00" for row in range(ROWS)]
    ends = (stamps[10], stamps[14], stamps[12])
    scores = np.linspace(0.0, 29.0, ROWS)
    odds = ("as rare as one in 2,000 rows", "2,000")
    place = (stamps, (10, 14), 12, scores, np.full(ROWS, 5.0), curves, verdict)
    return ShownEvent("", *ends, 5, 12.5, *odds, similar, *place)


def made_page(count: int = 3, feedback: str = "recurra feedback RUN --events verdicts.csv") -> str:
    events = [
        made_event(k, Similar("None is similar." if k == 0 else "Most like the first.", 0 if k else None))
        for k in range(count)
    ]
    marks = [(k, 10 * k, 10 * k + 5) for k in range(count)]
    overview = Overview("", [f"row {k}" for k in range(40)], np.arange(40.0), np.full(40, 9.0), marks)
    return event_page(
        EventPage("Events in </script>", {"rows": "40"}, [overview], events, ["Some are left out."], feedback)
    )


def test_the_page_needs_nothing_else() -> None:
    page = made_page()
    assert not re.search(r"""https?:(?!//www\.w3\.org/2000/svg)|<script [^>]*src|<link|@import|src=""", page)
    assert "&lt;/script&gt;" in page
    assert page.count("</script>") == 2
    assert "NaN" not in re.search(r'id="content">(.*)</script>', page).group(1)  # type: ignore[union-attr]


def test_keys_turn_to_events_and_say_rows(chromium: Browser, tmp_path: Path) -> None:
    file = tmp_path / "events.html"
    file.write_text(made_page(), encoding="utf-8")
    with chromium.page(dark=True) as page:
        page.open(file.as_uri())
        assert "2026-01-01 10:00 to 2026-01-01 14:00" in page.text("h2")
        page.press("ArrowRight")
        assert "2026-01-02" in page.text("h2")
        assert "2 of 3" in page.text(".head")
        current = "document.querySelector('.list tr[aria-current=true] td').innerText"
        assert page.evaluate(current) == "2"
        page.press("ArrowRight", shift=True)
        said = [page.evaluate(f"document.querySelectorAll('figcaption span')[{k}].innerText") for k in (1, 3)]
        assert said[0].startswith("2026-01-02 12:00: observed ")
        assert said[1] == "2026-01-02 12:00: score 12, threshold 5"
        page.click("article button:not(:disabled)")  # previous
        assert "1 of 3" in page.text(".head")
        page.click(".list tbody tr:nth-child(3) a")
        assert "3 of 3" in page.text(".head")
        page.click("p.said button")
        assert "1 of 3" in page.text(".head")
        box = page.evaluate(
            "(box => [box.x, box.y])(document.querySelector('article figure svg').getBoundingClientRect())"
        )
        page.move(box[0] + 63, box[1] + 20)
        assert page.evaluate("document.querySelectorAll('figcaption span')[1].innerText").startswith("2026-01-01 00:00")
        assert page.faults == []
        assert all(url.startswith(("file:", "data:")) for url in page.addresses)


def test_verdicts_are_a_table(chromium: Browser, tmp_path: Path) -> None:
    file = tmp_path / "events.html"
    file.write_text(made_page(), encoding="utf-8")
    with chromium.page() as page:
        page.open(file.as_uri())
        assert page.evaluate("document.querySelector('#save').disabled")
        page.click("button.normal")
        page.press("ArrowRight")
        page.press("ArrowRight")
        page.click("button.anomaly")
        assert page.text("#save") == "Save 2 verdicts"
        lines = page.evaluate("verdictTable()").splitlines()
        assert lines == [
            "series,start,end,verdict",
            ",2026-01-01 10:00,2026-01-01 14:00,normal",
            ",2026-01-03 10:00,2026-01-03 14:00,anomaly",
        ]
        page.click("button.anomaly")
        assert page.text("#save") == "Save 1 verdict"
        assert page.faults == []


@pytest.mark.parametrize("width", [380, 1280])
def test_without_events_the_scores_are_there(chromium: Browser, width: int, tmp_path: Path) -> None:
    file = tmp_path / "events.html"
    file.write_text(made_page(0), encoding="utf-8")
    with chromium.page(width) as page:
        page.open(file.as_uri())
        assert "There are no events" in page.text("#events")
        assert page.evaluate("document.querySelectorAll('svg').length") == 1
        page.press("ArrowRight")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert page.faults == []
