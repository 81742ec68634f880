"""A video watched as it runs: labels at even times, smoothed into events with a start and an end."""

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recurra.data.audio.timed_words import Segment, Word, srt
from recurra.data.video.frame_cache import VideoSpan
from recurra.data.video.frames import Frames
from recurra.data.video.video_files import frames_at, shown_frames
from recurra.errors import ParameterError, StreamError
from recurra.files import prepare_folder, write_text
from recurra.models import SequenceClassifier
from recurra.streaming import Stepper
from recurra.task import Predictions
from recurra.task.results import Table
from recurra.tasks.video.network import FittedVideo
from recurra.text_table import one_line, percent

__all__ = ["Event", "EventTracker", "Moment", "Watched", "Watcher"]


@dataclass(frozen=True)
class Moment:
    """What is seen at a time.

    Attributes:
        seconds: from the beginning of the video.
        label: the likeliest.
        confidence: its calibrated probability.
    """

    seconds: float
    label: str
    confidence: float


@dataclass(frozen=True)
class Event:
    """What happens for a while.

    Attributes:
        label: of it.
        start: in seconds from the beginning of the video.
        end: likewise.
        confidence: the largest probability in that time.
    """

    label: str
    start: float
    end: float
    confidence: float


class EventTracker:
    """Events with hysteresis from probabilities, moment by moment.

    An event begins when a label's probability reaches `begin`, and ends when it falls below `end`.

    Args:
        names: of the labels.
        begin: probability, more than a half, so that no two labels begin together.
        end: probability, at most `begin`.

    Raises:
        ParameterError: a probability is out of its range.
    """

    def __init__(self, names: tuple[str, ...], begin: float, end: float) -> None:
        if not 0.5 < begin <= 1:
            raise ParameterError("begin", "a number above 0.5, at most 1", begin)
        if not 0 < end <= begin:
            raise ParameterError("end", f"a number above 0, at most begin = {begin:g}", end)
        self._names, self._begin, self._end = names, begin, end
        self._open: tuple[int, float, float] | None = None

    def step(self, seconds: float, probabilities: np.ndarray) -> Event | None:
        """The event that ends at a moment with these probabilities (K,), if one does."""
        ended = None
        if self._open is not None:
            label, start, most = self._open
            own = float(probabilities[label])
            self._open = (label, start, max(most, own))
            if own < self._end:
                ended = self.finish(seconds)
        best = int(probabilities.argmax())
        if self._open is None and probabilities[best] >= self._begin:
            self._open = (best, seconds, float(probabilities[best]))
        return ended

    def finish(self, seconds: float) -> Event | None:
        """The event that the end of the video ends, if one has begun."""
        if self._open is None:
            return None
        label, start, most = self._open
        self._open = None
        return Event(self._names[label], start, seconds, most)


class Watcher:
    """A classifier of videos that reads one frame after the other.

    Args:
        fitted: a classifier of videos.
        window: seconds that a decision looks back. 0: to the first frame, with the state of a network that reads
            forward alone, whose steps cost the same however long the video runs.

    Raises:
        StreamError: it reads landmarks; or `window` is 0, and the network reads what is to come.
    """

    def __init__(self, fitted: FittedVideo, window: float) -> None:
        features, network = fitted.learned.features, fitted.network.eval()
        if not isinstance(features, Frames) or network.reader is None:
            raise StreamError("every: this classifier reads landmarks; watch a video by one that was trained on videos")
        self._learned, self._network, self._reader = fitted.learned, network, network.reader
        self._device = fitted.device
        self._recent: deque[torch.Tensor] = deque(maxlen=max(round(window * features.rate), 1))
        self._stepper, self._stepper_state, self._logits = None, None, None
        if not window:
            if not isinstance(network.classifier, SequenceClassifier):
                raise StreamError("window: 0 takes a network with members=1; give it seconds to look back")
            if network.classifier.recurrent.bidirectional:
                raise StreamError(
                    "window: 0 takes a network trained with --no-bidirectional; give it seconds to look back"
                )
            self._stepper = Stepper(network.classifier)
            self._stepper_state = self._stepper.new_state()
        self._map_state: Any = None
        self._before: torch.Tensor | None = None

    @torch.no_grad()
    def read(self, pixels: np.ndarray) -> None:
        """Read the next frame, uint8 (S, S, 3)."""
        frame = torch.from_numpy(np.ascontiguousarray(pixels)).to(self._device)[None, None]
        features, self._map_state = self._reader(frame, torch.tensor([1]), self._map_state, self._before)
        self._before = frame[:, 0]
        if self._stepper is None:
            self._recent.append(features[0, 0])
        else:
            self._logits, self._stepper_state = self._stepper(features[0].cpu().numpy(), self._stepper_state)

    @torch.no_grad()
    def probabilities(self) -> np.ndarray:
        """Calibrated probabilities of labels (K,) from what was read, at least a frame."""
        if self._stepper is not None:
            return self._learned.probabilities(np.asarray(self._logits).reshape(1, -1))[0]
        steps = torch.stack(list(self._recent))[None]
        logits, _ = self._network.classifier(steps, torch.tensor([steps.shape[1]]))
        return self._learned.probabilities(logits.cpu().numpy())[0]


