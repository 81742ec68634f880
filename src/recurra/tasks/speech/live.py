"""Transcription of samples as they come, with memory that does not grow: of one stream, or of many as sessions."""

from collections import deque
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.data.audio.json_samples import SAMPLES, read_json_samples
from recurra.data.audio.normalization import SlidingMean
from recurra.data.audio.timed_words import Segment
from recurra.data.audio.utterances import Utterance
from recurra.errors import StreamError
from recurra.models.decoding import TimedToken
from recurra.streaming import Memory, MemoryStream, Reading, Stepper, StreamState, Talk
from recurra.tasks.speech.transcription import (
    AnyFitted,
    Spelling,
    make_decoder,
    make_greedy_stream,
    normalization_of,
)

if TYPE_CHECKING:
    from recurra.tasks.speech.recognizer import Search

__all__ = ["LONGEST", "PAUSE", "LiveTranscriber", "open_stream"]

PAUSE, LONGEST = 0.8, 20.0  # seconds of silence that end an utterance, and of an utterance at most
_HEARD_AGAIN = 8  # steps before a pause ends that the network reads anew
_CHUNK_SECONDS = 1.0
_EXAMPLE_SECONDS = 0.1
_BASE = 2**20  # two whole numbers below this, which float32 holds exactly, count 10^12 steps


class _Listener:
    """What the streams of a recogniser have in common.

    Args:
        fitted: a recogniser without `bidirectional`.
        pause: seconds without a unit that end an utterance.
        longest: seconds of an utterance at most.
        search: how the text of an utterance is searched for when it ends; None: the best unit at each step.
        weights: how the stepper stores them.

    Raises:
        StreamError: the network reads backward.
    """

    def __init__(
        self,
        fitted: AnyFitted,
        pause: float,
        longest: float,
        search: "Search | None",
        weights: str = "float32",
    ) -> None:
        if fitted.options["bidirectional"]:
            raise StreamError(
                "this recogniser reads recordings backward too, from their end, which a stream does not have. Train "
                "one with --no-bidirectional, or name a recording."
            )
        self.network, self.spelling = fitted.network, Spelling.of(fitted)
        self.stepper = Stepper(fitted.network, weights)
        self.log_mel, self.normalization = fitted.learned.log_mel, normalization_of(fitted)
        self.factor, self.delay = fitted.options["subsampling"], fitted.network.delay
        self.pause = max(1, round(pause / self.spelling.step_seconds))
        self.longest = max(self.pause + 1, round(longest / self.spelling.step_seconds))
        self.output_size = self.stepper.program.output_size
        is_greedy = search is None or search.is_greedy
        self.decoder = None if is_greedy else make_decoder(fitted.network, self.spelling, search)

    @property
    def recent_steps(self) -> int:
        """The steps that the network reads anew after a pause."""
        return self.delay + _HEARD_AGAIN

    def memory(self) -> tuple[tuple[str, int], ...]:
        """The arrays of what a stream has heard; see `_Heard.save`."""
        features, search = self.log_mel.feature_size, make_greedy_stream(self.network)
        parts = {
            "counts": 8,
            "step": 2,
            "samples": self.log_mel.window - 1,
            "frames": (self.factor - 1) * features,
            "recent": self.recent_steps * self.factor * features,
            "emissions": 5 * search.max_symbols * (self.longest + 2),
            "search": search.memory_size,
        }
        if isinstance(self.normalization, SlidingMean):
            parts |= {"mean_frames": self.normalization.window * features, "mean_total": 3 * features}
        if self.decoder is not None:
            parts |= {"ended": 1, "scores": (2 * self.pause + self.longest + 2) * self.output_size}
        return tuple(parts.items())


