"""The page for sounds, from a file and from a microphone, and for rows with alarms, in a headless Chromium."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from serving import Serving
from small_runs import made_run

from browser import Browser, Page, browser
from recurra.data.audio.json_samples import read_json_samples
from recurra.data.audio.timed_words import Segment, Word
from recurra.export.c import has_web_assembly_compiler
from recurra.kernels.native import extension
from recurra.server import ServerOptions
from recurra.server.served_model import ServedModel, load_models
from recurra.streaming import Memory, MemoryStream, Reading, Stepper, Talk

pytestmark = pytest.mark.skipif(not extension.is_installed(), reason="a stream needs the C++ extension")
KINDS = ("sound", "sound whole", "anomaly")
RATE = 16000  # of the recordings; the models hear 8,000 samples a second


def _speech() -> ServedModel:
    """A recogniser that hears a word every 0.4 s, and a pause after two."""

    def read(item: Any, _: Any) -> np.ndarray:
        return np.zeros((0 if item is None else len(read_json_samples(item)) // 800, 1), np.float32)

    def talk(pieces: np.ndarray, memory: Memory) -> Talk:
        if len(pieces):
            yield Reading(np.zeros((len(pieces), 1), np.float32))
        memory["pieces"] += len(pieces)
        count = int(memory["pieces"][0])
        said = (count - 1) % 8 + 1  # pieces of this utterance
        begin = (count - said) / 10
        words = (("one", 0.0, 0.4, 0.9), ("two", 0.4, 0.8, 0.75))[: said // 4]
        segment = Segment(tuple(Word(text, begin + first, begin + last, sure) for text, first, last, sure in words))
        if said < 8 and len(pieces):
            return {"partial": segment.to_json(), "final": []}
        return {"partial": Segment(()).to_json(), "final": [segment.to_json()]}

    stepper = Stepper(torch.nn.GRU(1, 3))
    stream = MemoryStream(stepper, read, talk, "samples", [0.0], memory=(("pieces", 1),), takes_none=True)
    sound = {"sample_rate": 8000, "window": 1, "shift": 1}
    estimator: Any = SimpleNamespace(task="speech", sound_format=sound, drawing_format={})
    return ServedModel("speech", estimator, stream, server_only="it was made in a test")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ServedModel]:
    folder = tmp_path_factory.mktemp("runs")
    runs = load_models([made_run(kind, folder / kind.replace(" ", "-"))[0] for kind in KINDS])
    return {**runs, "speech": _speech()}


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1.3 seconds of noise on two channels."""
    path = tmp_path_factory.mktemp("sounds") / "noise.wav"
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal((13 * RATE // 10, 2)), RATE)
    return path


@pytest.fixture(scope="module")
def chromium(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A Chromium whose microphone hears the recording again and again."""
    fake = ("--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={recording}")
    with browser(tmp_path_factory.mktemp("chromium"), "--use-fake-ui-for-media-stream", *fake) as started:
        yield started


@pytest.fixture
def page(served: dict[str, ServedModel], chromium: Browser, tmp_path: Path) -> Iterator[Page]:
    with (
        Serving(served, ServerOptions(port=0, store=f"sqlite:{tmp_path / 's.db'}")) as server,
        chromium.page() as page,
    ):
        page.open(server.url)
        page.wait("!document.querySelector('#workplace').hidden")
        yield page
        assert not page.faults
        assert all(address.startswith((f"{server.url}/", "blob:")) for address in page.addresses)


def _play(page: Page, file: Path) -> int:
    """Step the items of a file. Returns how many there are."""
    page.choose_file("#file", file)
    page.wait("!document.querySelector('#start').disabled")
    page.choose("#rate", "Infinity")
    page.click("#start")
    page.wait("document.querySelector('#progress-text').textContent.includes('all stepped')")
    return page.evaluate("document.querySelector('#steps').children.length")


def _rows(page: Page) -> list[list[str]]:
    return page.evaluate("[...document.querySelectorAll('#steps tr')].map(one => one.innerText.split('\\t'))")


def test_a_recording_is_heard_piece_by_piece(page: Page, recording: Path) -> None:
    page.choose("#model", "sound")
    assert page.evaluate("document.querySelector('#rate').value") == "10"
    # Windows of 25 ms begin 10 ms apart: 128 in 1.3 s, ten a piece.
    assert _play(page, recording) == 13
    begins = [time.partition("–")[0] for _, time, _ in reversed(_rows(page))]
    assert begins == [f"{piece / 10:.2f}" for piece in range(13)]
    assert sorted(page.text(".legend").split("\n")) == ["loud", "soft"]
    assert "values from" in page.text("#state-text")


def test_words_come_with_their_times_and_confidence(page: Page, recording: Path) -> None:
    page.choose("#model", "speech")
    assert _play(page, recording) == 14  # and the end
    shown = "[...document.querySelectorAll('.utterances section')].map(one => one.innerText.split(/\\s*\\n\\s*/))"
    assert page.evaluate(shown) == [
        ["0.00–0.80 s", "one", "0.00–0.40 s", "90 %", "two", "0.40–0.80 s", "75 %"],
        ["0.80–1.20 s", "one", "0.80–1.20 s", "90 %"],
    ]
    results = [result for _, _, result in reversed(_rows(page))]
    assert results[:8] == [*["no words"] * 3, *["one …"] * 4, "“one two”, 0.00–0.80 s"]
    assert results[-1] == "“one”, 0.80–1.20 s"
    assert page.text("#state-text").startswith("3 values")  # not what the task remembers


def test_a_microphone_is_heard_until_it_is_stopped(page: Page) -> None:
    page.choose("#model", "sound")
    page.click("#speak")
    page.wait("document.querySelector('#steps').children.length > 3")
    assert page.text("#speak") == "Stop"
    page.click("#speak")
    page.wait("document.querySelector('#speak').textContent === 'Speak'")
    steps = len(_rows(page))
    page.evaluate("new Promise(done => setTimeout(done, 250))")
    assert len(_rows(page)) == steps
    assert page.text("#item-error") == ""


def test_a_recording_is_classified_as_a_whole(page: Page, recording: Path, tmp_path: Path) -> None:
    page.choose("#model", "sound-whole")
    assert "filters=0" in page.text("#model-text")
    page.drop_file("#drop", recording)
    page.wait("document.querySelectorAll('.bars li').length === 2")
    page.choose("#model", "sound")
    page.choose("#model", "sound-whole")
    page.click("#speak")
    page.evaluate("new Promise(done => setTimeout(done, 400))")
    page.click("#speak")
    page.wait("document.querySelectorAll('.bars li').length === 2")
    (tmp_path / "text.wav").write_text("no sound")
    page.choose_file("#file", tmp_path / "text.wav")
    page.wait("!document.querySelector('#file-error').hidden")
    assert "cannot read the file as sound" in page.text("#file-error")


@pytest.mark.skipif(not has_web_assembly_compiler(), reason="clang or wasm-ld (Debian package lld) is missing")
def test_a_recording_is_heard_in_the_browser_as_on_the_server(page: Page, recording: Path) -> None:
    page.choose("#model", "sound")
    page.click("#in-browser")
    page.wait("document.querySelector('#place-text').textContent.startsWith('WebAssembly')", 60)
    assert _play(page, recording) == 13
    assert float(page.text("#measured").split("steps: ")[1].rstrip(".").replace("−", "-")) < 1e-5


@pytest.mark.slow
def test_rows_raise_alarms(page: Page, tmp_path: Path) -> None:
    steps = np.arange(60) / 4
    rows = [f"{k},{np.sin(one)},{np.cos(one) + (9 if k == 50 else 0)}" for k, one in enumerate(steps)]
    (tmp_path / "today.csv").write_text("minute,flow,heat\n" + "\n".join(rows))
    page.choose("#model", "anomaly")
    assert _play(page, tmp_path / "today.csv") == 60
    [event] = page.evaluate("[...document.querySelectorAll('.events li')].map(one => one.innerText)")
    assert event.startswith("step")
    assert "51" in event
    assert "heat was 9.9" in event
    assert page.evaluate("document.querySelectorAll('#view svg[role=img] rect.alarm').length") == 2
    page.choose("#channel", "flow")
    label = page.evaluate("document.querySelector('#view svg').getAttribute('aria-label')")
    assert re.fullmatch(r"flow: observed and expected; \d+ of 60 steps in alarm", label)
    assert [result for _, _, result in _rows(page) if result.startswith("alarm: score ")]
    page.click(".events button")
    page.wait("document.querySelector('.events em').textContent === ' called normal'")
    assert _rows(page)[0][2].startswith("event 1 called normal; the threshold is ")
    assert page.evaluate("document.querySelector('.events button').getAttribute('aria-label')") == (
        "It was an anomaly: event 1"
    )
    assert page.text("#item-error") == ""
