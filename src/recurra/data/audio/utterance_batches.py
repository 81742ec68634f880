"""Batches of features and label ids."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from recurra.data.audio.feature_source import FeatureSource
from recurra.data.batches.batch import WHOLE, Batch, Partition
from recurra.data.batches.buckets import Buckets, collate
from recurra.errors import ParameterError
from recurra.shapes import check_positive

__all__ = ["UtteranceBatches", "padded_features"]


def padded_features(features: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Features (T_b, F) as one tensor (B, T, F) float32, 0 at the ends, and the lengths (B,) int64."""
    return collate([torch.from_numpy(np.ascontiguousarray(one, dtype=np.float32)) for one in features])


class UtteranceBatches:
    """The batches of training: batches(step) is a pure function of the step, from 1.

    `Batch.inputs` is the features (B, T, F) float32 with their lengths (B,), and the label ids too if the network reads
    them; `Batch.target` the label ids (B, U) int64 with their lengths (B,), 0 at the ends. `Batch.weight` is B, the
    number of utterances. Batches hold utterances of similar length, see `Buckets`.

    Args:
        source: the features.
        labels: the ids of each utterance's labels.
        seconds: the duration of each utterance.
        batch_size: the utterances of a batch, over all processes.
        seconds_per_batch: the largest duration of a batch in seconds, padding included, at the slowest speed. Give
            exactly one of it and `batch_size`.
        labels_in_inputs: whether the network reads the labels too, as a transducer does.
        seed: the seed of the order.
        partition: the part of each batch that this process reads.
        device: where the tensors are.
        short_first: whether the first epoch goes from short utterances to long ones, see `Buckets`.
        plain_steps: at the beginning, in which utterances are as they are: augmentation begins after them.

    Raises:
        ParameterError: the numbers of utterances, labels and durations differ, or see `Buckets`.
    """

    def __init__(
        self,
        source: FeatureSource,
        labels: Sequence[Sequence[int]],
        seconds: Sequence[float],
        batch_size: int | None = None,
        *,
        seconds_per_batch: float | None = None,
        labels_in_inputs: bool = False,
        seed: int = 0,
        partition: Partition = WHOLE,
        device: torch.device | str = "cpu",
        short_first: bool = False,
        plain_steps: int = 0,
    ) -> None:
        check_positive("plain_steps", plain_steps, at_least=0)
        if not len(labels) == len(seconds) == len(source):
            got = f"{len(labels)} and {len(seconds)}"
            raise ParameterError("labels", f"labels and durations of {len(source)} utterances", got)
        lengths = source.lengths(seconds)
        tokens = None
        if seconds_per_batch is not None:
            longest = int(lengths.max())
            tokens = int(seconds_per_batch * int(source.lengths([3600.0])[0]) / 3600)
            if tokens < longest:
                least = seconds_per_batch * longest / max(tokens, 1)
                raise ParameterError(
                    "seconds_per_batch", f"at least the longest utterance, {least:.1f}", seconds_per_batch
                )
        self._source, self._partition, self._device = source, partition, device
        self._labels_in_inputs, self._plain_steps = labels_in_inputs, plain_steps
        self._labels = [torch.tensor(ids, dtype=torch.int64) for ids in labels]
        self._buckets = Buckets(lengths, batch_size, tokens, seed, partition=partition, short_first=short_first)

    @property
    def steps_per_epoch(self) -> int:
        """The number of batches in an epoch."""
        return self._buckets.steps_per_epoch

    @property
    def padding_fraction(self) -> float:
        """See `Buckets.padding_fraction`."""
        return self._buckets.padding_fraction

    def __call__(self, step: int) -> Batch:
        """The batch of a step. Raises DataError: an utterance cannot be read."""
        rows = self._buckets(step)
        weight = float(len(rows))
        if not len(rows):
            # There are more processes than utterances left: this one takes any, because all must make the step.
            rows = np.array([0])
        epoch = self._buckets.epoch_of(step)
        varied = step > self._plain_steps
        features = padded_features(
            [self._source.varied(int(row), epoch) if varied else self._source.plain(int(row)) for row in rows]
        )
        inputs = tuple(one.to(self._device) for one in features)
        target = tuple(one.to(self._device) for one in collate([self._labels[row] for row in rows]))
        return Batch((*inputs, target[0]) if self._labels_in_inputs else inputs, target, weight)
