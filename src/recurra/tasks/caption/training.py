"""How a captioner is trained: its network, its batches, its validation."""

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra.cells import find_cell
from recurra.data.batches.batch import Batch, Partition
from recurra.data.batches.buckets import Buckets, collate
from recurra.data.files.problems import problem_files
from recurra.data.text.caption_scores import CiderD
from recurra.errors import DataError, ParameterError
from recurra.layers import initialize
from recurra.models.decoding import SelfCriticalLoss
from recurra.models.image import (
    CaptionBatch,
    CaptionLoss,
    EfficientNetLite0,
    FeatureReader,
    GridNetwork,
    ImageCaptioner,
    ImageReader,
    ImagesToCaption,
    PixelReader,
    ReadImages,
)
from recurra.task import Fitted, Objective
from recurra.tasks.caption.learned import CaptionLearned
from recurra.tasks.caption.options import CaptionReading, CaptionSearch
from recurra.training import Mean, evaluate, processes
from recurra.training.teacher_forcing import constant, linear

__all__ = ["FittedCaptioner", "make_batch", "make_network", "make_objective", "make_reader"]

FittedCaptioner = Fitted[CaptionLearned, ImageCaptioner]

_log = logging.getLogger("recurra.caption")
_MOST_COMPARED = 100  # validation images that are captioned after training


def make_reader(options: Mapping[str, Any], reading: CaptionReading, device: torch.device) -> ImageReader:
    """What reads images for a network of these options. Raises MissingExtraError."""
    if options["features"] == "trained":
        return PixelReader(options["image_size"], options["frames"])
    return FeatureReader(reading.feature_cache, device, options["frames"])


def make_network(options: Mapping[str, Any], learned: CaptionLearned) -> ImageCaptioner:
    """The network, its weights sampled from torch's generator."""
    trained = options["features"] == "trained"
    network = ImageCaptioner(
        len(learned.vocabulary),
        find_cell(options["cell"]),
        begin_id=learned.begin,
        end_id=learned.end,
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
    if options["self_critical"]:
        return _self_critical(options, fitted, training, validation)
    partition, vocabulary = processes().partition, fitted.learned.vocabulary
    pairs = _Pairs.of(training, vocabulary.encode, options["max_length"], "trained on")
    if len(pairs) < partition.count:
        raise ParameterError("data", f"at least one caption for each of {partition.count} processes", len(pairs))
    buckets = Buckets(pairs.lengths, batch_size=options["batch_size"], seed=options["seed"], partition=partition)
    forcing = _forcing(options, buckets.steps_per_epoch)
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
        TrainingBatches(pairs, buckets, fitted.device, _shift(options), options["seed"], forcing),
        CaptionLoss(options["label_smoothing"], options["attention_penalty"]),
        None if held is None else validate,
        steps_per_epoch=buckets.steps_per_epoch,
        unit="nats per word",
        words=lambda loss: f"perplexity {math.exp(min(loss, 700)):.2f} (loss {loss:.4f})",
        # Copied captions have scores, but no perplexity.
        compare=compare if find_spec("sacrebleu") else None,
        files=problem_files(training, validation),
    )


def _forcing(options: Mapping[str, Any], steps_per_epoch: int) -> Callable[[int], float]:
    """The teacher forcing ratio by step."""
    ratio, steps = options["teacher_forcing_ratio"], round(options["teacher_forcing_epochs"] * steps_per_epoch)
    return partial(linear, steps=steps, end=ratio) if steps else partial(constant, ratio=ratio)


