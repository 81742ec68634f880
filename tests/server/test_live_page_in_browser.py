"""The page as a person uses it, in a headless Chromium."""

import datetime
import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from serving import Serving
from torch import nn

import recurra
from browser import Browser, Page
from made_sentences import sentences
from recurra import Forecaster, Tagger
from recurra.errors import DataError
from recurra.server import ServerOptions
from recurra.server.served_model import ServedModel, load_models
from recurra.streaming import ItemStream, Stepper

TOKEN = "a-token-of-the-tests"
CLASSES = ("walk", "run", "jump")
Start = Callable[..., Serving]


def _classes() -> ServedModel:
    """A classifier of rows of two numbers, with weights of its own."""
    network = nn.Sequential(recurra.LSTM(2, 5), nn.Linear(5, len(CLASSES)), nn.Softmax(-1))

    def read(item: Any, _: Any) -> np.ndarray:
        if not isinstance(item, list) or len(item) != 2:
            raise DataError("item: expected a list of 2 numbers")
        return np.array([item], np.float32)

    def answer(_: np.ndarray, outputs: np.ndarray) -> dict[str, Any]:
        return {"probabilities": dict(zip(CLASSES, map(float, outputs[-1]), strict=True))}

    stream = ItemStream(Stepper(network), read, answer, "a row of 2 numbers", [0.5, -1.25])
    estimator: Any = SimpleNamespace(task="classify", sound_format={}, drawing_format={})
    return ServedModel("moves", estimator, stream, server_only="it was made in a test")


@pytest.fixture(scope="module")
def served(models: dict[str, ServedModel], tmp_path_factory: pytest.TempPathFactory) -> dict[str, ServedModel]:
    """A model of each form of result, and one that does not stream."""
    folder = tmp_path_factory.mktemp("served")
    small: dict[str, Any] = {"hidden_size": 4, "max_steps": 2, "device": "cpu"}
    days = [datetime.datetime(2026, 1, 1) + datetime.timedelta(days=k) for k in range(60)]
    frame = pl.DataFrame({"ds": days, "y": [math.sin(k) + 2 for k in range(60)]})
    Forecaster(horizon=3, **small).fit(frame, progress=False).save(folder / "load")
    Tagger(bidirectional=False, **small).fit(sentences(12), progress=False).save(folder / "pos")
    Tagger(**small).fit(sentences(12), progress=False).save(folder / "whole")
    runs = load_models([str(folder / name) for name in ("load", "pos", "whole")])
    ahead = load_models([f"ahead={folder / 'whole'}"], look_ahead=2)
    return {**models, **runs, **ahead, "moves": _classes()}


@pytest.fixture
def start(served: Mapping[str, ServedModel], tmp_path: Path) -> Iterator[Start]:
    """Starts servers of one store; arguments are those of `ServerOptions`."""
    with ExitStack() as stack:

        def start_server(**options: Any) -> Serving:
            store = f"sqlite:{tmp_path / 'sessions.db'}"
            return stack.enter_context(Serving(served, ServerOptions(**{"port": 0, "store": store, **options})))

        yield start_server


@pytest.fixture
def server(start: Start) -> Serving:
    return start()


@pytest.fixture
def page(server: Serving, chromium: Browser) -> Iterator[Page]:
    """The page, which may ask no other server and have no fault but what it shows."""
    with _opened(chromium, server) as page:
        yield page
        assert not [fault for fault in page.faults if not re.search(r"status of [45]|CONNECTION_REFUSED", fault)]
        assert all(address.startswith(f"{server.url}/") for address in page.addresses)


@contextmanager
def _opened(chromium: Browser, server: Serving, **size: Any) -> Iterator[Page]:
    with chromium.page(**size) as page:
        page.open(server.url)
        page.wait("!document.querySelector('#workplace').hidden")
        yield page


def _turn_to(page: Page, model: str) -> None:
    page.choose("#model", model)
    page.wait("!document.querySelector('#steps').children.length")


