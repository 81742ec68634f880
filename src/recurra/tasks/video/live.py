"""A recording watched as it runs: labels at even times, smoothed into events with a start and an end."""

import base64
import binascii
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recurra.data.labelled.series_encoding import SeriesEncoding, Steps
from recurra.data.video.clips import Clip, Clips
from recurra.data.video.features import LandmarkFeatures
from recurra.data.video.frames import Frames
from recurra.data.video.landmarks import Landmarks
from recurra.data.video.video_files import frames_at, read_frame, shown_frames
from recurra.detection.label_events import Event, EventTracker
from recurra.errors import DataError, StreamError
from recurra.models import ClassifierEnsemble, SequenceClassifier, StepClassifier
from recurra.models.frame_reader import FrameReader, MapReader
from recurra.models.image.frame_features import FrameFeatures, FrameMaps
from recurra.streaming import Stepper, StreamState
from recurra.streaming.memory_stream import Memory, MemoryStream, Reading, Talk
from recurra.task import Predictions
from recurra.tasks.video.network import FittedVideo
from recurra.tasks.video.segments import write_events
from recurra.text_table import one_line, percent

__all__ = ["Moment", "Watched", "Watcher", "open_stream"]

_BLACK = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
_LARGEST = 1e30


@dataclass(frozen=True)
class Moment:
    """What is seen at a time.

    Attributes:
        seconds: from the beginning of the recording.
        label: the likeliest.
        confidence: its calibrated probability.
    """

    seconds: float
    label: str
    confidence: float


class Watcher:
    """A classifier that reads one frame after the other.

    Args:
        fitted: a classifier of clips.
        window: seconds that a decision looks back. 0: to the first frame, with the state of a network that reads
            forward alone, whose steps cost the same however long the recording is.

    Raises:
        StreamError: `window` is 0, and the network reads what is to come; or the classifier labels frames.
    """

    def __init__(self, fitted: FittedVideo, window: float) -> None:
        network = fitted.network.eval()
        if isinstance(network.classifier, StepClassifier):
            raise StreamError("every: this run labels every frame; without --every it says what happens when")
        self._learned, self._network, self._device = fitted.learned, network, fitted.device
        self._recent: deque[torch.Tensor] = deque(maxlen=max(round(window * fitted.learned.features.rate), 1))
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
        """Read the next frame of a video, uint8 (S, S, 3)."""
        assert not isinstance(self._learned.features, LandmarkFeatures)
        values = self._learned.features.of(np.ascontiguousarray(pixels)[None])
        if self._network.reader is None:
            self.read_features(self._learned.encoding.encode(values)[0].to(self._device))
            return
        frame = torch.from_numpy(values).to(self._device)[None]
        features, self._map_state = self._network.reader(frame, torch.tensor([1]), self._map_state, self._before)
        self._before = frame[:, 0]
        self.read_features(features[0, 0])

    def read_features(self, features: torch.Tensor) -> None:
        """Read the normalised features (F,) of the next frame."""
        if self._stepper is None:
            self._recent.append(features)
        else:
            self._logits, self._stepper_state = self._stepper(features[None].cpu().numpy(), self._stepper_state)

    @torch.no_grad()
    def probabilities(self) -> np.ndarray:
        """Calibrated probabilities of labels (K,) from what was read, at least a frame."""
        if self._stepper is not None:
            return self._learned.probabilities(np.asarray(self._logits).reshape(1, -1))[0]
        steps = torch.stack(list(self._recent))[None]
        logits, _ = self._network.classifier(steps, torch.tensor([steps.shape[1]]))
        return self._learned.probabilities(logits.cpu().numpy())[0]


