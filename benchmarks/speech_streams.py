"""Streams of speech: the fraction of real time that one takes, 50 beside each other, and how late words are written.

The speed is that of a network of AN4's size (three LSTMs of 192 that read forward alone, 40 bands, steps of 40
milliseconds, 0.24 s of look-ahead), which is not trained, unless `--run` names one; its sound is noise in bursts.
Sessions come in chunks of 0.1 s, all at the same time: "batched" hands all of them to one call of `step`, "one by one"
makes a call for each. They fall behind if chunks take longer than they last; the lag is the time that is owed at the
end. The processor's time is beside the time that passed: where other work runs, only that says what a stream takes.

The latency is counted from the end of a word to the end of the chunk after which the word is shown as it stays, and
the processor's time for the chunk is added. "Ended" is the end of its utterance, after a pause of 0.8 s: of all words,
and of the last one of each text, which waits for no other. `--recordings` names speech for `--run` to hear, each
recording with the quietest of its own sound after it for 1.5 s; its words end where forced alignment says so, by the
run itself or by another one (`--align-by`). Without it the latency is that of a small network which is trained here, in
about half a minute, on a language of tones, whose words end at known times.
"""

import base64
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks._command import run_alone
from benchmarks._report import Report
from recurra.data.audio.sound import Sound
from recurra.data.text.edit_distance import align
from recurra.streaming import ItemStream, StreamState
from recurra.tasks.speech import SpeechRecognizer
from recurra.tasks.speech.live import LiveTranscriber

CHUNK = 0.1  # seconds
RATE = 16000
SIZE: dict[str, Any] = {"hidden_size": 192, "num_layers": 3, "subsampling": 4, "bins": 40, "sample_rate": RATE}
LIVE: dict[str, Any] = {"bidirectional": False, "look_ahead": 0.24, "device": "cpu", "validation_fraction": 0.0}
HERTZ = {"a": 300.0, "b": 500.0, "c": 800.0, "d": 1200.0, "e": 1800.0, "f": 2600.0}
TONE, GAP = 0.12, 0.2  # seconds
_COLUMNS = {"of real time": "12.4f", "processor": "9.4f", "p50 a chunk, ms": "15.2f", "p99 a chunk, ms": "15.2f"}


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--run", type=Path, help="folder of a recogniser that reads forward alone")
    parser.add_argument("--recordings", type=Path, help="with texts, for the latency of --run instead of tones")
    parser.add_argument("--align-by", type=Path, help="folder of the recogniser that says where their words end")
    parser.add_argument("--sessions", type=int, default=50)
    parser.add_argument("--length", type=float, default=20.0, help="seconds of sound of each stream")
    parser.add_argument("--words", type=int, default=300, help="of tones, whose latency is measured")


def measure(options: Namespace, report: Report) -> None:
    if options.recordings is not None and options.run is None:
        raise SystemExit("--recordings: name the recogniser that hears them by --run")
    if options.align_by is not None and options.recordings is None:
        raise SystemExit("--align-by: name recordings to align by --recordings")
    recognizer = _untrained() if options.run is None else SpeechRecognizer.load(options.run)
    rate = _rate(recognizer)
    sound = _bursts(options.length, rate)
    table = report.table(
        "One stream, one thread",
        {"chunk, s": "8.2f", **_COLUMNS},
    )
    for chunk in (CHUNK, 1.0):
        live = LiveTranscriber(recognizer.fitted)
        taken = [_timed(live.accept, part) for part in _chunks(sound, chunk, rate)]
        table.add(chunk, *_figures(taken, options.length))
    table = report.table(
        f"{options.sessions} sessions in chunks of {CHUNK} s, one thread",
        {"sessions": "12s", **_COLUMNS, "lag, s": "8.2f"},
    )
    for name in ("batched", "one by one"):
        taken = list(_sessions(recognizer, sound, options.sessions, rate, batched=name == "batched"))
        lag = 0.0
        for one in taken:
            lag = max(0.0, lag + one.passed - CHUNK)
        table.add(name, *_figures(taken, options.length), lag)
    talks = list(_spoken(recognizer, options) if options.recordings else _of_tones(options.words))
    count = sum(len(talk.text) for talk in talks)
    table = report.table(
        f"From the end of a word to its text, chunks of {CHUNK} s, the right ones of {count} words",
        {"text": "16s", "words": "6.0f", "p50, s": "8.2f", "p99, s": "8.2f"},
    )
    latencies = [_latencies(talk) for talk in talks]
    for name in latencies[0]:
        seconds = [one for each in latencies for one in each[name]]
        table.add(name, len(seconds), *np.percentile(seconds, [50, 99]))