def _self_critical(
    options: Mapping[str, Any], fitted: FittedCaptioner, training: ReadImages, validation: ReadImages | None
) -> Objective:
    """The same of self-critical training: images for batches, and rewards for the loss."""
    partition, learned = processes().partition, fitted.learned
    if len(training) < partition.count:
        raise ParameterError("data", f"at least one image for each of {partition.count} processes", len(training))
    buckets = Buckets(
        np.ones(len(training)), batch_size=options["batch_size"], seed=options["seed"], partition=partition
    )
    # The end is a word of the reward: else captions that stop in the middle would lose nothing.
    end = learned.special[learned.end]
    references = [[(*words, end) for words in captions] for captions in training.words]
    rewarding, judging = CiderD(references), CiderD(() if validation is None else validation.words)

    def reward(tokens: Sequence[int], own: Sequence[Any]) -> float:
        return rewarding(learned.vocabulary.decode(tokens), own) / CiderD.largest

    def validate(network: Any) -> Mean:
        assert validation is not None
        mine = partition.of(np.arange(len(validation)))
        total = 0.0
        for start in range(0, len(mine), 2 * options["batch_size"]):
            rows = mine[start : start + 2 * options["batch_size"]].tolist()
            images = validation.batch(rows).to(fitted.device)
            for row, written in zip(rows, network.write(images, options["max_length"]), strict=True):
                caption = learned.vocabulary.decode(written.tokens)
                total += 1 - judging(caption, validation.words[row]) / CiderD.largest
        return Mean(total, len(mine))

    return Objective(
        ImageBatches(
            training, references, buckets, fitted.device, _shift(options), options["seed"], options["max_length"]
        ),
        SelfCriticalLoss(reward),
        None if validation is None else validate,
        steps_per_epoch=buckets.steps_per_epoch,
        unit="1 - CIDEr-D / 10",
        measure="CIDEr-D",
        error="1 - CIDEr-D / 10",
        score=lambda loss: f"{CiderD.largest * (1 - loss):.3f}",
        files=problem_files(training, validation),
    )


@dataclass(frozen=True)
class ImageBatches:
    """The images of each step of self-critical training; the target is the references of each, the end included.

    Attributes:
        images: to train on.
        references: of each.
        buckets: which images make the batch of a step.
        device: of the batches.
        shift: pixels that an image is shifted by at most.
        seed: of the shifts.
        max_length: words of a sampled caption at most.
    """

    images: ReadImages
    references: Sequence[Any]
    buckets: Buckets
    device: torch.device
    shift: int
    seed: int
    max_length: int

    def __call__(self, step: int) -> Batch:
        rows = self.buckets(step).tolist()
        chosen = rows or [0]
        images = self.images.batch(chosen)
        if self.shift:
            images = _shifted(images, self.shift, np.random.default_rng([self.seed, step]))
        inputs = ImagesToCaption(images.to(self.device), self.max_length + 1)
        return Batch(inputs, [self.references[row] for row in chosen], len(rows))


@dataclass(frozen=True)
class TrainingBatches:
    """The batch of each step.

    Attributes:
        pairs: to train on.
        buckets: which of them make the batch of a step.
        device: of the batches.
        shift: pixels that an image is shifted by at most.
        seed: of the shifts.
        forcing: the teacher forcing ratio by step.
    """

    pairs: "_Pairs"
    buckets: Buckets
    device: torch.device
    shift: int
    seed: int
    forcing: Callable[[int], float]

    def __call__(self, step: int) -> Batch:
        rows = self.buckets(step)
        generator = np.random.default_rng([self.seed, step]) if self.shift else None
        batch = self.pairs.batch(rows if len(rows) else [0], self.device, self.shift, generator)
        inputs = replace(batch.inputs, teacher_forcing_ratio=self.forcing(step))
        return Batch(inputs, batch.target, batch.weight if len(rows) else 0)


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
    """Pixels (B, ..., S, S, 3), each image shifted by up to `most` pixels; what comes in repeats the border."""
    pixels = images.numpy()
    size, moved = pixels.shape[-2], np.empty_like(pixels)
    border = [(0, 0)] * (pixels.ndim - 4) + [(most, most), (most, most), (0, 0)]
    for row, image in enumerate(pixels):
        down, right = generator.integers(0, 2 * most + 1, 2).tolist()
        padded = np.pad(image, border, mode="edge")
        moved[row] = padded[..., down : down + size, right : right + size, :]
    return torch.from_numpy(moved)