class Watched(Predictions[list[Event]]):
    """The labels of a recording as it runs, and its events; a video is decoded when they are asked for.

    Args:
        fitted: a classifier of clips.
        clip: to watch.
        every: seconds between decisions.
        window: see `Watcher`.
        begin: see `EventTracker`.
        end: likewise.

    Raises:
        ParameterError: a parameter is out of its range.
        StreamError: see `Watcher`.
    """

    streams = True

    def __init__(self, fitted: FittedVideo, clip: Clip, every: float, window: float, begin: float, end: float) -> None:
        self._fitted, self._clip, self._every, self._window = fitted, clip, every, window
        self._thresholds = begin, end
        self._names = tuple(fitted.learned.labels.names.symbols)
        self._seen: list[Moment | Event] | None = None
        EventTracker(self._names, begin, end)
        Watcher(fitted, window)

    def run(self) -> Iterator[Moment | Event]:
        """Moments and events in the order of time, each as soon as its frames are read. Raises DataError."""
        watcher, tracker = Watcher(self._fitted, self._window), EventTracker(self._names, *self._thresholds)
        rate, seen = self._fitted.learned.features.rate, list[Moment | Event]()
        due, seconds = self._every, 0.0
        for seconds in self._read(watcher):
            if seconds + 1 / rate < due - 1e-6:
                continue
            due += self._every
            probabilities = watcher.probabilities()
            best = int(probabilities.argmax())
            seen.append(Moment(seconds, self._names[best], float(probabilities[best])))
            yield seen[-1]
            if (event := tracker.step(seconds, probabilities)) is not None:
                seen.append(event)
                yield event
        if (event := tracker.finish(seconds)) is not None:
            seen.append(event)
            yield event
        self._seen = seen

    @property
    def values(self) -> list[Event]:
        """The events. Raises DataError."""
        return [one for one in self._whole() if isinstance(one, Event)]

    def text(self, color: bool = False) -> Iterator[str]:
        for one in self.run():
            if isinstance(one, Moment):
                yield f"{one.seconds:8.2f} s  {percent(one.confidence):>5} %  {one_line(one.label)}\n"
            else:
                yield f"{one.start:8.2f} s to {one.end:.2f} s: {one_line(one.label)}\n"

    def remarks(self, color: bool = False) -> Iterator[str]:
        if not self.values:
            sure = max((one.confidence for one in self._whole() if isinstance(one, Moment)), default=0.0)
            yield (
                f"There is no event: no label reaches --begin {self._thresholds[0]:g}. The most confident decision has "
                f"{percent(sure)} %."
            )

    def write(self, path: str | Path) -> list[Path]:
        """Write events as subtitles (.srt) or a table (.csv), or moments and events (.json); see `Result.write`."""
        moments = [vars(one) for one in self._whole() if isinstance(one, Moment)]
        write_events(Path(path), {self._clip.id: self.values}, {"every": self._every, "moments": moments})
        return [Path(path)]

    def _whole(self) -> list[Moment | Event]:
        """All moments and events; the recording is read once for them all."""
        if self._seen is None:
            deque(self.run(), maxlen=0)
        return self._seen or []

    def _read(self, watcher: Watcher) -> Iterator[float]:
        """When each frame was that the watcher has just read, in seconds."""
        learned, content = self._fitted.learned, self._clip.content
        if isinstance(content, Landmarks):
            encoded, _ = learned.encode(Clips((self._clip,), self._clip.id))
            features = encoded.batch(np.arange(1)).to(self._fitted.device)
            assert isinstance(features, Steps)
            for k, row in enumerate(features.values[0]):
                watcher.read_features(row)
                yield k / learned.features.rate
            return
        assert not isinstance(learned.features, LandmarkFeatures)
        make = learned.features
        shown = shown_frames(content.path, make.size, content.frame_rate, crop=make.crop)
        for seconds, pixels in frames_at(shown, make.rate):
            watcher.read(pixels)
            yield seconds


def open_stream(fitted: FittedVideo, weights: str, look_ahead: int | None) -> MemoryStream:
    """The classifier as a stream of frames; see `VideoClassifier.open_stream`.

    Raises:
        StreamError: the classifier reads what is to come. The message says what to train instead.
    """
    learned, network = fitted.learned, fitted.network.eval()
    if look_ahead is not None:
        raise StreamError("look_ahead: this classifier streams reading forward alone; leave it out")
    first = network.classifier.networks[0] if isinstance(network.classifier, ClassifierEnsemble) else network.classifier
    if first.recurrent.bidirectional:  # pyright: ignore[reportAttributeAccessIssue]
        raise StreamError(
            "bidirectional=True: the network also reads backward, from the end of a clip, which a stream does not "
            "have. Train with --no-bidirectional."
        )
    if isinstance(learned.features, LandmarkFeatures) and learned.features.scale == "clip":
        raise StreamError(
            "scale: points are divided by the size of the body in the whole clip, which a stream does not have. Train "
            "with --scale so_far."
        )
    make, names = learned.features, learned.labels.names.symbols
    if isinstance(make, LandmarkFeatures):
        frames = _LandmarkFrames(make, learned.encoding)
    else:
        frames = _PixelFrames(make, learned.encoding, network.reader)

    def talk(inputs: np.ndarray, memory: Memory) -> Talk:
        outputs = yield Reading(frames.features(inputs[0], memory))
        probabilities = learned.probabilities(outputs[-1:])[0]
        label = names[int(probabilities.argmax())]
        return {"label": label, "probabilities": dict(zip(names, map(float, probabilities), strict=True))}

    return MemoryStream(
        Stepper(network.classifier, weights),
        frames.encode,
        talk,
        f"{frames.item}; {make.rate:g} of them are a second",
        frames.example,
        memory=frames.memory,
        depends_on=f"frames {make.to_json()} {learned.encoding.to_json()}",
    )