def _step(page: Page, text: str) -> None:
    """Step the first item."""
    page.click("#item")
    page.type(text)
    page.press("Enter")
    _wait_for_steps(page, 1)


def _play(page: Page, file: Path, rate: str = "Infinity") -> None:
    page.choose_file("#file", file)
    page.wait("!document.querySelector('#start').disabled")
    page.choose("#rate", rate)
    page.click("#start")


def _steps(page: Page) -> int:
    return page.evaluate("document.querySelector('#steps').children.length")


def _wait_for_steps(page: Page, count: int) -> None:
    page.wait(f"document.querySelector('#steps').children.length >= {count}")


def test_a_text_is_typed_and_stepped(page: Page) -> None:
    assert page.text("#model-text") == "It reads one item a step: a piece of text. For example: the␣"
    page.click("#example")
    page.type("quick ")
    page.press("Enter")
    _wait_for_steps(page, 1)
    bars = page.evaluate("[...document.querySelectorAll('.bars li')].map(one => one.innerText.split('\\n'))")
    assert len(bars) == 5
    assert page.evaluate("parseFloat(document.querySelector('.bars i').style.width)") > 0
    assert page.evaluate("document.querySelector('#item').value") == ""
    assert page.text("#confidence-text") == bars[0][-1]
    page.type("brown")
    page.press("Enter")
    _wait_for_steps(page, 2)
    assert page.text(".reading") == "the quick brown"
    page.wait("document.querySelector('#live').textContent.startsWith('Step 2, brown: next')")
    assert page.text("#session-text") == "Open, 2 steps taken."


def test_the_state_moves(page: Page, server: Serving) -> None:
    page.click("#item")
    page.type("the")
    page.press("Enter")
    page.wait("document.querySelector('#state-text').textContent.includes('values from')")
    stream = server.app.service.models["book"].stream
    assert stream is not None
    state = stream.new_state()
    stream.step(["the"], [state])
    assert page.text("#state-text").startswith(f"{state.values.size} values from ")
    shown = page.text("#cell-value").split(": ")
    assert shown[0] == "0"
    assert float(shown[1]) == pytest.approx(float(state.values[0, 0]), rel=1e-3)
    coloured = "[...document.querySelector('#state').getContext('2d').getImageData(0, 0, 16, 2).data].filter(Boolean)"
    assert page.evaluate(f"new Set({coloured}).size") > 8
    page.click("#cell")
    assert page.text("#cell-value") != ": ".join(shown)
    page.click("#state-shown")
    assert page.evaluate("document.querySelector('#state-view').hidden")


def test_words_with_their_tags(page: Page) -> None:
    _turn_to(page, "pos")
    page.click("#item")
    page.type("Ann sees Bob")
    page.press("Enter")
    page.wait("document.querySelectorAll('.tags li').length === 3")
    words = page.evaluate("[...document.querySelectorAll('.tags li')].map(one => one.innerText.split('\\n'))")
    assert [word for word, _, _ in words] == ["Ann", "sees", "Bob"]
    assert all(tag.isupper() and confidence.endswith("%") for _, tag, confidence in words)


def test_words_whose_tags_wait_for_the_words_ahead(page: Page) -> None:
    _turn_to(page, "ahead")
    assert page.evaluate("document.querySelector('#end').disabled")
    page.click("#item")
    page.type("Ann sees Bob")
    page.press("Enter")
    _wait_for_steps(page, 1)
    page.wait("document.querySelector('#session-text').innerText.includes('3 steps taken. 2 results wait')")
    assert _steps(page) == 1
    page.click("#end")
    _wait_for_steps(page, 3)
    words = page.evaluate("[...document.querySelectorAll('.tags li')].map(one => one.innerText.split('\\n'))")
    assert [word for word, _, _ in words] == ["Ann", "sees", "Bob"]
    rows = page.evaluate("[...document.querySelectorAll('#steps tr')].map(one => one.innerText.split('\\t'))")
    assert [(step, word) for step, word, _ in rows] == [("3", "Bob"), ("2", "sees"), ("1", "Ann")]
    assert page.evaluate("document.querySelector('#end').disabled")
    page.click("#item")
    page.type("Bob")
    page.press("Enter")
    page.wait("document.querySelector('#session-text').innerText.includes('5 steps taken. 1 result waits')")


