"""Runs whose steps the page takes in the browser, as a person uses it, beside the server's own steps."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from serving import Serving
from small_runs import made_run

from browser import Browser, Page
from recurra.export.c import has_web_assembly_compiler
from recurra.kernels.native import extension
from recurra.server import ServerOptions
from recurra.server.served_model import ServedModel, load_models
from recurra.server.strict_json import write_json

pytestmark = [
    pytest.mark.skipif(not extension.is_installed(), reason="a stream needs the C++ extension"),
    pytest.mark.skipif(not has_web_assembly_compiler(), reason="clang or wasm-ld (Debian package lld) is missing"),
]
# Those whose items the browser itself can read.
READ_HERE = ("classify series", "regress", "language characters", "language words", "language bytes")
KINDS = (*READ_HERE, "tag", "classify texts", "classify labels of texts", "language subwords")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, list[Any]]]:
    """A run and its items by kind."""
    folder = tmp_path_factory.mktemp("runs")
    return {kind: made_run(kind, folder / kind.replace(" ", "-")) for kind in (*KINDS, "forecast")}


@pytest.fixture(scope="module")
def served(runs: dict[str, tuple[str, list[Any]]]) -> dict[str, ServedModel]:
    return load_models([run for run, _ in runs.values()])


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RECURRA_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@contextmanager
def _opened(chromium: Browser, served: dict[str, ServedModel], folder: Path, **options: Any) -> Iterator[Page]:
    """The page of a server; it may have no fault but what it shows."""
    options = {"port": 0, "store": f"sqlite:{folder / 's.db'}", **options}
    with Serving(served, ServerOptions(**options)) as server, chromium.page() as page:
        page.open(server.url)
        page.wait("!document.querySelector('#workplace').hidden")
        yield page
        assert not [fault for fault in page.faults if not re.search(r"status of [45]", fault)]


@pytest.fixture
def page(chromium: Browser, served: dict[str, ServedModel], tmp_path: Path) -> Iterator[Page]:
    with _opened(chromium, served, tmp_path) as page:
        yield page


def _run_here(page: Page, kind: str) -> None:
    page.choose("#model", kind.replace(" ", "-"))
    page.click("#in-browser")
    page.wait("document.querySelector('#place-text').textContent.startsWith('WebAssembly with its weights')", 60)


def _step(page: Page, items: list[Any]) -> list[list[str]]:
    """The rows of the table after these items, typed and stepped."""
    for count, item in enumerate(items, start=1):
        page.click("#item")
        page.evaluate("document.querySelector('#item').value = ''")
        page.type(item if isinstance(item, str) else write_json(item))
        page.press("Enter")
        page.wait(f"document.querySelector('#steps').children.length === {count}")
        # The state follows on its own way; what it moved by counts from the last one shown.
        page.wait(f"document.querySelector('#state-text').dataset.steps === '{count}'")
    return page.evaluate("[...document.querySelectorAll('#steps tr')].map(one => one.innerText.split('\\t'))")


def _difference(page: Page) -> tuple[float, int]:
    """The largest difference from the server's results, and over how many steps."""
    shown = page.text("#measured").replace("−", "-")  # a sign that does not break lines
    matched = re.search(r"A step takes ([\d.]+) µs\..* in (\d+) steps?: ([\d.e-]+)\.", shown)
    assert matched, shown
    assert float(matched[1]) > 0
    return float(matched[3]), int(matched[2])


