"""What happens when: spans of recordings as results, and their evaluation beside the true ones."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from recurra.data.audio.timed_words import Segment, Word, srt
from recurra.data.video.clips import Clips
from recurra.detection.label_events import Event, events_of_frames, segments_of_labels
from recurra.detection.metrics.label_segments import segment_f1
from recurra.errors import ParameterError
from recurra.files import prepare_folder, write_text
from recurra.task import Evaluation, Predictions
from recurra.task.label_evaluation import evaluate_labels
from recurra.task.results import Table
from recurra.tasks.video.network import FittedVideo, logits_of
from recurra.text_table import one_line, percent

__all__ = ["EVENT_ENDINGS", "Spans", "evaluate_frames", "predict_frames", "write_events"]

EVENT_ENDINGS = (".csv", ".json", ".srt")
_OVERLAPS = (0.1, 0.25, 0.5)
_F1 = (
    "F1@k is of segments: one is right if it overlaps a true segment of its label by at least k %, the frames that "
    "both have divided by those that either has (Lea et al. 2017). Frames labelled {background} belong to none."
)


def write_events(path: Path, events: Mapping[str, Sequence[Event]], more: Mapping[str, Any]) -> None:
    """Write events as subtitles (.srt), a table (.csv) or JSON.

    Args:
        path: of the file.
        events: of each recording, by its id.
        more: what JSON holds beside the events.

    Raises:
        ParameterError: another ending, or subtitles of several recordings.
        RunError: the file cannot be written.
    """
    ending = path.suffix.lower()
    if ending not in EVENT_ENDINGS or (ending == ".srt" and len(events) > 1):
        expected = "a file ending in .csv, .json, or .srt of one recording"
        raise ParameterError("out", expected, str(path))
    prepare_folder(path.parent)
    if ending == ".srt":
        each = (one for own in events.values() for one in own)
        text = srt([Segment((Word(one.label, one.start, one.end, one.confidence),)) for one in each])
    elif ending == ".csv":
        rows = [(name, one.start, one.end, one.label, one.confidence) for name, own in events.items() for one in own]
        text = Table(("id", "start", "end", "label", "confidence"), rows).csv()
    else:
        named = [{"id": name, "events": [vars(one) for one in own]} for name, own in events.items()]
        text = json.dumps({**more, "recordings": named}, indent=1, ensure_ascii=False) + "\n"
    write_text(path, text)


class Spans(Predictions[list[list[Event]]]):
    """What happens when in recordings.

    Args:
        names: of the recordings.
        labels: of the classifier.
        probabilities: calibrated, of the frames of each recording (T, K).
        rate: frames a second.
        background: see `events_of_frames`.
        path: of the file that was read. None: there was none.

    Attributes:
        probabilities: as the argument.
    """

    def __init__(
        self,
        names: Sequence[str],
        labels: Sequence[str],
        probabilities: Sequence[np.ndarray],
        rate: float,
        background: str,
        path: Path | None,
    ) -> None:
        self.probabilities = list(probabilities)
        self._names, self._path, self._rate = names, path, rate
        self._events = [events_of_frames(labels, one, rate, background) for one in probabilities]

    @property
    def values(self) -> list[list[Event]]:
        """The events of each recording."""
        return self._events

    def text(self, color: bool = False) -> Iterator[str]:
        if len(self._names) > 1:
            yield f"{len(self._names):,} recordings, {sum(map(len, self._events)):,} events\n"
            return
        for one in self._events[0]:
            yield f"{one.start:8.2f} s to {one.end:8.2f} s  {percent(one.confidence):>6} %  {one_line(one.label)}\n"

    def remarks(self, color: bool = False) -> Iterator[str]:
        if not any(self._events):
            yield "Nothing but the background is seen: there is no event."

    def write(self, path: str | Path) -> list[Path]:
        """Write the events; see `write_events`."""
        target = Path(path)
        write_events(target, dict(zip(self._names, self._events, strict=True)), {"frames_a_second": self._rate})
        return [target]

    def default_path(self, folder: Path) -> Path | None:
        return None if self._path is None else folder / "predictions" / f"{self._path.stem}.csv"


def predict_frames(fitted: FittedVideo, clips: Clips, path: Path | None) -> Spans:
    """Label the frames of recordings; the last argument is that of `Spans`."""
    learned = fitted.learned
    encoded, _ = learned.encode(clips)
    probabilities = learned.probabilities(logits_of(fitted, encoded))
    return Spans(
        [one.id for one in clips],
        learned.labels.names.symbols,
        np.split(probabilities, np.cumsum(encoded.lengths)[:-1]),
        learned.features.rate,
        learned.background or "",
        None if len(clips) == 1 else path,
    )


def evaluate_frames(fitted: FittedVideo, clips: Clips) -> Evaluation:
    """Compare the labels of frames with known ones: by frame, and by segment at several overlaps."""
    learned = fitted.learned
    encoded, features = learned.encode(clips)
    references, logits = learned.references(clips, encoded.lengths), logits_of(fitted, encoded)
    baselines = learned.baselines(features)
    evaluation = evaluate_labels(clips.source, references, learned.labels, logits, learned.temperature, baselines, {})
    edges = np.cumsum([0, *encoded.lengths])
    background = learned.background or ""

    def segments(rows: Sequence[tuple[str, ...]]) -> list[Any]:
        names = [name for (name,) in rows]
        return [segments_of_labels(names[first:last], background) for first, last in pairwise(edges)]

    true = segments(references)
    predicted = {"model": segments(learned.labels.decode(logits)), **{k: segments(v) for k, v in baselines.items()}}
    methods = {
        name: {
            **scores,
            **{f"F1@{round(100 * one)}": segment_f1(true, predicted[name], one) for one in _OVERLAPS},
        }
        for name, scores in evaluation.methods.items()
    }
    recordings = f"{len(clips):,} recording{'s' * (len(clips) != 1)}"
    return replace(
        evaluation,
        title=f"{clips.source}: {len(references):,} frames of {recordings}, {sum(map(len, true)):,} segments",
        methods=methods,
        notes=[*evaluation.notes, _F1.format(background=one_line(background))],
        facts={**evaluation.facts, "recordings": len(clips), "segments": sum(map(len, true))},
    )
