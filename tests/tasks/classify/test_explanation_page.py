"""The page of an explained series, in a browser, and its files."""

import re
from pathlib import Path

import numpy as np
import pytest

from browser import Browser
from recurra.errors import ParameterError
from recurra.tasks.classify import Explanation
from recurra.tasks.classify.explanation import draw_series_explanation, explanation_page


def made(steps: int = 5, channels: int = 2) -> Explanation:
    values = np.arange(float(steps * channels)).reshape(steps, channels)
    values[1, 0] = np.nan
    names = tuple(f"<c{k}>" for k in range(channels))
    return Explanation("up", 0.75, None, (), values, 0.1 * values[::-1] - 0.3, 1.1, 0.25, -0.01, names, "a series")


@pytest.mark.parametrize("name", ["a.html", "a.png"])
def test_the_picture_of_a_series_lies_beside_its_page(name: str, tmp_path: Path) -> None:
    written = made().write(tmp_path / "deep" / name)
    assert written == [tmp_path / "deep" / "a.html", tmp_path / "deep" / "a.png"]
    page = written[0].read_text(encoding="utf-8")
    assert page.count('src="data:image/png;base64,') == 1
    assert not re.search(r"""https?:|<script [^>]*src|<link|@import|src="(?!data:)""", page)
    assert "lead from +0.25, a series, to +1.10 (unexplained: -0.01)" in page


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"\.html or \.png"):
        made().write(tmp_path / "a.csv")
    assert list(tmp_path.iterdir()) == []


def test_steps_say_their_values_and_what_they_add(tmp_path: Path) -> None:
    found = made()
    assert found.series is not None
    panels = draw_series_explanation(found, tmp_path / "a.png").panels
    assert [panel["heading"] for panel in panels] == ["<c0>: ", "<c1>: "]
    for channel, panel in enumerate(panels):
        assert panel["points"] == [f"step {k}" for k in range(1, 6)]
        value, adds = (np.array(curve["values"], dtype=float) for curve in panel["curves"])
        np.testing.assert_allclose(value, found.series[:, channel])
        np.testing.assert_allclose(adds, found.contributions[:, channel], rtol=1e-3)


def test_channels_that_are_left_out_are_counted(tmp_path: Path) -> None:
    many = made(3, 15)
    picture = draw_series_explanation(many, tmp_path / "a.png")
    assert len(picture.panels) == 12
    assert "and 3 are not" in explanation_page(many, "many", picture)


def test_a_pointer_and_keys_read_the_page(chromium: Browser, tmp_path: Path) -> None:
    page_file, _ = made().write(tmp_path / "a.html")
    with chromium.page(900, dark=True) as page:
        page.open(page_file.as_uri())
        box = "document.querySelector('.picture').getBoundingClientRect()"
        left, top, width, height = (page.evaluate(f"{box}.{side}") for side in ("left", "top", "width", "height"))
        panel = page.evaluate("JSON.parse(document.querySelector('.picture script').textContent)[1]")
        middle = (panel["box"][1] + panel["box"][3]) / 2
        page.move(left + panel["x"][2] * width, top + middle * height)
        said = "document.querySelector('.values').innerText"
        lines = page.evaluate(said).split()
        assert lines[:3] == ["<c1>:", "step", "3"]
        assert [float(word.replace("−", "-")) for word in (lines[4], lines[-1])] == [5.0, 0.2]
        page.press("Tab")
        page.press("Home")
        page.press("ArrowRight")
        lines = page.evaluate(said).split("\n")
        assert "<c0>: step 2" in lines
        assert "–" in lines
        assert page.faults == []
        assert all(url.startswith(("file:", "data:")) for url in page.addresses)