class Watched(Predictions[list[Event]]):
    """The labels of a video as it runs, and its events; the video is read when they are asked for.

    Args:
        fitted: a classifier of videos.
        video: to watch.
        every: seconds between decisions.
        window: see `Watcher`.
        begin: see `EventTracker`.
        end: likewise.

    Raises:
        ParameterError: a parameter is out of its range.
        StreamError: see `Watcher`.
    """

    streams = True

    def __init__(
        self, fitted: FittedVideo, video: VideoSpan, every: float, window: float, begin: float, end: float
    ) -> None:
        self._fitted, self._video, self._every, self._window = fitted, video, every, window
        self._thresholds = begin, end
        self._names = tuple(fitted.learned.labels.names.symbols)
        EventTracker(self._names, begin, end)
        Watcher(fitted, window)

    def run(self) -> Iterator[Moment | Event]:
        """Moments and events in the order of time, each as soon as its frames are decoded. Raises DataError."""
        watcher, tracker = Watcher(self._fitted, self._window), EventTracker(self._names, *self._thresholds)
        features = self._fitted.learned.features
        shown = shown_frames(self._video.path, features.size, self._video.frame_rate)  # type: ignore[union-attr]
        due, seconds = self._every, 0.0
        for seconds, pixels in frames_at(shown, features.rate):
            watcher.read(pixels)
            if seconds + 1 / features.rate < due - 1e-6:
                continue
            due += self._every
            probabilities = watcher.probabilities()
            best = int(probabilities.argmax())
            yield Moment(seconds, self._names[best], float(probabilities[best]))
            if (event := tracker.step(seconds, probabilities)) is not None:
                yield event
        if (event := tracker.finish(seconds)) is not None:
            yield event

    @property
    def values(self) -> list[Event]:
        """The events. Raises DataError."""
        return [one for one in self.run() if isinstance(one, Event)]

    def text(self, color: bool = False) -> Iterator[str]:
        for one in self.run():
            if isinstance(one, Moment):
                yield f"{one.seconds:8.2f} s  {percent(one.confidence):>5} %  {one_line(one.label)}\n"
            else:
                yield f"{one.start:8.2f} s to {one.end:.2f} s: {one_line(one.label)}\n"

    def write(self, path: str | Path) -> list[Path]:
        """Write events as subtitles (.srt) or a table (.csv), or moments and events (.json); see `Result.write`."""
        target = Path(path)
        ending = target.suffix.lower()
        if ending not in (".json", ".srt", ".csv"):
            raise ParameterError("out", "a file ending in .json, .srt or .csv", str(path))
        prepare_folder(target.parent)
        seen = list(self.run())
        events = [one for one in seen if isinstance(one, Event)]
        if ending == ".srt":
            text = srt([Segment((Word(one.label, one.start, one.end, one.confidence),)) for one in events])
        elif ending == ".csv":
            rows = [(one.start, one.end, one.label, one.confidence) for one in events]
            text = Table(("start", "end", "label", "confidence"), rows).csv()
        else:
            moments = [vars(one) for one in seen if isinstance(one, Moment)]
            values = {"video": str(self._video.path), "every": self._every, "moments": moments}
            text = json.dumps({**values, "events": [vars(one) for one in events]}, indent=1) + "\n"
        write_text(target, text)
        return [target]