def test_a_file_of_observations_is_forecast(page: Page, tmp_path: Path) -> None:
    rows = [f"{k},2026-01-{k:02d},{'' if k == 7 else 2 + math.sin(k)}" for k in range(1, 21)]
    (tmp_path / "load.csv").write_text("n,ds,y\r\n" + "\r\n".join(rows) + "\r\n")
    _turn_to(page, "load")
    page.click("#example")
    assert '"ds":"2026-03-01"' in page.evaluate("document.querySelector('#item').value")
    _play(page, tmp_path / "load.csv")
    page.wait("document.querySelector('#progress-text').textContent.includes('all stepped')")
    assert _steps(page) == 20
    assert page.text("#progress-text").startswith("20 of 20 items, ")
    assert page.evaluate("document.querySelectorAll('#view polygon.band').length") == 1
    # A missing observation is a gap in the line; the forecast is another.
    assert page.evaluate("document.querySelectorAll('#view svg[role=img] polyline').length") == 3
    label = page.evaluate("document.querySelector('#view svg').getAttribute('aria-label')")
    assert label.startswith("y: 20 observations; the forecast is next ")
    assert "2026-01-23" in label
    page.click("#start")  # again, in a session of its own: stamps have to increase
    page.wait("document.querySelector('#progress-text').textContent.includes('all stepped')")
    assert page.text("#session-text") == "Open, 20 steps taken."
    assert page.text("#file-error") == ""


