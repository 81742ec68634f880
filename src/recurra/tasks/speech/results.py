"""What a recogniser's verbs return: transcripts, and how many errors they have."""

import io
import sys
import time
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.data.audio import timed_words
from recurra.data.audio.pcm import pcm_chunks
from recurra.data.audio.timed_words import Segment
from recurra.data.audio.utterances import Utterances
from recurra.data.text.arpa import write_arpa
from recurra.data.text.edit_distance import ErrorCounts, character_errors, word_errors
from recurra.data.text.kneser_ney import estimate_ngrams
from recurra.data.text.ngram_model import NgramModel
from recurra.files import prepare_folder
from recurra.task import Evaluation
from recurra.task.label_pictures import draw_reliability
from recurra.task.reliability import Reliability, reliability
from recurra.task.results import Predictions, Result, Table, TablePredictions
from recurra.tasks.speech.learned import COMMONEST
from recurra.tasks.speech.live import LiveTranscriber
from recurra.tasks.speech.transcription import AnyFitted, Transcriber, word_confidence
from recurra.tasks.speech.view import draw_characters, draw_recording, typical_row

if TYPE_CHECKING:
    from recurra.tasks.speech.recognizer import Search

__all__ = ["Ngrams", "Transcripts", "Written", "evaluate"]


def evaluate(fitted: AnyFitted, utterances: Utterances, search: "Search") -> Evaluation:
    """Transcribe recordings and compare with their texts; see `SpeechRecognizer.evaluate`."""
    transcriber, texts = Transcriber(fitted, search, calibrated=False), utterances.texts
    started = time.perf_counter()
    segments = [Segment.joined(pieces) for pieces in transcriber.transcribe(utterances.items)]
    hypotheses = [segment.text for segment in segments]
    seconds = time.perf_counter() - started
    duration = sum(one.seconds for one in utterances)
    baseline = [fitted.learned.commonest] * len(texts)
    words = [word_errors(*pair) for pair in zip(texts, hypotheses, strict=True)]
    total = sum(words, ErrorCounts())
    rows = [
        (one.id, one.speaker or "", text, hypothesis, errors.errors, errors.length)
        for one, text, hypothesis, errors in zip(utterances, texts, hypotheses, words, strict=True)
    ]
    before, after = _reliability(fitted, *word_confidence(texts, segments))
    return Evaluation(
        f"{len(texts):,} recordings of {utterances.source}, {total.length:,} words, {duration / 60:.1f} minutes",
        {"model": _scores(texts, hypotheses), COMMONEST: _scores(texts, baseline)},
        "WER",
        losses=frozenset({"WER", "CER"}),
        tables={"transcripts": Table(("id", "speaker", "reference", "hypothesis", "errors", "words"), rows)}
        | _by_speaker(utterances, words)
        | _problems(utterances),
        notes=[
            f"{total.errors:,} word errors: {total.substitutions:,} substitutions, {total.insertions:,} insertions, "
            f"{total.deletions:,} deletions",
            _calibration(before, after),
            f"{seconds:.1f} s, {seconds / max(duration, 1e-9):.3f} of the recordings' duration",
        ],
        facts={
            "data": utterances.source,
            "substitutions": total.substitutions,
            "insertions": total.insertions,
            "deletions": total.deletions,
            "words": total.length,
            "search": search.get_params(),
            "expected_calibration_error": {
                "as_trained": before.expected_calibration_error,
                "calibrated": None if after is None else after.expected_calibration_error,
            },
            "seconds": round(seconds, 2),
        },
        pictures={
            "recording": lambda path: draw_recording(fitted, utterances, typical_row(utterances), path),
            "characters": partial(draw_characters, texts, hypotheses),
            "reliability": lambda path: draw_reliability(
                before, after, path, name="by the fitted map", items="words", predicted="confidence"
            ),
        },
    )


def _reliability(
    fitted: AnyFitted, confidence: np.ndarray, right: np.ndarray
) -> tuple[Reliability, Reliability | None]:
    """How far the confidence of words can be relied on: as trained, and as fitted on validation data."""
    calibration = fitted.learned.confidence
    before = reliability(confidence, right)
    if calibration is None:
        return before, None
    return before, reliability(np.array([calibration(one) for one in confidence.tolist()]), right)