class _Heard:
    """What one stream has heard so far: all but the state of the network."""

    def __init__(self, listener: _Listener) -> None:
        features = listener.log_mel.feature_size
        self._listener = listener
        self._samples = np.zeros(0, np.float32)  # that no frame has begun after
        self._frames = np.zeros((0, features), np.float32)  # normalised, of the step that is incomplete
        normalization = listener.normalization
        self._mean = normalization.stream() if isinstance(normalization, SlidingMean) else None
        self._recent: deque[np.ndarray] = deque(maxlen=listener.recent_steps)
        self._skipped = listener.delay  # of the first outputs those that are still to be left out
        self._search = make_greedy_stream(listener.network)
        # With a beam, what the network put out for the utterance up to the present.
        self._scores = np.zeros((0, listener.output_size), np.float32)
        self._ended_at = 0

    @property
    def partial(self) -> Segment:
        """What has been written of the utterance that has not ended."""
        return self._listener.spelling.segment(self._search.emissions)

    def accept(self, samples: np.ndarray) -> Generator[Reading, np.ndarray, list[Segment]]:
        """Read samples (n,) at the network's rate; returns the utterances that end in them. A `Talk`."""
        log_mel, waiting = self._listener.log_mel, np.concatenate([self._samples, samples])
        count = log_mel.frames(len(waiting))
        self._samples = waiting[count * log_mel.shift :]
        if not count:
            return []
        features = log_mel(waiting)
        frames = self._listener.normalization(features) if self._mean is None else self._mean.accept(features)
        return (yield from self._read(np.concatenate([self._frames, frames])))

    def finish(self) -> Generator[Reading, np.ndarray, list[Segment]]:
        """The end of the samples; returns the utterances that end there. A `Talk`."""
        factor = self._listener.factor
        missing = -len(self._frames) % factor + self._listener.delay * factor
        silence = np.zeros((missing, self._listener.log_mel.feature_size), np.float32)
        segments = yield from self._read(np.concatenate([self._frames, silence]))
        return [*segments, *self._ended(len(self._search.emissions))]

    def _read(self, frames: np.ndarray) -> Generator[Reading, np.ndarray, list[Segment]]:
        factor = self._listener.factor
        count = len(frames) // factor
        self._frames = frames[count * factor :]
        steps = frames[: count * factor].reshape(count, factor * frames.shape[1])
        segments: list[Segment] = []
        while len(steps):
            # No further than to where the utterance may end: the result does not depend on the chunks.
            now, steps = np.split(steps, [min(len(steps), self._steps_to_endpoint())])
            outputs = yield Reading(now, anew=not self._recent)
            self._advance(outputs)
            self._recent.extend(now)
            emissions = self._search.emissions
            if emissions and self._search.blank_steps >= self._listener.pause:
                segments += self._ended(len(emissions))
                # The network begins anew, and reads the last steps again: a word may have begun in them.
                yield Reading(np.stack([*self._recent]), anew=True)
                self._search.start_anew()
            elif emissions and self._search.step - emissions[0].start > self._listener.longest:
                begins = [
                    k for k, one in enumerate(emissions) if k and self._listener.spelling.tokens.divides(one.token)
                ]
                segments += self._ended(begins[-1] if begins else len(emissions))
        return segments

    def _advance(self, outputs: np.ndarray) -> None:
        early = min(self._skipped, len(outputs))
        self._skipped -= early
        self._search.accept(outputs[early:])
        if self._listener.decoder is not None:
            self._scores = np.concatenate([self._scores, outputs[early:]])
            if not self._search.emissions:
                # All but the last seconds before an utterance is dropped: memory does not grow in silence.
                self._scores = self._scores[-self._listener.pause :]

    def _steps_to_endpoint(self) -> int:
        """Steps until the utterance can end."""
        search, pause = self._search, self._listener.pause
        if not search.emissions:
            return pause
        until_longest = search.emissions[0].start + self._listener.longest + 1 - search.step
        return min(pause - search.blank_steps, until_longest) + self._skipped

    def _ended(self, count: int) -> list[Segment]:
        """The segment of the first emissions, which are then forgotten."""
        emissions, listener = self._search.emissions, self._listener
        if not emissions:
            return []
        if listener.decoder is None:
            segment = listener.spelling.segment(emissions[:count])
        else:
            # From a pause before the first unit on, however the samples came.
            begin = max(self._ended_at, emissions[0].start - listener.pause)
            self._ended_at = emissions[count].start if count < len(emissions) else self._search.step
            scores_begin = self._search.step - len(self._scores)
            first, last = begin - scores_begin, self._ended_at - scores_begin
            segment = listener.decoder([self._scores[first:last]])[0][0].later(begin * listener.spelling.step_seconds)
            self._scores = self._scores[last:]
        del emissions[:count]
        return [segment] if segment.words else []

    def save(self, memory: Memory) -> None:
        """Write all into the arrays of `_Listener.memory`; a stream that has heard nothing writes zeros."""
        search, mean = self._search, self._mean
        memory["counts"][:] = (
            len(self._samples),
            len(self._frames),
            len(self._recent),
            len(search.emissions),
            self._listener.delay - self._skipped,
            min(search.blank_steps, self._listener.pause),  # more than a pause is a pause
            0 if mean is None else mean.count,
            len(self._scores),
        )
        memory["step"][:] = divmod(search.step, _BASE)
        # Where they are, counted back from the present: small numbers.
        emissions = [
            (one.token, search.step - one.start, search.step - one.end, search.step - one.peak, one.log_prob)
            for one in search.emissions
        ]
        arrays = {
            "samples": self._samples,
            "frames": self._frames,
            "recent": np.array([*self._recent], np.float32),
            "emissions": np.array(emissions, np.float32),
            "search": search.save(),
        }
        if mean is not None:
            arrays |= {"mean_frames": mean.recent, "mean_total": _split(mean.total)}
        if self._listener.decoder is not None:
            arrays["scores"] = self._scores
            memory["ended"][:] = min(search.step - self._ended_at, _BASE)
        for name, values in arrays.items():
            memory[name][:] = 0
            memory[name][: values.size] = values.reshape(-1)

    @classmethod
    def load(cls, listener: _Listener, memory: Memory) -> "_Heard":
        """What `save` wrote."""
        heard = cls(listener)
        samples, frames, recent, emissions, skipped, blank_steps, seen, scores = map(int, memory["counts"])
        features, search = listener.log_mel.feature_size, heard._search
        heard._samples = memory["samples"][:samples].copy()
        heard._frames = memory["frames"][: frames * features].reshape(frames, features).copy()
        size = listener.factor * features
        heard._recent.extend(memory["recent"][: recent * size].reshape(recent, size).copy())
        heard._skipped = listener.delay - skipped
        search.step = int(memory["step"] @ np.array([_BASE, 1], np.float64))
        search.blank_steps = blank_steps
        search.load(memory["search"])
        for token, start, end, peak, log_prob in memory["emissions"].reshape(-1, 5)[:emissions].tolist():
            start, end, peak = (search.step - int(one) for one in (start, end, peak))
            search.emissions.append(TimedToken(int(token), start, end, peak, log_prob))
        if heard._mean is not None:
            heard._mean.count = seen
            heard._mean.recent = memory["mean_frames"].reshape(-1, features).copy()
            heard._mean.total = memory["mean_total"].reshape(3, -1).astype(np.float64).sum(axis=0)
        if listener.decoder is not None:
            heard._ended_at = search.step - int(memory["ended"][0])
            heard._scores = (
                memory["scores"][: scores * listener.output_size].reshape(scores, listener.output_size).copy()
            )
        return heard