def test_classes_as_evidence_grows(page: Page, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a;b\n" + "\n".join(f"{math.sin(k):.3f};{k % 3}" for k in range(30)))
    _turn_to(page, "moves")
    _play(page, tmp_path / "rows.csv")
    page.wait("document.querySelector('#progress-text').textContent.includes('all stepped')")
    assert page.evaluate("document.querySelectorAll('#view svg[role=img] polyline').length") == len(CLASSES)
    assert set(page.text(".legend").split("\n")) == set(CLASSES)
    shown = page.evaluate("[...document.querySelectorAll('.bars .figure')].map(one => parseFloat(one.textContent))")
    assert sum(shown) == pytest.approx(100, abs=2)
    assert shown == sorted(shown, reverse=True)


def test_a_file_can_be_paused_stopped_and_begun_again(page: Page, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("the quick brown fox jumps over the lazy dog. " * 30)
    _play(page, tmp_path / "text.txt", rate="50")
    _wait_for_steps(page, 3)
    page.click("#pause")
    page.wait("document.querySelector('#start').textContent === 'Go on'")
    page.evaluate("new Promise(done => setTimeout(done, 200))")
    paused = _steps(page)
    page.evaluate("new Promise(done => setTimeout(done, 300))")
    assert _steps(page) == paused
    assert page.text("#progress-text").startswith(f"{paused} of 270 items")
    page.click("#start")
    _wait_for_steps(page, paused + 3)
    page.click("#stop")
    page.wait("document.querySelector('#progress-text').textContent.startsWith('0 of 270')")
    page.click("#anew")
    page.wait("!document.querySelector('#steps').children.length")
    assert page.text("#session-text") == "The first step opens one."
    page.choose("#pieces", "characters")
    page.wait("document.querySelector('#progress-text').textContent.startsWith('0 of 1350')")


def test_a_file_is_dropped_anywhere(page: Page, tmp_path: Path) -> None:
    (tmp_path / "dogs.txt").write_text("the lazy dog")
    for place in ("#drop", "h1"):
        page.choose("#model", "book")
        page.wait("document.querySelector('#start').disabled")
        page.drop_file(place, tmp_path / "dogs.txt")
        page.wait("document.querySelector('#progress-text').textContent === '0 of 3 items'")
    assert page.text("#drop").startswith("dogs.txt")
    page.click("#start")
    _wait_for_steps(page, 3)
    assert page.text(".reading") == "the lazy dog"


def test_a_model_is_changed_while_words_are_stepped(page: Page) -> None:
    _turn_to(page, "pos")
    page.click("#item")
    page.type("Ann sees Bob " * 100)
    page.press("Enter")
    _wait_for_steps(page, 2)
    _turn_to(page, "moves")
    page.click("#item")
    page.type("1, 2")
    page.press("Enter")
    _wait_for_steps(page, 1)
    assert page.evaluate("document.querySelector('#steps code').textContent") == "[1,2]"
    assert page.text("#item-error") == ""


def test_what_the_server_refuses_stands_beside_the_item(page: Page, tmp_path: Path) -> None:
    _turn_to(page, "moves")
    page.click("#item")
    page.type("1, 2, 3")
    page.press("Enter")
    page.wait("!document.querySelector('#item-error').hidden")
    assert page.text("#item-error") == "item: expected a list of 2 numbers"
    assert page.evaluate("document.querySelector('#item').value") == "1, 2, 3"
    page.type("x")
    assert page.text("#item-error") == ""
    page.press("Enter")
    page.wait("!document.querySelector('#item-error').hidden")
    assert "not a number" in page.text("#item-error")
    (tmp_path / "rows.csv").write_text("1,2\n3,4\n5\n6,7\n")
    _play(page, tmp_path / "rows.csv")
    page.wait("!document.querySelector('#file-error').hidden")
    assert page.text("#file-error") == "Item 3, [5]: item: expected a list of 2 numbers"
    assert _steps(page) == 2
    _turn_to(page, "load")
    page.choose_file("#file", tmp_path / "rows.csv")
    page.wait("!document.querySelector('#file-error').hidden")
    assert page.text("#file-error") == "The table has no column ds, y; its columns are 1, 2."


def test_a_session_that_is_gone_is_begun_again(page: Page, server: Serving) -> None:
    _step(page, "the")
    store = server.app.service._store
    for path in {a.partition("/sessions/")[2].partition("/")[0] for a in page.addresses if "/step" in a}:
        store.delete(path)
    page.type(" fox")
    page.press("Enter")
    page.wait("!document.querySelector('#item-error').hidden")
    assert "there is no such session" in page.text("#item-error")
    page.press("Enter")
    _wait_for_steps(page, 2)
    assert page.text("#session-text") == "Open, 1 step taken."


def test_a_state_is_copied_and_a_session_closed(page: Page, server: Serving) -> None:
    _step(page, "the")
    page.click("#copy")
    page.wait("!document.querySelector('#copied').hidden")
    content = page.evaluate("document.querySelector('#copied').value")
    assert server.post("/v1/models/book/sessions", {"state": content}).status == 201
    page.click("#close")
    page.wait("document.querySelector('#session-text').textContent.startsWith('Closed.')")
    assert server.app.service._store.count() == 1


def test_a_token_is_asked_for_and_kept_in_memory_alone(start: Start, chromium: Browser) -> None:
    with chromium.page() as page:
        page.open(start(token=TOKEN).url)
        _use_token(page)


def _use_token(page: Page) -> None:
    page.wait("!document.querySelector('#token-form').hidden")
    assert page.evaluate("document.activeElement.id") == "token"
    page.type("another-token-of-mine")
    page.press("Enter")
    page.wait("!document.querySelector('#page-error').hidden")
    assert page.text("#page-error") == "This is not a token of the server."
    page.type(TOKEN)
    page.press("Enter")
    page.wait("!document.querySelector('#workplace').hidden")
    _step(page, "the")
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])")
    assert TOKEN not in kept
    assert TOKEN not in page.evaluate("document.documentElement.outerHTML")


def test_a_model_that_does_not_stream_reads_whole_inputs(page: Page) -> None:
    _turn_to(page, "whole")
    assert "bidirectional=False" in page.text("#model-text")
    page.click("#item")
    page.type("Ann sees Bob")
    page.press("Enter")
    page.wait("document.querySelectorAll('.tags li').length === 3")