def _calibration(before: Reliability, after: Reliability | None) -> str:
    """The expected calibration error in words."""
    as_trained = f"{100 * before.expected_calibration_error:.1f} points"
    if after is None:
        return f"expected calibration error of words: {as_trained}; without validation data nothing was calibrated"
    return (
        f"expected calibration error of words: {100 * after.expected_calibration_error:.1f} points "
        f"({as_trained} as trained)"
    )


def _problems(utterances: Utterances) -> dict[str, Table]:
    """What is wrong with rows of the data; those that cannot be used are left out of the figures."""
    rows = [("used" if one.usable else "left out", one.where, one.name, one.reason) for one in utterances.problems]
    return {"problems": Table(("use", "where", "file", "reason"), rows)} if rows else {}


def _scores(texts: Sequence[str], hypotheses: Sequence[str]) -> dict[str, float]:
    pairs = list(zip(texts, hypotheses, strict=True))
    return {
        "WER": sum((word_errors(*pair) for pair in pairs), ErrorCounts()).rate,
        "CER": sum((character_errors(*pair) for pair in pairs), ErrorCounts()).rate,
        "recordings right": sum(text == hypothesis for text, hypothesis in pairs) / len(pairs),
    }


def _by_speaker(utterances: Utterances, errors: Sequence[ErrorCounts]) -> dict[str, Table]:
    by_speaker: dict[str, ErrorCounts] = {}
    for speaker, one in zip(utterances.speakers, errors, strict=True):
        if speaker is not None:
            by_speaker[speaker] = by_speaker.get(speaker, ErrorCounts()) + one
    if len(by_speaker) < 2:
        return {}
    ordered = sorted(by_speaker.items(), key=lambda pair: -pair[1].rate)
    rows = [
        (speaker, one.rate, one.substitutions, one.insertions, one.deletions, one.length) for speaker, one in ordered
    ]
    width = max(len("speaker"), *(len(speaker) for speaker in by_speaker))
    lines = [f"{'speaker':{width}}  WER, %  words"]
    lines += [f"{speaker:{width}}  {100 * one.rate:6.2f}  {one.length:5}" for speaker, one in ordered]
    columns = ("speaker", "WER", "substitutions", "insertions", "deletions", "words")
    return {"speakers": Table(columns, rows, "\n".join(lines))}


class Transcripts(TablePredictions[list[str]], Sequence[list[Segment]]):
    """The texts of recordings: a sequence with the segments of each."""

    def __init__(self, fitted: AnyFitted, utterances: Utterances, search: "Search") -> None:
        self._transcriber, self._utterances, self._n_best = Transcriber(fitted, search), utterances, search.n_best
        path = Path(utterances.source)
        self.read_from = path if path.exists() else None

    @cached_property
    def segments(self) -> list[list[Segment]]:
        """The segments of each recording, with times."""
        return self._transcriber.transcribe(self._utterances.items)

    def __len__(self) -> int:
        return len(self._utterances)

    def __getitem__(self, index: Any) -> Any:
        return self.segments[index]

    @property
    def values(self) -> list[str]:
        """The text of each recording."""
        return [" ".join(segment.text for segment in segments) for segments in self.segments]

    def table(self) -> Table:
        """One row for each recording, or for each of its best texts where more than one is asked for."""
        if self._n_best > 1:
            best = self._transcriber.best_texts(self._utterances.items)
            ranked = [
                (utterance.id, rank, segment.text, segment.confidence)
                for utterance, segments in zip(self._utterances, best, strict=True)
                for rank, segment in enumerate(segments, 1)
            ]
            return Table(("id", "rank", "text", "confidence"), ranked)
        rows = []
        for utterance, text, segments in zip(self._utterances, self.values, self.segments, strict=True):
            rows.append((utterance.id, text, Segment.joined(segments).confidence))
        return Table(("id", "text", "confidence"), rows)

    def text(self, color: bool = False) -> Iterator[str]:
        if self._n_best > 1:
            for name, rank, text, _ in self.table().rows:
                yield f"{name}\t{rank}\t{text}\n"
            return
        for utterance, text in zip(self._utterances, self.values, strict=True):
            yield f"{utterance.id}\t{text}\n" if len(self._utterances) > 1 else f"{text}\n"