def _split(values: np.ndarray) -> np.ndarray:
    """Numbers (N,) of float64 as three of float32 (3, N), whose sum they are exactly."""
    high = values.astype(np.float32)
    middle = (values - high).astype(np.float32)
    return np.stack([high, middle, (values - high - middle).astype(np.float32)])


class LiveTranscriber:
    """Samples in chunks of any size to segments, as they end; the result does not depend on the chunks.

    An utterance ends after a pause, or when it is too long; its last word then begins the next one. After a pause the
    network starts anew with the last steps, as it was trained on recordings that begin with silence.

    Args:
        fitted: a recogniser without `bidirectional`.
        pause: seconds without a unit that end an utterance.
        longest: seconds of an utterance at most.
        search: how the text of an utterance is searched for when it ends; None: the best unit at each step.

    Raises:
        StreamError: the network reads backward.
    """

    def __init__(
        self,
        fitted: AnyFitted,
        pause: float = PAUSE,
        longest: float = LONGEST,
        search: "Search | None" = None,
    ) -> None:
        self._listener = _Listener(fitted, pause, longest, search)
        self._heard, self._state = _Heard(self._listener), self._listener.stepper.new_state()

    @property
    def partial(self) -> Segment:
        """What has been written of the utterance that has not ended."""
        return self._heard.partial

    def accept(self, samples: np.ndarray) -> list[Segment]:
        """Read samples (n,) at the network's rate; returns the utterances that end in them."""
        return self._hold(self._heard.accept(samples))

    def finish(self) -> list[Segment]:
        """The end of the recording; returns the utterances that end there. Samples after it are of another one."""
        segments = self._hold(self._heard.finish())
        self._heard = _Heard(self._listener)
        return segments

    def whole(self, utterance: Utterance) -> Iterator[Segment]:
        """The segments of a recording. Raises DataError."""
        rate = self._listener.log_mel.sample_rate
        samples, size = utterance.read(rate).samples, round(_CHUNK_SECONDS * rate)
        for start in range(0, len(samples), size):
            yield from self.accept(samples[start : start + size])
        yield from self.finish()

    def _hold(self, talk: Talk) -> list[Segment]:
        """Let the network read what a talk asks for. Returns its result."""
        outputs: Any = None
        while True:
            try:
                asked = talk.send(outputs)
            except StopIteration as end:
                return end.value
            if asked.anew:
                self._state.reset()
            outputs = self._listener.stepper(np.ascontiguousarray(asked.steps[:, None]), self._state)[0][:, 0]