def _alike(rows: list[list[str]], others: list[list[str]]) -> bool:
    """Whether texts are the same, and numbers in them nearly so."""
    number = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
    texts, numbers = [], []
    for text in (" ".join(map(" ".join, rows)), " ".join(map(" ".join, others))):
        texts.append(number.sub("0", text))
        numbers.append([float(one) for one in number.findall(text)])
    return texts[0] == texts[1] and numbers[0] == pytest.approx(numbers[1], rel=1e-2, abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_results_are_the_servers(page: Page, runs: dict[str, tuple[str, list[Any]]], kind: str) -> None:
    _, items = runs[kind]
    _run_here(page, kind)
    here = _step(page, items)
    difference, steps = _difference(page)
    assert steps == len(items)
    assert difference < 1e-5
    assert ("The server turns items into" in page.text("#place-text")) is (kind not in READ_HERE)
    state = page.text("#state-text")
    page.click("#on-server")
    assert _alike(_step(page, items), here)
    assert page.text("#measured") == ""
    assert _alike([[page.text("#state-text")]], [[state]])


@pytest.mark.parametrize("kind", ["classify series", "language words"])
def test_items_stay_in_the_browser(page: Page, runs: dict[str, tuple[str, list[Any]]], kind: str) -> None:
    _run_here(page, kind)
    page.click("#compare")
    assert "Items stay in this browser." in page.text("#place-text")
    before = len(page.addresses)
    _step(page, runs[kind][1])
    assert page.addresses[before:] == []
    assert page.text("#measured").startswith("A step takes")
    assert "Largest" not in page.text("#measured")
    page.click("#compare")  # in a new session
    assert page.text("#session-text") == "The first step opens one."
    _step(page, runs[kind][1])
    assert _difference(page)[0] < 1e-5


def test_a_difference_is_seen(chromium: Browser, runs: dict[str, tuple[str, list[Any]]], tmp_path: Path) -> None:
    """The server's weights are of 8 bits, those of the browser are not."""
    run, items = runs["language characters"]
    with _opened(chromium, load_models([run], "int8"), tmp_path, weights="int8") as page:
        _run_here(page, "language characters")
        _step(page, items)
        assert 1e-5 < _difference(page)[0] < 1
        assert "The server's weights are int8, those here float32." in page.text("#measured")


def test_what_only_the_server_can_run_says_why(page: Page) -> None:
    page.choose("#model", "forecast")
    assert page.evaluate("document.querySelector('#in-browser').disabled")
    assert page.text("#place-text").startswith("Only the server can run it: the units of a window")
    page.choose("#model", "regress")
    assert not page.evaluate("document.querySelector('#in-browser').disabled")
    assert page.text("#place-text") == ""


def test_without_a_compiler_the_server_goes_on(
    page: Page, runs: dict[str, tuple[str, list[Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recurra.server.module.has_web_assembly_compiler", lambda: False)
    page.choose("#model", "regress")
    page.click("#in-browser")
    page.wait("!document.querySelector('#place-error').hidden")
    assert "apt install clang lld" in page.text("#place-error")
    assert page.evaluate("document.querySelector('#on-server').checked")
    _step(page, runs["regress"][1])
    assert page.text("#session-text") == "Open, 4 steps taken."


@pytest.mark.parametrize(
    ("kind", "item", "message"),
    [
        ("classify series", "[1,2,3]", "item: expected 2 numbers, null if missing: 1, 2"),
        ("classify series", '{"1":2}', "item: expected 2 numbers, null if missing: 1, 2"),
        ("language characters", "the ß", 'Character 5: the model has never seen "ß".'),
        ("language words", " ", "Expected 1 to 4096 tokens, got 0."),
    ],
)
def test_an_item_that_cannot_be_read_changes_nothing(
    page: Page, runs: dict[str, tuple[str, list[Any]]], kind: str, item: str, message: str
) -> None:
    _run_here(page, kind)
    _step(page, runs[kind][1])
    page.evaluate("document.querySelector('#item').value = ''")
    page.type(item)
    page.press("Enter")
    page.wait("!document.querySelector('#item-error').hidden")
    assert page.text("#item-error") == message
    page.evaluate("document.querySelector('#item').value = ''")
    page.type("the" if "language" in kind else "[1,2]")
    page.press("Enter")
    count = len(runs[kind][1]) + 1
    page.wait(f"document.querySelector('#session-text').textContent === 'In this browser, {count} steps taken.'")
    assert _difference(page)[0] < 1e-5


def test_a_file_is_stepped_here(page: Page, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("the quick brown fox jumps over the lazy dog. " * 30)
    _run_here(page, "language characters")
    page.click("#compare")
    page.choose_file("#file", tmp_path / "text.txt")
    page.wait("!document.querySelector('#start').disabled")
    page.choose("#rate", "Infinity")
    page.click("#start")
    page.wait("document.querySelector('#progress-text').textContent.includes('all stepped')")
    assert page.text("#session-text") == "In this browser, 270 steps taken."
    page.click("#start")  # again, in a session of its own
    page.wait("document.querySelector('#session-text').textContent === 'In this browser, 270 steps taken.'")


def test_turning_elsewhere_begins_anew(page: Page, runs: dict[str, tuple[str, list[Any]]]) -> None:
    _run_here(page, "regress")
    rows = _step(page, runs["regress"][1])
    page.click("#anew")
    assert page.text("#measured") == ""
    assert _step(page, runs["regress"][1]) == rows
    page.choose("#model", "tag")
    assert page.evaluate("document.querySelector('#on-server').checked")
    assert page.text("#session-text") == "The first step opens one."
