"""The page for music: frames as a piano roll, events as bars, and what is sampled steps on, in a headless Chromium."""

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


def _steps(page: Page, count: int) -> str:
    """What the page says of the last step, once there are so many."""
    page.wait(f"document.querySelectorAll('#steps tr').length === {count}")
    return page.evaluate("document.querySelector('#steps tr').innerText")


def test_music_is_stepped(chromium: Browser, tmp_path: Path) -> None:
    runs = {name: made_run(f"music {name}", tmp_path / name)[0] for name in ("nade", "events")}
    served = load_models([f"{name}={run}" for name, run in runs.items()])
    with Serving(served, ServerOptions(port=0, store=f"sqlite:{tmp_path / 's.db'}")) as server, chromium.page() as page:
        page.open(server.url)
        page.wait("!document.querySelector('#workplace').hidden")
        for name in runs:
            page.choose("#model", name)
            page.wait("!document.querySelector('#steps').children.length")
            page.click("#example")
            page.click("#step")
            said = _steps(page, 1)
            assert ("expected" in said) if name == "nade" else ("next" in said)
            button = "#view button"
            assert "Step what is sampled" in page.text(button)
            page.click(button)
            _steps(page, 2)
            if name == "nade":
                shown = page.evaluate("document.querySelector('svg.roll').ariaLabel")
                assert shown.startswith("2 frames, the last ")
                notes = page.evaluate("document.querySelectorAll('.roll .note[fill-opacity=\"1.000\"]').length")
                assert notes >= 3  # those of the example
            else:
                assert page.evaluate("document.querySelectorAll('#view .tags li').length") == 3
            page.screenshot(tmp_path / f"{name}.png")
        assert not page.faults