class _LandmarkFrames:
    """Frames of landmarks as items of a stream."""

    def __init__(self, make: LandmarkFeatures, encoding: SeriesEncoding) -> None:
        self._make, self._encoding = make, encoding
        shape = f"{make.points} points, each a list of {make.dimensions} numbers"
        self.item = f"a frame: {shape}"
        points = [[float(k)] * make.dimensions for k in range(make.points)]
        self.example: Any = points
        if make.channels:
            self.item = (
                f'a frame: {{"points": {shape}, "sensors": what they measured in its time, lists of {make.channels}}}'
            )
            self.example = {"points": points, "sensors": [[0.0] * make.channels]}
        self.memory = make.memory

    def encode(self, item: Any, state: StreamState) -> np.ndarray:
        """The points of a frame, then what sensors measured (1, N). Raises DataError."""
        make, sensors = self._make, np.zeros((0, 0), np.float32)
        if make.channels:
            if not isinstance(item, dict) or item.keys() != {"points", "sensors"}:
                raise DataError("item: expected an object with points and sensors")
            sensors, item = _numbers(item["sensors"], (-1, make.channels), "sensors"), item["points"]
        points = _numbers(item, (make.points, make.dimensions), "item")
        return np.concatenate([points.ravel(), sensors.ravel()])[None]

    def features(self, values: np.ndarray, memory: Memory) -> np.ndarray:
        """What the network reads of a frame (1, F)."""
        make = self._make
        count = make.points * make.dimensions
        sensors = values[count:].reshape(-1, make.channels) if make.channels else None
        features = make.step(values[:count].reshape(make.points, make.dimensions), sensors, memory)
        return self._encoding.encode(features[None]).numpy()


class _PixelFrames:
    """Frames of videos as items of a stream."""

    item = "a frame: the bytes of an image file, such as JPEG or PNG, in base64"

    def __init__(
        self,
        make: Frames | FrameFeatures | FrameMaps,
        encoding: SeriesEncoding,
        reader: FrameReader | MapReader | None,
    ) -> None:
        self._make, self._encoding, self._size, self._reader = make, encoding, make.size, reader
        own = {"count": 1}
        if reader is not None and reader.differences:
            own["before"] = make.size**2 * 3
        self._maps = () if reader is None else reader.state_shapes
        own |= {f"map {k}": int(np.prod(shape)) for k, shape in enumerate(self._maps)}
        self.memory = tuple(own.items())
        self.example = _BLACK

    def encode(self, item: Any, state: StreamState) -> np.ndarray:
        """The pixels of a frame (1, N). Raises DataError."""
        if not isinstance(item, str):
            raise DataError("item: expected the bytes of an image file in base64, as text")
        try:
            content = base64.b64decode(item, validate=True)
        except (binascii.Error, ValueError):
            raise DataError("item: this text is not base64") from None
        return read_frame(content, self._size, "item", self._make.crop).astype(np.float32).reshape(1, -1)

    @torch.no_grad()
    def features(self, values: np.ndarray, memory: Memory) -> np.ndarray:
        """What the network reads of a frame (1, F)."""
        side = (1, self._size, self._size, 3)
        read = self._make.of(values.astype(np.uint8).reshape(side))
        if self._reader is None:
            return self._encoding.encode(read).numpy()
        device = next(self._reader.parameters()).device
        frame = torch.from_numpy(read).to(device)
        before, state = None, None
        if memory["count"][0]:
            if "before" in memory:
                before = torch.from_numpy(memory["before"].astype(np.uint8)).reshape(side).to(device)
            maps = (memory[f"map {k}"].reshape(shape) for k, shape in enumerate(self._maps))
            state = tuple(torch.from_numpy(one.copy()).to(device) for one in maps) or None
        features, state = self._reader(frame[None], torch.tensor([1]), state, before)
        memory["count"][:] = 1
        if "before" in memory:
            memory["before"][:] = values
        for k, one in enumerate(state or ()):
            memory[f"map {k}"][:] = one.cpu().numpy().ravel()
        return features[0].cpu().numpy()


def _numbers(value: Any, shape: tuple[int, int], name: str) -> np.ndarray:
    """Lists of numbers as an array (N, M) float32; N may be -1, any number from 1. Raises DataError."""
    rows = value if isinstance(value, list) else []
    fits = all(isinstance(row, list) and len(row) == shape[1] for row in rows) and shape[0] in (-1, len(rows))
    if not rows or not fits or not all(type(one) in (int, float) for row in rows for one in row):
        count = "" if shape[0] < 0 else f"{shape[0]} "
        raise DataError(f"{name}: expected {count}lists of {shape[1]} numbers")
    try:
        numbers = np.array(rows, np.float64)
    except OverflowError:
        raise DataError(f"{name}: expected finite numbers") from None
    if not (np.abs(numbers) < _LARGEST).all():
        raise DataError(f"{name}: expected finite numbers of single precision")
    return numbers.astype(np.float32)
