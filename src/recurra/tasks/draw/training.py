"""How a drawing model is trained: its network, batches, loss and validation."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from torch import Tensor, nn

from recurra.cells import Cell
from recurra.data.batches.batch import Batch
from recurra.data.drawings.augmentation import merged, stretched
from recurra.data.drawings.drawings import Drawings
from recurra.data.drawings.stroke_batches import NextPoints, StrokeBatches, encode_strokes
from recurra.errors import ParameterError
from recurra.layers import initialize
from recurra.models.handwriting_decoder import HandwritingDecoder
from recurra.models.stroke_autoencoder import Posterior, StrokeAutoencoder
from recurra.models.stroke_decoder import StrokeDecoder, point_surprise
from recurra.task import Fitted, Objective
from recurra.task.architecture import trunk_of
from recurra.tasks.draw.learned import DrawingLearned
from recurra.training import Mean, evaluate, processes

if TYPE_CHECKING:
    from recurra.tasks.draw.drawing_model import DrawingModel

__all__ = ["BASELINE", "DrawingNetwork", "FittedDrawing", "decoder_of", "make_network", "make_objective", "parts_of"]

DrawingNetwork = StrokeDecoder | StrokeAutoencoder | HandwritingDecoder
FittedDrawing = Fitted[DrawingLearned, DrawingNetwork]

BASELINE = "mixture without memory"
_KL_BEGIN = 0.01  # of the weight of the divergence, at the first step


class Expected(NamedTuple):
    """What the network is to say of a batch, and how much the divergence of codes counts.

    Attributes:
        points: what comes after each point.
        kl_weight: of the divergence; 0 without codes.
    """

    points: NextPoints
    kl_weight: float


def decoder_of(network: nn.Module) -> StrokeDecoder | HandwritingDecoder:
    """The decoder of a network with codes or without."""
    decoder = network.decoder if isinstance(network, StrokeAutoencoder) else network
    assert isinstance(decoder, StrokeDecoder | HandwritingDecoder)
    return decoder


def parts_of(output: Any) -> tuple[Tensor, Posterior | None]:
    """The raw outputs (B, T, F) of either network, and the densities of the codes if it has codes."""
    return output if isinstance(output, tuple) else (output, None)


def make_network(options: Mapping[str, Any], learned: DrawingLearned) -> DrawingNetwork:
    """The network, its weights sampled from torch's generator.

    Args:
        options: of the drawing model, by name.
        learned: from the training data.

    Raises:
        ParameterError: codes are asked for of a model that writes texts, or texts are to be read by an architecture.
    """
    cell = trunk_of(options["cell"], options["architecture"])
    sizes = {name: options[name] for name in ("num_layers", "mixtures", "class_size", "dropout")}
    sizes |= {"classes": len(learned.labels), "smallest_deviation": learned.smallest_deviation}
    if isinstance(cell, Cell):
        sizes["recurrent_dropout"] = options["recurrent_dropout"]
    if learned.characters:
        if not isinstance(cell, Cell):
            expected = "0 with an architecture: the first of the layers of a cell moves the window over the text"
            raise ParameterError("window", expected, options["window"], "Texts are then not read.")
        if options["latent_size"]:
            expected = "0 with drawings that come with texts"
            raise ParameterError("latent_size", expected, options["latent_size"], "Or leave texts out: window = 0.")
        writer = HandwritingDecoder(
            cell,
            options["hidden_size"],
            len(learned.characters),
            window=options["window"],
            pace=learned.pace,
            **sizes,
        )
        initialize(writer)
        return writer
    network: DrawingNetwork = StrokeDecoder(cell, options["hidden_size"], latent_size=options["latent_size"], **sizes)
    if options["latent_size"]:
        assert isinstance(cell, Cell)
        network = StrokeAutoencoder(network, cell, options["encoder_size"], options["recurrent_dropout"])
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

    strokes, classes, texts = fitted.learned.encode(training)
    batches = StrokeBatches(
        strokes,
        classes,
        model.batch_size,
        model.seed,
        vary if model.stretch or model.merging else None,
        partition=partition,
        noise_size=model.latent_size,
        texts=texts,
    )

    def loss(output: Any, target: Expected) -> Tensor:
        raw, posterior = parts_of(output)
        surprise = _mean(decoder_of(fitted.network).surprise(raw, target.points), target.points)
        if posterior is None:
            return surprise
        # Eq. 10 and 11 of Ha and Eck (2018): the divergence is a mean over the numbers of a code, and has a floor.
        divergence = posterior.divergence().mean() / model.latent_size
        return surprise + target.kl_weight * divergence.clamp(min=model.kl_floor)

    validate: Callable[[nn.Module], Mean] | None = None
    baselines = {}
    if validation is not None:
        strokes, classes, texts = fitted.learned.encode(validation)
        held = StrokeBatches(
            strokes,
            classes,
            model.batch_size,
            shuffle=False,
            partition=partition,
            noise_size=model.latent_size,
            texts=texts,
        )
        # The loss of a network with codes is not a density.
        baselines = {} if model.latent_size else {BASELINE: _memoryless(fitted.learned, validation)}

        def validated(network: nn.Module) -> Mean:
            batches = (_on_device(held(step + 1), fitted, model.kl_weight) for step in range(held.steps_per_epoch))
            return evaluate(network, loss, batches)

        validate = validated

    return Objective(
        lambda step: _on_device(batches(step), fitted, model.kl_weight * (1 - (1 - _KL_BEGIN) * model.kl_decay**step)),
        loss,
        validate,
        steps_per_epoch=batches.steps_per_epoch,
        unit="nats per point, and weighted divergence" if model.latent_size else "nats per point",
        baselines=baselines,
    )


def _memoryless(learned: DrawingLearned, drawings: Drawings) -> float:
    """Nats a point of the baseline."""
    total = 0.0
    for one in learned.encode(drawings).strokes:
        inputs, target = encode_strokes([one], [0])
        surprise = point_surprise(learned.baseline.density(inputs.points[..., 3].long()), target)
        total += sum(float(part.double().sum()) for part in surprise)
    return total / int(drawings.lengths.sum())


def _mean(surprise: tuple[Tensor, Tensor], target: NextPoints) -> Tensor:
    """Nats a point: the surprise of all offsets and states of the pen, divided by the number of points."""
    offset, pen = surprise
    return (offset.sum() + pen.sum()) / ((target.pen == 0) | (target.pen == 1)).sum()


def _on_device(batch: Batch, fitted: FittedDrawing, kl_weight: float) -> Batch:
    points = NextPoints(*(part.to(fitted.device) for part in batch.target))
    return Batch(batch.inputs.to(fitted.device), Expected(points, kl_weight), batch.weight)
