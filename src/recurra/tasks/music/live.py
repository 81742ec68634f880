"""A model of music as a stream: music without end, in time, and what it says of notes as they come."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from recurra.data.music.event_rules import ENDLESS, EventRules
from recurra.data.music.live import LiveFrame, LiveMusic, frames_of_notes, frames_of_rolls, open_port
from recurra.data.music.open_rules import OpenRules
from recurra.data.music.options import MusicSampling
from recurra.data.music.piece import Piece
from recurra.data.music.pitches import LOWEST, NOTES
from recurra.errors import DataError, ParameterError
from recurra.models.events import choose_event, stream_events
from recurra.models.frames import stream_frames
from recurra.streaming import Memory, MemoryStream, Reading, Stepper, StreamState, Talk
from recurra.task import Result
from recurra.tasks.music.events import FittedEvents, events_of
from recurra.tasks.music.generation import GeneratedPiece, free_notes, log_odds_shift, opening_of
from recurra.tasks.music.training import FittedFrames, FittedMusic, frames_of
from recurra.text_table import number_of

__all__ = ["EndlessMusic", "open_stream", "play"]

_MOST = 5000  # frames or events of an item
_LIKELIEST = 5  # events that a stream names
_MOST_SEED = 2**53  # the whole numbers that JSON has exactly
_HIGHEST = LOWEST + NOTES - 1


def play(
    fitted: FittedMusic, opening: Piece | None, length: int | None, seed: int, sampling: MusicSampling, port: str | None
) -> "EndlessMusic":
    """Music in time, which follows an opening that is not played itself.

    Args:
        fitted: the model.
        opening: what the model reads before. None: silence.
        length: frames. None: it never ends.
        seed: of the random generator.
        sampling: how notes are sampled.
        port: part of the name of the MIDI port that plays it. None: there is none.

    Raises:
        ParameterError: there is no such port.
        MissingExtraError: python-rtmidi is not installed.
    """
    output = None if port is None else open_port(port)
    before = opening_of(fitted) if opening is None else opening
    grid = before.grid if not before.tempi else replace(before.grid, tempo=before.tempi[-1][1])
    programs: tuple[int, ...] | None = None
    if (model := events_of(fitted)) is not None:
        frames, programs = _frames_of_events(model, before, length, seed, sampling), _programs(model, before)
    else:
        shift = log_odds_shift(sampling)
        rolls = stream_frames(
            frames_of(fitted).network, before.roll, seed, temperature=sampling.temperature, shift=shift
        )
        frames = frames_of_rolls(islice(rolls, length))
    # What comes before is read while no time passes.
    played = chain([next(frames)], frames)
    return EndlessMusic(LiveMusic(played, grid, programs, None if output is None else output.send_message))


def _frames_of_events(
    model: FittedEvents, before: Piece, length: int | None, seed: int, sampling: MusicSampling
) -> Iterator[LiveFrame]:
    vocabulary, first = model.learned.vocabulary, before.length
    end = ENDLESS if length is None else first + length
    rules = EventRules(vocabulary, vocabulary.fit(before), end, free_notes(model, sampling), first)
    frames = stream_events(
        model.network,
        vocabulary.token("end"),
        rules,
        first,
        seed,
        temperature=sampling.temperature,
        top_k=sampling.top_k,
        top_p=sampling.top_p,
        density=sampling.density,
    )
    named = ((notes, None if tempo < 0 else float(vocabulary.tempi[tempo])) for notes, tempo in frames)
    return frames_of_notes(named, first)


def _programs(model: FittedEvents, before: Piece) -> tuple[int, ...]:
    """The instrument of each voice: that of the track which has it in what comes before, else its own."""
    vocabulary = model.learned.vocabulary
    programs = [program for program, _ in vocabulary.voices]
    tracks = (0,) if before.tracks is None else before.tracks.programs
    for program, voice in reversed(list(zip(tracks, vocabulary.voices_for(before), strict=True))):
        programs[voice] = program
    return tuple(programs)


class EndlessMusic(Result):
    """Music that is sampled while it sounds: the text is a line of JSON for each event, half a second before its time.

    Args:
        live: what plays it.

    Attributes:
        pieces: none, as the music has no end.
    """

    streams = True

    def __init__(self, live: LiveMusic) -> None:
        self.live = live
        self.pieces: list[GeneratedPiece] = []

    def text(self, color: bool = False) -> Iterator[str]:
        yield from self.live

    def remarks(self, color: bool = False) -> Iterator[str]:
        live = self.live
        late = (
            f"; {number_of(live.late, 'frame')} came too late: sampling took longer than a frame lasts"
            if live.late
            else ""
        )
        yield f"{number_of(live.frames_played, 'frame')}, {number_of(live.notes_played, 'note')}{late}"

    def write(self, path: str | Path) -> list[Path]:
        """Refuse to: music without end has no file. Raises ParameterError."""
        raise ParameterError("out", "None with endless, which writes lines to standard output", str(path))


class _Sampling(NamedTuple):
    """How what follows an item is sampled.

    Attributes:
        seed: of the random numbers; -1: nothing is sampled.
        temperature: see `MusicSampling`.
    """

    seed: float = -1
    temperature: float = 1

    @classmethod
    def of(cls, item: dict[str, Any]) -> "_Sampling":
        """As an item says. Raises DataError."""
        seed, temperature = item.get("seed"), item.get("temperature", 1)
        if seed is not None and not (_is_whole(seed) and 0 <= seed < _MOST_SEED):
            raise DataError(f"seed: expected a whole number from 0 to {_MOST_SEED - 1}, got {seed!r}.")
        if isinstance(temperature, bool) or not isinstance(temperature, int | float) or not 0 <= temperature <= 1e6:
            raise DataError(f"temperature: expected a number from 0 to 1,000,000, got {temperature!r}.")
        return cls(-1 if seed is None else seed, temperature)

    def with_steps(self, steps: np.ndarray) -> np.ndarray:
        """The inputs of an item, (2 + size of the steps,) in double precision."""
        return np.concatenate([np.array(self, np.float64), steps.ravel()])

    def random(self) -> np.random.Generator:
        return np.random.default_rng(int(self.seed))


def open_stream(fitted: FittedMusic, weights: str) -> MemoryStream:
    """The model as a stream; see `MusicModel.open_stream`."""
    model = events_of(fitted)
    return _open_frames(frames_of(fitted), weights) if model is None else _open_events(model, weights)


def _open_frames(fitted: FittedFrames, weights: str) -> MemoryStream:
    network = fitted.network.eval()
    stepper = Stepper(network.recurrent, weights)
    distribution = copy.deepcopy(network.distribution).cpu()
    silence = np.zeros((1, NOTES), np.float32)  # comes before the first frame
    first, _ = stepper(silence[:, None], stepper.new_state())
    free, unshifted = torch.full((1, NOTES), -1.0), torch.zeros(NOTES)

    def sample(features: Tensor, uniform: np.ndarray, temperature: float) -> Tensor:
        random = torch.from_numpy(uniform.astype(np.float32))
        return distribution.sample(features, random, free, unshifted, temperature)[0]

    def talk(inputs: np.ndarray, memory: Memory) -> Talk:
        sampling, frames = _Sampling(*inputs[:2]), inputs[2:].reshape(-1, NOTES).astype(np.float32)
        before = memory["features"][None] if memory["begun"][0] else first[:, 0]
        features = before
        if len(frames):
            features = np.concatenate([before, (yield Reading(frames))])
            memory["features"][:], memory["begun"][0] = features[-1], 1
        with torch.no_grad():
            read, after = torch.from_numpy(features[:-1].copy()), torch.from_numpy(features[-1:].copy())
            surprise = distribution.surprise(read, torch.from_numpy(frames)).sum(1)
            expected = sample(after, np.zeros((1, NOTES)), 0)
            result = {
                "surprise": surprise.tolist(),
                "expected": _pitches(expected),
                "probabilities": distribution.logits(after, expected).sigmoid()[0].tolist(),
            }
            if sampling.seed >= 0:
                uniform = sampling.random().random((1, NOTES))
                result["sampled"] = _pitches(sample(after, uniform, sampling.temperature))
        return result

    return MemoryStream(
        stepper,
        lambda item, state: _frames_of_item(item),
        talk,
        "the next frames, in each the MIDI pitches that sound; with a seed the frame after them is sampled",
        {"frames": [[60, 64, 67]], "seed": 1},
        silence,
        memory=(("begun", 1), ("features", first.shape[-1])),
    )


def _frames_of_item(item: Any) -> np.ndarray:
    """The inputs of an item of frames. Raises DataError."""
    frames = item.get("frames") if isinstance(item, dict) else None
    if not isinstance(frames, list) or not all(isinstance(frame, list) for frame in frames):
        raise DataError('an item: expected {"frames": [[60, 64, 67], ...]}, MIDI pitches in a list for each frame.')
    _check_count("frames", len(frames))
    roll = np.zeros((len(frames), NOTES))
    for frame, pitches in enumerate(frames):
        for pitch in pitches:
            if not _is_whole(pitch) or not LOWEST <= pitch <= _HIGHEST:
                raise DataError(f"frames: expected MIDI pitches from {LOWEST} to {_HIGHEST}, got {pitch!r}.")
            roll[frame, pitch - LOWEST] = 1
    return _Sampling.of(item).with_steps(roll)


def _open_events(model: FittedEvents, weights: str) -> MemoryStream:
    vocabulary, stepper = model.learned.vocabulary, Stepper(model.network.eval(), weights)
    rules, end = OpenRules(vocabulary), np.array([vocabulary.token("end")])
    names = [vocabulary.name(token) for token in range(len(vocabulary))]
    tokens_of = {name: token for token, name in enumerate(names)}
    first, _ = stepper(end[:, None], stepper.new_state())

    def read(item: Any, state: StreamState) -> np.ndarray:
        events = item.get("events") if isinstance(item, dict) else None
        if not isinstance(events, list):
            raise DataError('an item: expected {"events": ["bar", "position 0", ...]}, the names of events.')
        _check_count("events", len(events))
        written, tokens = rules.state_of(stream.memory_of(state)["rules"]), []
        for name in events:
            token = tokens_of.get(name, -1) if isinstance(name, str) else -1
            allowed = rules.allowed(written)
            if token < 0 or not allowed[token]:
                kinds = dict.fromkeys(vocabulary.kinds[one] for one in np.flatnonzero(allowed).tolist())
                example = names[int(np.flatnonzero(allowed)[0])]
                raise DataError(f"events: expected here one of {', '.join(kinds)}, such as {example!r}; got {name!r}.")
            rules.read(written, token)
            tokens.append(token)
        return _Sampling.of(item).with_steps(np.array(tokens, np.float64))

    def talk(inputs: np.ndarray, memory: Memory) -> Talk:
        sampling, tokens = _Sampling(*inputs[:2]), inputs[2:].astype(np.int64)
        likely = memory["log_probabilities"][None] if memory["begun"][0] else first[:, 0]
        written = rules.state_of(memory["rules"])
        if len(tokens):
            likely = np.concatenate([likely, (yield Reading(tokens))])
            for token in tokens.tolist():
                rules.read(written, token)
            memory["rules"][:] = rules.numbers(written)
            memory["log_probabilities"][:], memory["begun"][0] = likely[-1], 1
        allowed, after = rules.allowed(written), likely[-1].astype(np.float64)
        ranked = np.argsort(np.where(allowed, -after, np.inf), kind="stable")[: min(_LIKELIEST, int(allowed.sum()))]
        result: dict[str, Any] = {
            "surprise": (-likely[np.arange(len(tokens)), tokens]).tolist(),
            "next": [{"event": names[k], "probability": float(np.exp(after[k]))} for k in ranked.tolist()],
        }
        if sampling.seed >= 0:
            result["sampled"] = names[choose_event(after, allowed, sampling.random(), sampling.temperature, 0, 1.0)]
        return result

    begins = (vocabulary.token(kind) for kind in ("meter", "tempo", "bar", "position"))
    stream = MemoryStream(
        stepper,
        read,
        talk,
        "the next events, by their names, in the order of a piece; with a seed the event after them is sampled",
        {"events": [names[token] for token in begins if token >= 0], "seed": 1},
        end,
        memory=(("begun", 1), ("log_probabilities", len(vocabulary)), ("rules", rules.size)),
        depends_on=f"{vocabulary}",
    )
    return stream


def _check_count(name: str, count: int) -> None:
    if count > _MOST:
        raise DataError(f"{name}: {count:,}, expected at most {_MOST:,} in an item.")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _pitches(frame: Tensor) -> list[int]:
    """The MIDI pitches of a frame (1, 88), from the lowest."""
    return [LOWEST + note for note in frame[0].nonzero().flatten().tolist()]
