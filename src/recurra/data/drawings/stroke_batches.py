"""Padded batches of drawings, and the next points that a network is to expect."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from recurra.data.batches.batch import WHOLE, Batch, Partition
from recurra.data.batches.buckets import Buckets, collate
from recurra.data.batches.ignored import IGNORED

__all__ = [
    "ENDED",
    "POINT_SIZE",
    "NextPoints",
    "StrokeBatches",
    "Strokes",
    "code_noise",
    "encode_strokes",
    "point_features",
]

POINT_SIZE = 5
"""The features of a point: its offset, and which of three states the pen is in after it."""

_NOISE = 2  # tells the numbers of codes from those of a drawing's points

ENDED = 2
"""The state of the pen after the last point: it is down in 0, lifted in 1."""


class Strokes(NamedTuple):
    """A padded batch of drawings as a network reads them.

    Attributes:
        points: (B, T, 5), see `point_features`; the first is the origin with the pen down.
        lengths: true lengths (B,), on the CPU.
        labels: (B,) int64, the class of each.
        noise: (B, Z) standard normal numbers, by which codes are sampled. None: codes, if any, are their means.
        text: (B, U) int64, the index of each character that is written, 0 in the padding. None: there are no texts.
        text_lengths: true lengths of the texts (B,), on the CPU.
    """

    points: Tensor
    lengths: Tensor
    labels: Tensor
    noise: Tensor | None = None
    text: Tensor | None = None
    text_lengths: Tensor | None = None

    def to(self, device: torch.device) -> Self:
        """The same on a device; lengths stay on the CPU."""
        noise, text = (None if part is None else part.to(device) for part in (self.noise, self.text))
        return self._replace(points=self.points.to(device), labels=self.labels.to(device), noise=noise, text=text)


class NextPoints(NamedTuple):
    """What comes after each point of a padded batch.

    Attributes:
        offset: (B, T, 2), of the next point; 0 if there is none.
        pen: (B, T) int64, its state after that point, 2 after the last point, and -100 in the padding.
    """

    offset: Tensor
    pen: Tensor


def point_features(offset: Tensor, pen: Tensor) -> Tensor:
    """The features (..., 5) of points of an offset (..., 2) after which the pen is in a state (...) int64."""
    return torch.cat([offset, torch.nn.functional.one_hot(pen, 3).to(offset.dtype)], dim=-1)


def encode_strokes(
    strokes: Sequence[np.ndarray], labels: Sequence[int], texts: Sequence[np.ndarray] | None = None
) -> tuple[Strokes, NextPoints]:
    """A batch of drawings whose offsets are in the units of the network.

    Args:
        strokes: of each drawing (N, 3).
        labels: the class of each.
        texts: the index of each character that each writes (U,) int64. None: there are no texts.

    Returns:
        Inputs of T = max(N) + 1 steps, the origin first, and what comes after each.
    """
    rows = [torch.from_numpy(np.ascontiguousarray(one, dtype=np.float32)) for one in strokes]
    padded, _ = collate(rows)
    lengths = torch.tensor([len(one) + 1 for one in rows])
    steps = torch.arange(padded.shape[1] + 1).unsqueeze(0)
    ended = padded.new_zeros(len(rows), 1, 3)
    after = torch.cat([padded, ended], dim=1)
    pen = after[..., 2].long()
    pen[steps == lengths.unsqueeze(1) - 1] = ENDED
    pen[steps >= lengths.unsqueeze(1)] = IGNORED
    points = point_features(padded[..., :2], padded[..., 2].long())
    origin = point_features(padded.new_zeros(len(rows), 1, 2), torch.zeros(len(rows), 1, dtype=torch.int64))
    inputs = Strokes(torch.cat([origin, points], dim=1), lengths, torch.tensor(labels))
    if texts is not None:
        text, text_lengths = collate([torch.from_numpy(one) for one in texts])
        inputs = inputs._replace(text=text, text_lengths=text_lengths)
    return inputs, NextPoints(after[..., :2].contiguous(), pen)


def code_noise(seeds: Sequence[Sequence[int]], size: int) -> Tensor:
    """Standard normal numbers (B, Z), those of each seed by themselves."""
    return torch.from_numpy(
        np.stack([np.random.default_rng([*seed, _NOISE]).standard_normal(size, np.float32) for seed in seeds])
    )


class StrokeBatches:
    """Batches of drawings of similar length: a pure function of the step; see `Buckets`.

    Args:
        strokes: of each drawing (N, 3), in the units of the network.
        labels: the class of each.
        batch_size: drawings in a batch, over all processes.
        seed: of the order, and of what `vary` samples.
        vary: from strokes and a generator, which depends on the epoch and the drawing alone, to what is trained on;
            None: the strokes.
        shuffle: see `Buckets`.
        partition: see `Buckets`.
        noise_size: Z, of the noise of each drawing, which depends on the epoch and the drawing alone; 0: none.
        texts: see `encode_strokes`.

    Raises:
        ParameterError: see `Buckets`.
    """

    def __init__(
        self,
        strokes: Sequence[np.ndarray],
        labels: Sequence[int],
        batch_size: int,
        seed: int = 0,
        vary: Callable[[np.ndarray, np.random.Generator], np.ndarray] | None = None,
        shuffle: bool = True,
        partition: Partition = WHOLE,
        noise_size: int = 0,
        texts: Sequence[np.ndarray] | None = None,
    ) -> None:
        self._strokes, self._labels, self._texts, self._vary, self._seed = strokes, labels, texts, vary, seed
        self._noise_size = noise_size
        lengths = [len(one) for one in strokes]
        self._buckets = Buckets(lengths, batch_size, seed=seed, shuffle=shuffle, partition=partition)

    @property
    def steps_per_epoch(self) -> int:
        """The number of batches in an epoch."""
        return self._buckets.steps_per_epoch

    def __call__(self, step: int) -> Batch:
        """The batch of a step, from 1, weighted by its points."""
        rows = self._buckets(step).tolist()
        epoch = self._buckets.epoch_of(step)
        read = rows or [0]  # a process without a drawing of its own reads one that does not count
        strokes = [self._varied(row, epoch) for row in read]
        texts = None if self._texts is None else [self._texts[row] for row in read]
        inputs, target = encode_strokes(strokes, [self._labels[row] for row in read], texts)
        if self._noise_size:
            inputs = inputs._replace(noise=code_noise([(self._seed, epoch, row) for row in read], self._noise_size))
        return Batch(inputs, target, float(sum(map(len, strokes))) if rows else 0.0)

    def _varied(self, row: int, epoch: int) -> np.ndarray:
        if self._vary is None:
            return self._strokes[row]
        return self._vary(self._strokes[row], np.random.default_rng([self._seed, epoch, row]))
