"""The page for drawings: a person begins one with the pointer, and the network continues it, in a headless Chromium."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import Serving
from small_runs import made_run

from browser import Browser, Page, browser
from recurra.kernels.native import extension
from recurra.server import ServerOptions
from recurra.server.served_model import load_models

pytestmark = pytest.mark.skipif(not extension.is_installed(), reason="a stream needs the C++ extension")


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest.fixture
def page(chromium: Browser, tmp_path: Path) -> Iterator[Page]:
    served = load_models([made_run("draw", tmp_path / "draw")[0]])
    with Serving(served, ServerOptions(port=0, store=f"sqlite:{tmp_path / 's.db'}")) as server, chromium.page() as page:
        page.open(server.url)
        page.wait("!document.querySelector('#workplace').hidden")
        yield page
        assert not page.faults
        assert all(address.startswith(f"{server.url}/") for address in page.addresses)


def _drag(page: Page, *points: tuple[float, float]) -> None:
    """Draw a line with the pointer, through points of the paper as fractions of its sides."""
    box = "document.querySelector('#paper').getBoundingClientRect()"
    page.evaluate("document.querySelector('#paper').scrollIntoView({block: 'center'})")
    left, top, width, height = page.evaluate(f"(box => [box.x, box.y, box.width, box.height])({box})")
    places = [{"x": left + x * width, "y": top + y * height} for x, y in points]
    button = {"button": "left", "clickCount": 1}
    page.call("Input.dispatchMouseEvent", type="mousePressed", **places[0], **button)
    for place in places[1:]:
        page.call("Input.dispatchMouseEvent", type="mouseMoved", **place, button="left", buttons=1)
    page.call("Input.dispatchMouseEvent", type="mouseReleased", **places[-1], **button)


def _rows(page: Page) -> list[str]:
    return page.evaluate("[...document.querySelectorAll('#steps tr')].map((row) => row.innerText)")


def test_a_drawing_is_begun_and_continued(page: Page) -> None:
    assert page.text("#drawn") != ""
    assert page.text("#item") == ""
    # A bend of three points, with others between them on its lines, is two offsets.
    _drag(page, (0.3, 0.3), (0.4, 0.3), (0.5, 0.3), (0.5, 0.4), (0.5, 0.5))
    page.wait("document.querySelectorAll('#steps tr').length === 1")
    (first,) = _rows(page)
    offsets = page.evaluate(f"JSON.parse({first.split(chr(9))[1]!r}).points")
    assert len(offsets) == 2
    assert [pen for _, _, pen in offsets] == [0, 1]
    assert offsets[0][0] > 0 == round(offsets[0][1])
    # The second line begins where the pointer does.
    _drag(page, (0.3, 0.6), (0.5, 0.6))
    page.wait("document.querySelectorAll('#steps tr').length === 2")
    second = page.evaluate(f"JSON.parse({_rows(page)[0].split(chr(9))[1]!r}).points")
    assert second[0][0] < 0 < second[0][1]
    assert "2 lines of yours, 0 of the network" in page.evaluate("document.querySelector('#paper').ariaLabel")
    # With these random numbers the pen stays down, and the drawing does not end.
    page.evaluate("Math.random = () => 0.01")
    page.click("#continue")
    page.wait("document.querySelectorAll('#steps tr').length >= 5")
    page.click("#continue")
    page.wait("document.querySelector('#continue').innerText === 'Let it continue'")
    assert "2 lines of yours, 1 of the network" in page.evaluate("document.querySelector('#paper').ariaLabel")
    page.choose("#drawn-label", "right")
    page.wait("document.querySelectorAll('#steps tr').length === 0")
    assert page.text("#continue") == "Let it begin"
    page.click("#continue")
    page.wait("document.querySelectorAll('#steps tr').length >= 2")
    page.click("#continue")
    page.wait("document.querySelector('#continue').innerText === 'Let it continue'")
    assert '"points":[],"label":"right"' in _rows(page)[-1]
    assert page.text("#item-error") == ""