def open_stream(fitted: AnyFitted, weights: str, search: "Search | None", pause: float, longest: float) -> MemoryStream:
    """The recogniser as a stream of samples; see `SpeechRecognizer.open_stream`. Raises StreamError."""
    listener = _Listener(fitted, pause, longest, search, weights)
    rate, row = listener.log_mel.sample_rate, listener.log_mel.shift

    def read(item: Any, _: StreamState) -> np.ndarray:
        """Rows (T, 1 + S) of the samples of a shift each, after their number; None: no rows."""
        samples = np.zeros(0, np.float32) if item is None else read_json_samples(item)
        rows = np.zeros((-(-len(samples) // row), 1 + row), np.float32)
        if len(rows):
            rows[:, 0] = row
            rows[-1, 0] = len(samples) - row * (len(rows) - 1)
            rows[:, 1:] = np.pad(samples, (0, rows[:, 1:].size - len(samples))).reshape(-1, row)
        return rows

    def talk(rows: np.ndarray, memory: Memory) -> Talk:
        heard = _Heard.load(listener, memory)
        if len(rows):
            samples = rows[:, 1:].reshape(-1)[: int(rows[:, 0].sum())]
            final = yield from heard.accept(samples)
        else:
            final = yield from heard.finish()
            heard = _Heard(listener)
        heard.save(memory)
        return {"partial": heard.partial.to_json(), "final": [segment.to_json() for segment in final]}

    return MemoryStream(
        listener.stepper,
        read,
        talk,
        f"samples at {rate:,} a second, {SAMPLES}; or null to end the recording",
        [0.0] * round(_EXAMPLE_SECONDS * rate),
        memory=listener.memory(),
        depends_on=f"speech, {listener.pause} {listener.longest} steps, {search}",
        takes_none=True,
    )
