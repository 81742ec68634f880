"""How a captioner is trained: its network, its batches, its validation."""

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra.cells import find_cell
from recurra.data.batches.batch import Batch, Partition
from recurra.data.batches.buckets import Buckets, collate
from recurra.data.files.problems import problem_files
from recurra.errors import DataError, ParameterError
from recurra.layers import initialize
from recurra.models.image import (
    CaptionBatch,
    CaptionLoss,
    EfficientNetLite0,
    FeatureReader,
    GridNetwork,
    ImageCaptioner,
    ImageReader,
    PixelReader,
    ReadImages,
)
from recurra.task import Fitted, Objective
from recurra.tasks.caption.learned import CaptionLearned
from recurra.tasks.caption.options import CaptionReading, CaptionSearch
from recurra.training import Mean, evaluate, processes

__all__ = ["FittedCaptioner", "make_batch", "make_network", "make_objective", "make_reader"]

FittedCaptioner = Fitted[CaptionLearned, ImageCaptioner]

_log = logging.getLogger("recurra.caption")
_MOST_COMPARED = 100  # validation images that are captioned after training


def make_reader(options: Mapping[str, Any], reading: CaptionReading, device: torch.device) -> ImageReader:
    """What reads images for a network of these options. Raises MissingExtraError."""
    if options["features"] == "trained":
        return PixelReader(options["image_size"])
    return FeatureReader(reading.feature_cache, device)


def make_network(options: Mapping[str, Any], learned: CaptionLearned) -> ImageCaptioner:
    """The network, its weights sampled from torch's generator."""
    trained = options["features"] == "trained"
    network = ImageCaptioner(
        len(learned.vocabulary),
        find_cell(options["cell"]),
        grid=GridNetwork(options["image_size"], options["feature_size"]) if trained else None,
        channels=0 if trained else EfficientNetLite0.channels,
        feature_size=options["feature_size"],
        hidden_size=options["hidden_size"],
        num_layers=options["num_layers"],
        embedding_size=options["embedding_size"],
        attention_size=options["attention_size"] if options["attention"] == "soft" else 0,
        dropout=options["dropout"],
        never_written=(learned.padding, learned.unknown, learned.begin),
    )
    initialize(network, "orthogonal", forget_bias=1.0)
    return network


def make_batch(images: Tensor, captions: Sequence[Sequence[int]], device: torch.device) -> Batch:
    """The batch of some images with a caption each; the target is what follows each true input (N,).

    Args:
        images: what the network reads of each.
        captions: the ids of the words of each.
        device: of the batch.
    """
    begin, end, padding = CaptionLearned.begin, CaptionLearned.end, CaptionLearned.padding
    inputs, lengths = collate([torch.tensor([begin, *caption]) for caption in captions], padding)
    following = torch.tensor([word for caption in captions for word in (*caption, end)])
    return Batch(CaptionBatch(images, inputs, lengths).to(device), following.to(device), len(following))


def make_objective(
    options: Mapping[str, Any], fitted: FittedCaptioner, training: ReadImages, validation: ReadImages | None
) -> Objective:
    """Batches, loss and validation; see `Estimator.objective`."""
    partition, vocabulary = processes().partition, fitted.learned.vocabulary
    pairs = _Pairs.of(training, vocabulary.encode, options["max_length"], "trained on")
    if len(pairs) < partition.count:
        raise ParameterError("data", f"at least one caption for each of {partition.count} processes", len(pairs))
    buckets = Buckets(pairs.lengths, batch_size=options["batch_size"], seed=options["seed"], partition=partition)
    held = None
    if validation is not None:
        held = _Pairs.of(validation, vocabulary.encode, options["max_length"], "validated with")

    def validate(network: Any) -> Mean:
        assert held is not None
        batches = held.batches(2 * options["batch_size"], fitted.device, partition)
        return evaluate(network, CaptionLoss(), batches)

    def compare() -> Any:
        from recurra.tasks.caption.results import evaluate_images

        assert validation is not None
        rows = np.linspace(0, len(validation) - 1, min(len(validation), _MOST_COMPARED)).round().astype(int)
        return evaluate_images([fitted], [validation.take(rows.tolist())], CaptionSearch(beam_size=1), [])

    return Objective(
        TrainingBatches(pairs, buckets, fitted.device, _shift(options), options["seed"]),
        CaptionLoss(options["label_smoothing"], options["attention_penalty"]),
        None if held is None else validate,
        steps_per_epoch=buckets.steps_per_epoch,
        unit="nats per word",
        words=lambda loss: f"perplexity {math.exp(min(loss, 700)):.2f} (loss {loss:.4f})",
        # Copied captions have scores, but no perplexity.
        compare=compare if find_spec("sacrebleu") else None,
        files=problem_files(training, validation),
    )