class Written(Predictions[list[list[Segment]]]):
    """Transcripts in a form, of recordings or of samples as they come.

    Args:
        fitted: the recogniser.
        utterances: recordings; None: standard input.
        search: how texts are searched for.
        form: see `SpeechRecognizer.transcribe`.
        live: transcribes samples as they come, and recordings as if they came so; None: recordings are read as a whole.
        rate: samples a second of raw standard input; None: those of the network.
        partial: whether a terminal shows words before their utterance ends.
    """

    streams = True

    def __init__(
        self,
        fitted: AnyFitted,
        utterances: Utterances | None,
        search: "Search",
        form: str | None,
        live: LiveTranscriber | None,
        rate: int | None,
        partial: bool,
    ) -> None:
        self._fitted, self._utterances, self._search, self._form = fitted, utterances, search, form
        self._live, self._rate, self._partial = live, rate, partial

    @property
    def values(self) -> list[list[Segment]]:
        """The segments of each recording."""
        return self._segments

    @cached_property
    def _segments(self) -> list[list[Segment]]:
        if self._utterances is None:
            return [list(self._spoken())]
        if self._live is None:
            return Transcriber(self._fitted, self._search).transcribe(self._utterances.items)
        return [[*self._live.whole(one)] for one in self._utterances]

    def text(self, color: bool = False) -> Iterator[str]:
        yield from self._texts(self._form)

    def _texts(self, form: str | None) -> Iterator[str]:
        if self._utterances is not None:
            names = [utterance.id for utterance in self._utterances]
            for name, segments in zip(names, self.values, strict=True):
                yield _written(form, name, segments, len(names) > 1)
            return
        if form in ("srt", "vtt"):
            yield _written(form, "-", list(self._spoken()), False)
            return
        for segment in self._spoken():
            if form is None:
                yield f"{segment.begin:8.2f}  {segment.text}\n"
            else:
                yield _written(form, "-", [segment], False)

    def write(self, path: str | Path) -> list[Path]:
        """Write the transcript: into one file, or for several recordings into a folder, a file each."""
        if self._utterances is None or len(self._utterances) == 1:
            form = self._form or timed_words.form_of(path, ("srt", "vtt", "json", "ctm"))
            return timed_words.write_each(Path(path), [("", "".join(self._texts(form)))], "")
        texts = [
            (utterance.id, _written(self._form, utterance.id, segments, False))
            for utterance, segments in zip(self._utterances, self.values, strict=True)
        ]
        return timed_words.write_each(Path(path), texts, self._form or "txt")

    def _spoken(self) -> Iterator[Segment]:
        """The utterances on standard input, as they end."""
        live, shown = self._live, ""
        assert live is not None
        terminal: Any = sys.stderr if self._partial and sys.stderr.isatty() else io.StringIO()
        for samples in pcm_chunks(self._fitted.learned.log_mel.sample_rate, source_rate=self._rate):
            for segment in live.accept(samples):
                terminal.write("\r\x1b[K")
                yield segment
            if live.partial.text != shown:
                shown = live.partial.text
                terminal.write(f"\r\x1b[K{shown[-70:]}")
                terminal.flush()
        terminal.write("\r\x1b[K")
        yield from live.finish()


def _written(form: str | None, name: str, segments: Sequence[Segment], named: bool) -> str:
    if form == "srt":
        return timed_words.srt(segments)
    if form == "vtt":
        return timed_words.vtt(segments)
    if form == "json":
        return timed_words.json_lines(name, segments)
    if form == "ctm":
        return timed_words.ctm(name, segments)
    text = " ".join(segment.text for segment in segments)
    return f"{name}\t{text}\n" if named else f"{text}\n"


class Ngrams(Result):
    """An n-gram model of words; see `SpeechRecognizer.ngrams`.

    Args:
        sentences: in the form of transcripts.
        order: words of the longest n-gram.
    """

    def __init__(self, sentences: Sequence[str], order: int) -> None:
        self._count, self._order = len(sentences), order
        self.model: NgramModel = estimate_ngrams([text.split() for text in sentences], order)

    def text(self, color: bool = False) -> Iterator[str]:
        counts = ", ".join(f"{len(table.words):,} of {n}" for n, table in enumerate(self.model.tables, 1))
        yield f"n-grams of {self._count:,} sentences, by their words: {counts}\n"

    def remarks(self, color: bool = False) -> Iterator[str]:
        if self.model.order < self._order:
            yield f"no sentence is long enough for n-grams of {self._order} words; the longest have {self.model.order}"

    def write(self, path: str | Path) -> list[Path]:
        """Write the model in ARPA's format, compressed if the name ends in .gz."""
        target = Path(path)
        prepare_folder(target.parent)
        write_arpa(self.model, target)
        return [target]

    def default_path(self, folder: Path) -> Path | None:
        return folder / "words.arpa"