class Taken(NamedTuple):
    """Seconds that a call took, as they passed and of the processor."""

    passed: float
    processor: float


def _figures(taken: list[Taken], length: float) -> list[float]:
    passed = [one.passed for one in taken]
    processor = sum(one.processor for one in taken) / length
    return [sum(passed) / length, processor, *(1000 * np.percentile(passed, [50, 99]))]


def _untrained() -> SpeechRecognizer:
    recognizer = SpeechRecognizer(**SIZE, **LIVE, max_steps=1)
    sounds = [Sound(_bursts(4.0, RATE, seed), RATE) for seed in range(4)]
    return recognizer.fit(sounds, ["abcdefghijklmnopqrstuvwxyz "[seed:] for seed in range(4)], progress=False)


def _bursts(seconds: float, rate: int, seed: int = 0) -> np.ndarray:
    """Noise that is loud and quiet in turn."""
    generator = np.random.default_rng(seed)
    noise = generator.standard_normal(round(seconds * rate))
    loud = np.repeat(generator.random(len(noise) * 4 // rate + 1) < 0.7, rate // 4)[: len(noise)]
    return (0.1 * noise * (0.02 + loud)).astype(np.float32)


def _chunks(samples: np.ndarray, seconds: float, rate: int) -> Iterator[np.ndarray]:
    size = round(seconds * rate)
    for start in range(0, len(samples), size):
        yield samples[start : start + size]


def _timed(call: Callable[..., Any], *arguments: Any) -> Taken:
    started, used = time.perf_counter(), time.process_time()
    call(*arguments)
    return Taken(time.perf_counter() - started, time.process_time() - used)


def _sessions(
    recognizer: SpeechRecognizer, sound: np.ndarray, count: int, rate: int, *, batched: bool
) -> Iterator[Taken]:
    """What each chunk of all sessions takes; each session has the sound shifted by some seconds."""
    stream = recognizer.open_stream()
    states = [stream.new_state() for _ in range(count)]
    sounds = [np.roll(sound, k * len(sound) // count) for k in range(count)]
    for chunks in zip(*(_chunks(one, CHUNK, rate) for one in sounds), strict=True):
        items = [_encoded(one) for one in chunks]
        yield _timed(_step, stream, items, states, batched)


def _step(stream: ItemStream, items: list[str], states: list[StreamState], batched: bool) -> None:
    if batched:
        stream.step(items, states)
        return
    for item, state in zip(items, states, strict=True):
        stream.step([item], [state])


def _encoded(samples: np.ndarray) -> str:
    return base64.b64encode((samples * 32767).astype("<i2").tobytes()).decode()


class Talk(NamedTuple):
    """What a recogniser is to hear.

    Attributes:
        recognizer: that hears it.
        samples: at its rate.
        text: the words that are said.
        ends: where each ends, in seconds.
    """

    recognizer: SpeechRecognizer
    samples: np.ndarray
    text: list[str]
    ends: list[float]


def _spoken(recognizer: SpeechRecognizer, options: Namespace) -> Iterator[Talk]:
    """Recordings, whose words end where forced alignment says so."""
    other = recognizer if options.align_by is None else SpeechRecognizer.load(options.align_by)
    utterances, rate = recognizer.data_for(options.recordings, labelled=True), _rate(recognizer)
    for utterance, segment in zip(utterances, other.align(options.recordings).values, strict=True):
        samples = utterance.read(rate).samples
        words = segment.words
        ends = [word.end for word in words]
        yield Talk(recognizer, np.concatenate([samples, _quiet(samples, rate)]), [word.text for word in words], ends)


def _quiet(samples: np.ndarray, rate: int, seconds: float = 1.5) -> np.ndarray:
    """The quietest fifth of a second of a sound, to and fro."""
    size = rate // 5
    starts = range(0, max(1, len(samples) - size), size // 4)
    begin = min(starts, key=lambda start: float(np.square(samples[start : start + size]).sum()))
    quietest = samples[begin : begin + size]
    return np.resize(np.concatenate([quietest[::-1], quietest]), round(seconds * rate))


def _of_tones(count: int) -> Iterator[Talk]:
    """Words of tones, for a network that is trained on other texts of these words."""
    generator = np.random.default_rng(0)
    words = ["".join(generator.choice(list(HERTZ), generator.integers(1, 5))) for _ in range(30)]
    texts = [list(generator.choice(words, generator.integers(2, 6))) for _ in range(120)]
    recognizer = SpeechRecognizer(
        **{**LIVE, "look_ahead": 0.12},
        sample_rate=8000,
        bins=30,
        hidden_size=96,
        num_layers=1,
        batch_seconds=20.0,
        max_steps=600,
        learning_rate=0.01,
        averaging=0.98,
        time_masks=0,
        frequency_masks=0,
        speeds=(1.0,),
    )
    sounds = [Sound(_tones(text, generator)[0], 8000) for text in texts]
    recognizer.fit(sounds, [" ".join(text) for text in texts], progress=False)
    while count > 0:
        text = list(generator.choice(words, min(count, generator.integers(2, 6))))
        samples, ends = _tones(text, generator, silence_after=1.5)
        yield Talk(recognizer, samples, text, ends)
        count -= len(text)


def _tones(
    text: list[str], generator: np.random.Generator, silence_after: float = 0.2
) -> tuple[np.ndarray, list[float]]:
    """Samples at 8,000 a second, a tone for each letter, and where each word ends, in seconds."""
    parts, ends, length = [np.zeros(1600)], [], 1600
    for word in text:
        for letter in word:
            seconds = np.arange(round(TONE * 8000)) / 8000
            parts.append(np.sin(2 * np.pi * HERTZ[letter] * seconds) * np.hanning(len(seconds)))
            length += len(seconds)
        ends.append(length / 8000)
        parts.append(np.zeros(round(GAP * 8000)))
        length += round(GAP * 8000)
    samples = np.concatenate([*parts, np.zeros(round(silence_after * 8000))])
    return (0.3 * samples + 0.01 * generator.standard_normal(len(samples))).astype(np.float32), ends


def _latencies(talk: Talk) -> dict[str, list[float]]:
    """Seconds from the end of each word that is right to its text: shown, ended, and ended of the last word."""
    rate = _rate(talk.recognizer)
    live, written, ended, shown = LiveTranscriber(talk.recognizer.fitted), [], [], []
    heard = 0.0
    for part in _chunks(talk.samples, CHUNK, rate):
        used = time.process_time()
        final = [word.text for segment in live.accept(part) for word in segment.words]
        taken = time.process_time() - used
        heard += len(part) / rate
        written += final
        ended += [heard + taken] * len(final)
        shown.append((heard + taken, [*written, *(word.text for word in live.partial.words)]))
    latencies: dict[str, list[float]] = {"shown": [], "ended": [], "ended, last word": []}
    said = heard_words = 0
    for true, got in align(talk.text, written):
        if true is not None and true == got:
            end = talk.ends[said]
            differs = [n for n, (_, words) in enumerate(shown) if words[heard_words : heard_words + 1] != [got]]
            latencies["shown"].append(shown[differs[-1] + 1 if differs else 0][0] - end)
            latencies["ended"].append(ended[heard_words] - end)
            if said == len(talk.text) - 1:
                latencies["ended, last word"].append(ended[heard_words] - end)
        said += true is not None
        heard_words += got is not None
    return latencies


def _rate(recognizer: SpeechRecognizer) -> int:
    return recognizer.fitted.learned.log_mel.sample_rate


if __name__ == "__main__":
    run_alone(__doc__, add_options, measure)