@dataclass(frozen=True)
class TrainingBatches:
    """The batch of each step.

    Attributes:
        pairs: to train on.
        buckets: which of them make the batch of a step.
        device: of the batches.
        shift: pixels that an image is shifted by at most.
        seed: of the shifts.
    """

    pairs: "_Pairs"
    buckets: Buckets
    device: torch.device
    shift: int
    seed: int

    def __call__(self, step: int) -> Batch:
        rows = self.buckets(step)
        generator = np.random.default_rng([self.seed, step]) if self.shift else None
        batch = self.pairs.batch(rows if len(rows) else [0], self.device, self.shift, generator)
        return batch if len(rows) else Batch(batch.inputs, batch.target, 0)


@dataclass(frozen=True)
class _Pairs:
    """Every caption of every image: the image's row, and the caption in ids."""

    images: ReadImages
    rows: np.ndarray
    captions: list[list[int]]

    @classmethod
    def of(cls, images: ReadImages, encode: Callable[[Any], list[int]], max_length: int, purpose: str) -> "_Pairs":
        every = [(row, caption) for row, captions in enumerate(images.words) for caption in captions]
        fitting = [(row, encode(caption)) for row, caption in every if len(caption) <= max_length]
        if len(fitting) < len(every):
            _log.warning(
                "%s: %d of %d captions are longer than max_length = %d words and are not %s",
                *(images.source, len(every) - len(fitting), len(every), max_length, purpose),
            )
        if not fitting:
            raise DataError(f"{images.source}: every caption is longer than max_length = {max_length} words.")
        return cls(images, np.array([row for row, _ in fitting]), [caption for _, caption in fitting])

    def __len__(self) -> int:
        return len(self.captions)

    @property
    def lengths(self) -> np.ndarray:
        """Words of each caption, and its end (N,)."""
        return np.array([len(caption) + 1 for caption in self.captions])

    def batch(
        self,
        indices: Sequence[int] | np.ndarray,
        device: torch.device,
        shift: int = 0,
        generator: np.random.Generator | None = None,
    ) -> Batch:
        """The batch of some pairs, their images shifted if there is a generator."""
        images = self.images.batch(self.rows[np.asarray(indices)].tolist())
        if generator is not None:
            images = _shifted(images, shift, generator)
        return make_batch(images, [self.captions[index] for index in indices], device)

    def batches(self, size: int, device: torch.device, partition: Partition) -> Iterator[Batch]:
        """This process's part of the pairs, the longest first, in batches of `size` pairs."""
        mine = partition.of(np.argsort(-self.lengths, kind="stable"))
        return (self.batch(mine[start : start + size], device) for start in range(0, len(mine), size))


def _shift(options: Mapping[str, Any]) -> int:
    return options["image_shift"] if options["features"] == "trained" else 0


def _shifted(images: Tensor, most: int, generator: np.random.Generator) -> Tensor:
    """Pixels (B, S, S, 3), each image shifted by up to `most` pixels; what comes in repeats the border."""
    size = images.shape[1]
    moved = np.empty_like(images.numpy())
    for row, image in enumerate(images.numpy()):
        down, right = generator.integers(0, 2 * most + 1, 2).tolist()
        padded = np.pad(image, ((most, most), (most, most), (0, 0)), mode="edge")
        moved[row] = padded[down : down + size, right : right + size]
    return torch.from_numpy(moved)
