"""How a drawing model is trained: its network, batches, loss and validation."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn

from recurra.cells import find_cell
from recurra.data.batches.batch import Batch
from recurra.data.drawings.augmentation import merged, stretched
from recurra.data.drawings.drawings import Drawings
from recurra.data.drawings.stroke_batches import NextPoints, StrokeBatches, encode_strokes
from recurra.errors import ParameterError
from recurra.layers import initialize
from recurra.models.stroke_decoder import StrokeDecoder, point_surprise
from recurra.task import Fitted, Objective
from recurra.tasks.draw.learned import DrawingLearned
from recurra.training import Mean, evaluate, processes

if TYPE_CHECKING:
    from recurra.tasks.draw.drawing_model import DrawingModel

__all__ = ["BASELINE", "FittedDrawing", "make_network", "make_objective"]

FittedDrawing = Fitted[DrawingLearned, StrokeDecoder]

BASELINE = "mixture without memory"


def make_network(options: Mapping[str, Any], learned: DrawingLearned) -> StrokeDecoder:
    """The network, its weights sampled from torch's generator.

    Args:
        options: of the drawing model, by name.
        learned: from the training data.
    """
    network = StrokeDecoder(
        find_cell(options["cell"]),
        options["hidden_size"],
        options["num_layers"],
        options["mixtures"],
        classes=len(learned.labels),
        class_size=options["class_size"],
        dropout=options["dropout"],
        recurrent_dropout=options["recurrent_dropout"],
        smallest_deviation=learned.smallest_deviation,
    )
    initialize(network)
    return network


def make_objective(
    model: "DrawingModel", fitted: FittedDrawing, training: Drawings, validation: Drawings | None
) -> Objective:
    """Batches, loss and validation.

    Args:
        model: its options.
        fitted: what is to be trained.
        training: drawings.
        validation: drawings to choose the best weights by. None: the last weights are used.

    Raises:
        DataError: validation data have a class that training does not have.
        ParameterError: a batch has fewer drawings than there are processes.
    """
    partition = processes().partition
    if model.batch_size < partition.count:
        raise ParameterError("batch_size", f"at least the number of processes, {partition.count}", model.batch_size)

    def vary(strokes: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        return merged(stretched(strokes, model.stretch, generator), model.merging, generator)

    batches = StrokeBatches(
        *fitted.learned.encode(training),
        model.batch_size,
        model.seed,
        vary if model.stretch or model.merging else None,
        partition=partition,
    )

    def loss(raw: Tensor, target: NextPoints) -> Tensor:
        return _mean(fitted.network.surprise(raw, target), target)

    validate: Callable[[nn.Module], Mean] | None = None
    baselines = {}
    if validation is not None:
        held = StrokeBatches(*fitted.learned.encode(validation), model.batch_size, shuffle=False, partition=partition)
        baselines = {BASELINE: _memoryless(fitted.learned, validation)}

        def validated(network: nn.Module) -> Mean:
            return evaluate(network, loss, (_on_device(held(step + 1), fitted) for step in range(held.steps_per_epoch)))

        validate = validated

    return Objective(
        lambda step: _on_device(batches(step), fitted),
        loss,
        validate,
        steps_per_epoch=batches.steps_per_epoch,
        unit="nats per point",
        baselines=baselines,
    )


def _memoryless(learned: DrawingLearned, drawings: Drawings) -> float:
    """Nats a point of the baseline."""
    total = 0.0
    for one in learned.encode(drawings)[0]:
        inputs, target = encode_strokes([one], [0])
        surprise = point_surprise(learned.baseline.density(inputs.points[..., 3].long()), target)
        total += sum(float(part.double().sum()) for part in surprise)
    return total / int(drawings.lengths.sum())


def _mean(surprise: tuple[Tensor, Tensor], target: NextPoints) -> Tensor:
    """Nats a point: the surprise of all offsets and states of the pen, divided by the number of points."""
    offset, pen = surprise
    return (offset.sum() + pen.sum()) / ((target.pen == 0) | (target.pen == 1)).sum()


def _on_device(batch: Batch, fitted: FittedDrawing) -> Batch:
    target = NextPoints(*(part.to(fitted.device) for part in batch.target))
    return Batch(batch.inputs.to(fitted.device), target, batch.weight)