def test_the_keyboard_reaches_everything_and_shows_where_it_is(page: Page, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("the lazy dog. " * 40)
    page.click("#item")
    page.type("the")
    page.press("Enter")
    page.wait("!document.querySelector('#cell-field').hidden")
    page.choose_file("#file", tmp_path / "text.txt")
    page.wait("!document.querySelector('#start').disabled")
    page.evaluate("document.activeElement.blur()")
    reached = []
    for _ in range(40):
        page.press("Tab")
        name, outline = page.evaluate(
            "(node => [node.id || node.className || node.tagName, getComputedStyle("
            "node.id === 'file' ? document.querySelector('#drop') : node).outlineWidth])(document.activeElement)"
        )
        if name in reached:
            break
        if name != "BODY":
            assert outline == "3px", name
            reached.append(name)
    expected = {"reference", "model", "item", "step", "example", "file", "pieces", "rate", "start", "anew", "copy"}
    assert expected | {"close", "state-shown", "cell", "reading", "scroll"} <= set(reached)


def test_a_screen_reader_hears_names_and_results(page: Page) -> None:
    page.click("#item")
    page.type("the")
    page.press("Enter")
    page.wait("document.querySelector('#live').textContent && !document.querySelector('#cell-field').hidden")
    nodes = page.accessibility()
    # Some browsers keep the space between a box and its label.
    named = [(node["role"]["value"], node.get("name", {}).get("value", "").strip()) for node in nodes]
    interactive = {"button", "textbox", "combobox", "checkbox", "slider", "image", "img", "meter", "progressbar"}
    assert not [role for role, name in named if role in interactive and not name]
    for one in (
        ("textbox", "One item"),
        ("combobox", "Trained run"),
        ("button", "Step"),
        ("checkbox", "Show the state after each step"),
        ("slider", "Cell"),
        ("meter", "Confidence"),
        ("heading", "Hidden state"),
        ("main", ""),
    ):
        assert one in named
    assert any(role == "status" for role, _ in named)


@pytest.mark.parametrize("width", [360, 800, 1600])
@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_and_is_readable(server: Serving, chromium: Browser, width: int, dark: bool, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("\n".join(f"{k},{k % 3}" for k in range(8)))
    with _opened(chromium, server, width=width, height=800, dark=dark) as page:
        _turn_to(page, "moves")
        _play(page, tmp_path / "rows.csv")
        page.wait("document.querySelector('#progress-text').textContent.includes('all stepped')")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for selector in ("body", ".help", "button.main", "h3", "#session-text"):
            assert _contrast(page, selector) >= 4.5, selector


def _contrast(page: Page, selector: str) -> float:
    """Of an element's text to what lies behind it (WCAG 2.2)."""
    text, behind = page.evaluate(
        f"(node => {{ const text = getComputedStyle(node).color; let behind = node; "
        f"while (getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)') behind = behind.parentElement; "
        f"const parts = one => one.match(/[\\d.]+/g).slice(0, 3).map(Number); "
        f"return [parts(text), parts(getComputedStyle(behind).backgroundColor)]; }})"
        f"(document.querySelector('{selector}'))"
    )
    high, low = sorted((_luminance(text), _luminance(behind)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: list[float]) -> float:
    parts = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


@pytest.mark.parametrize("reduced", [False, True])
def test_nothing_moves_by_itself_if_a_person_wants_it_still(server: Serving, chromium: Browser, reduced: bool) -> None:
    with _opened(chromium, server, reduced_motion=reduced) as page:
        _step(page, "the")
        moving = page.evaluate("getComputedStyle(document.querySelector('.bars i')).transitionDuration")
        assert (moving == "0s") is reduced


def test_a_session_continues_at_a_server_that_restarted(page: Page, server: Serving, start: Start) -> None:
    _step(page, "the")
    server.stop()
    page.type(" fox")
    page.press("Enter")
    page.wait("document.querySelector('#session-text').textContent.startsWith('The server does not answer')")
    start(port=server.port)
    _wait_for_steps(page, 2)
    assert page.text("#session-text") == "Open, 2 steps taken."
