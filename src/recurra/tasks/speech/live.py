"""Transcription of samples as they come, with memory that does not grow."""

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from recurra.data.audio.normalization import SlidingMean
from recurra.data.audio.timed_words import Segment
from recurra.data.audio.utterances import Utterance
from recurra.errors import StreamError
from recurra.streaming import Stepper
from recurra.tasks.speech.transcription import (
    AnyFitted,
    in_seconds,
    make_decoder,
    make_greedy_stream,
    normalization_of,
    spelling_of,
)

if TYPE_CHECKING:
    from recurra.tasks.speech.recognizer import Search

__all__ = ["LiveTranscriber"]

_HEARD_AGAIN = 8  # steps before a pause ends that the network reads anew
_CHUNK_SECONDS = 1.0


class LiveTranscriber:
    """Samples in chunks of any size to segments, as they end; the result does not depend on the chunks.

    An utterance ends after a pause, or when it is too long; its last word then begins the next one. After a pause the
    network starts anew with the last steps, as it was trained on recordings that begin with silence.

    Args:
        fitted: a recogniser without `bidirectional`.
        pause: seconds without a unit that end an utterance.
        longest: seconds of an utterance at most.
        search: how the text of an utterance is searched for when it ends; None: the best unit at each step.
        stepper: the network's, to share among streams; None: a new one.

    Raises:
        StreamError: the network reads backward.
    """

    def __init__(
        self,
        fitted: AnyFitted,
        pause: float = 0.8,
        longest: float = 20.0,
        search: "Search | None" = None,
        stepper: Stepper | None = None,
    ) -> None:
        if fitted.options["bidirectional"]:
            raise StreamError(
                "this recogniser reads recordings backward too, from their end, which a stream does not have. Train "
                "one with --no-bidirectional, or name a recording."
            )
        learned = fitted.learned
        self._tokens, self._factor = spelling_of(learned.alphabet), fitted.options["subsampling"]
        self._sample_rate, self._bins = learned.log_mel.sample_rate, learned.log_mel.feature_size
        self._step_seconds = self._factor * learned.log_mel.frame_seconds
        self._pause = max(1, round(pause / self._step_seconds))
        self._longest = max(self._pause + 1, round(longest / self._step_seconds))
        self._features = learned.log_mel.stream()
        normalization = normalization_of(fitted)
        self._normalized = normalization.stream().accept if isinstance(normalization, SlidingMean) else normalization
        self._stepper = Stepper(fitted.network) if stepper is None else stepper
        self._state = self._stepper.new_state()
        self._delay = fitted.network.delay
        self._frames = np.zeros((0, self._bins), np.float32)
        self._recent: deque[np.ndarray] = deque(maxlen=self._delay + _HEARD_AGAIN)
        self._skipped = self._delay
        self._search = make_greedy_stream(fitted.network)
        # With a beam, what the network put out for the utterance, from a step on.
        self._decoder = None
        if search is not None and not search.is_greedy:
            self._decoder = make_decoder(fitted.network, learned.alphabet, search, self._step_seconds)
        self._scores: list[np.ndarray] = []
        self._scores_begin = self._ended_at = 0

    @property
    def partial(self) -> Segment:
        """What has been written of the utterance that has not ended."""
        return in_seconds(self._tokens.words(self._search.emissions), self._step_seconds)

    def accept(self, samples: np.ndarray) -> list[Segment]:
        """Read samples (n,) at the network's rate; returns the utterances that end in them."""
        frames = self._normalized(self._features.accept(samples))
        return self._read(np.concatenate([self._frames, frames]))

    def finish(self) -> list[Segment]:
        """The end of the samples; returns the utterances that end there."""
        missing = -len(self._frames) % self._factor + self._delay * self._factor
        segments = self._read(np.concatenate([self._frames, np.zeros((missing, self._bins), np.float32)]))
        return [*segments, *self._ended(len(self._search.emissions))]

    def whole(self, utterance: Utterance) -> Iterator[Segment]:
        """The segments of a recording. Raises DataError."""
        samples = utterance.read(self._sample_rate).samples
        size = round(_CHUNK_SECONDS * self._sample_rate)
        for start in range(0, len(samples), size):
            yield from self.accept(samples[start : start + size])
        yield from self.finish()

    def _read(self, frames: np.ndarray) -> list[Segment]:
        count = len(frames) // self._factor
        self._frames = frames[count * self._factor :]
        steps = frames[: count * self._factor].reshape(count, 1, self._factor * self._bins)
        segments: list[Segment] = []
        while len(steps):
            # No further than to where the utterance may end: the result does not depend on the chunks.
            size = min(len(steps), self._steps_to_endpoint())
            self._advance(steps[:size])
            self._recent.extend(steps[:size])
            segments += self._at_endpoint()
            steps = steps[size:]
        return segments

    def _advance(self, steps: np.ndarray) -> None:
        outputs, self._state = self._stepper(np.ascontiguousarray(steps), self._state)
        early = min(self._skipped, len(outputs))
        self._skipped -= early
        self._search.accept(outputs[early:, 0])
        if self._decoder is not None:
            self._scores.append(outputs[early:, 0])
            if not self._search.emissions:
                self._forget_silence()

    def _steps_to_endpoint(self) -> int:
        """Steps until the utterance can end."""
        if not self._search.emissions:
            return self._pause
        silent = self._pause - self._search.blank_steps
        return min(silent, self._search.emissions[0].start + self._longest + 1 - self._search.step) + self._skipped

    def _at_endpoint(self) -> list[Segment]:
        emissions = self._search.emissions
        if emissions and self._search.blank_steps >= self._pause:
            segments = self._ended(len(emissions))
            self._start_anew()
            return segments
        if emissions and self._search.step - emissions[0].start > self._longest:
            begins = [k for k, one in enumerate(emissions) if k and self._tokens.divides(one.token)]
            return self._ended(begins[-1] if begins else len(emissions))
        return []

    def _ended(self, count: int) -> list[Segment]:
        """The segment of the first emissions, which are then forgotten."""
        emissions = self._search.emissions
        if not emissions:
            return []
        if self._decoder is None:
            segment = in_seconds(self._tokens.words(emissions[:count]), self._step_seconds)
        else:
            # From a pause before the first unit on, however the samples came.
            begin = max(self._ended_at, emissions[0].start - self._pause)
            self._ended_at = emissions[count].start if count < len(emissions) else self._search.step
            scores = np.concatenate(self._scores)
            first, last = begin - self._scores_begin, self._ended_at - self._scores_begin
            segment = self._decoder([scores[first:last]])[0].later(begin * self._step_seconds)
            self._scores, self._scores_begin = [scores[last:]], self._ended_at
        del emissions[:count]
        return [segment] if segment.words else []

    def _forget_silence(self) -> None:
        """Drop all but the last seconds before an utterance: memory does not grow in silence."""
        scores = np.concatenate(self._scores)
        begin = max(0, len(scores) - self._pause)
        self._scores, self._scores_begin = [scores[begin:]], self._scores_begin + begin

    def _start_anew(self) -> None:
        """Begin with the first state, and read the last steps again: a word may have begun in them."""
        self._state = self._stepper.new_state()
        self._stepper(np.ascontiguousarray(np.stack([*self._recent])), self._state)
        self._search.start_anew()
