"""How a model of music is trained: its network, its batches, its validation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from recurra.data.files.problems import problem_files
from recurra.data.music.frame_lanes import FrameLanes
from recurra.data.music.piece import Music, Piece
from recurra.data.music.pitches import LOWEST, NOTES
from recurra.layers import initialize
from recurra.models import RecurrentLanguageModel
from recurra.models.frames import NADE, FrameBiases, FrameModel
from recurra.task import Fitted, Objective
from recurra.task.architecture import trunk_of
from recurra.tasks.music.events import events_of, make_event_network, make_event_objective
from recurra.tasks.music.learned import MusicLearned
from recurra.training import Mean, Truncation, evaluate, processes

__all__ = [
    "FittedFrames",
    "FittedMusic",
    "export_files",
    "export_network",
    "frames_of",
    "make_network",
    "make_objective",
]

FittedFrames = Fitted[MusicLearned, FrameModel]
FittedMusic = Fitted[MusicLearned, FrameModel | RecurrentLanguageModel]

_FEW_FRAMES = 200_000
_READ_TOGETHER = 32  # pieces, where nothing is trained


def frames_of(fitted: Fitted[MusicLearned, Any]) -> FittedFrames:
    """A model that is one of frames."""
    assert fitted.learned.events is None
    return fitted


def make_network(options: Mapping[str, Any], learned: MusicLearned) -> FrameModel | RecurrentLanguageModel:
    """The network, its weights sampled from torch's generator; notes of frames begin with their frequencies."""
    if learned.events is not None:
        return make_event_network(options, learned)
    network = FrameModel(
        trunk_of(options["cell"], options["architecture"]),
        NOTES,
        options["hidden_size"],
        options["num_layers"],
        options["nade_size"] if options["output"] == "nade" else 0,
        _dropout(learned.pieces) if options["dropout"] is None else options["dropout"],
        options["input_dropout"],
        options["recurrent_dropout"],
    )
    initialize(network, "orthogonal", forget_bias=1.0)
    network.distribution.start_from(torch.from_numpy(learned.frequencies).float())
    return network


def make_objective(
    options: Mapping[str, Any], fitted: FittedMusic, training: Music, validation: Music | None
) -> Objective:
    """Batches, loss and validation; see `Estimator.objective`."""
    stretch = 1 + options["time_stretch"]
    factors = dict.fromkeys((1, stretch, 1 / stretch))
    pieces = [piece.stretched(by) for by in factors for piece in training.part("train")]
    if (model := events_of(fitted)) is not None:
        objective = make_event_objective(options, model, pieces, validation)
    else:
        objective = _frame_objective(options, frames_of(fitted), pieces, validation)
    return replace(objective, files=problem_files(training))


def export_network(fitted: FittedMusic) -> tuple[nn.Module, dict[str, Any]]:
    """The network of a step, and what a program has to know; see `MusicModel.export_network`."""
    if (model := events_of(fitted)) is not None:
        vocabulary = model.learned.vocabulary
        names = [vocabulary.name(token) for token in range(len(vocabulary))]
        return model.network, {"events": names, "begin": vocabulary.token("end"), **vocabulary.to_json()}
    network, grid = frames_of(fitted).network, fitted.learned.grid
    facts = {"lowest_pitch": LOWEST, "notes": NOTES, "steps_per_beat": grid.steps_per_beat, "tempo": grid.tempo}
    if isinstance(network.distribution, NADE):
        facts["hidden_units"] = network.distribution.hidden.out_features
    return FrameBiases(network).eval(), facts


def export_files(fitted: FittedMusic) -> dict[str, bytes]:
    """The weights that an estimator of dependent notes has beside its biases; see `MusicModel.export_files`."""
    distribution = None if events_of(fitted) else frames_of(fitted).network.distribution
    if not isinstance(distribution, NADE):
        return {}
    above = distribution.above.weight.detach()[:NOTES]
    both = torch.cat([above, distribution.readout.detach()]).float().cpu()
    return {".nade.bin": both.numpy().astype("<f4").tobytes()}


def _frame_objective(
    options: Mapping[str, Any], fitted: FittedFrames, pieces: Sequence[Piece], validation: Music | None
) -> Objective:
    lanes = FrameLanes(
        [piece.roll for piece in pieces],
        options["truncation_length"],
        options["batch_size"],
        transposition=options["transposition"],
        seed=options["seed"],
        device=fitted.device,
        partition=processes().partition,
    )
    validate, baselines = None, {}
    if validation is not None:
        validate, baselines = _validation(fitted, validation.part("validation"))
    return Objective(
        lanes,
        lambda features, target: fitted.network.loss(features, target),
        validate,
        Truncation(options["truncation_length"]),
        steps_per_epoch=lanes.steps_per_epoch,
        unit="nats a frame",
        baselines=baselines,
    )


def _dropout(pieces: Sequence[Piece]) -> float:
    return 0.5 if sum(piece.length for piece in pieces) < _FEW_FRAMES else 0.3


def _validation(fitted: FittedFrames, pieces: Sequence[Piece]) -> tuple[Callable[[Any], Mean], dict[str, float]]:
    """The validation loss of a network, over all frames alike, and those of the baselines."""
    rolls = [piece.roll for piece in pieces]
    steps = fitted.options["truncation_length"]
    lanes = FrameLanes(rolls, steps, min(_READ_TOGETHER, len(pieces)), shuffle=False, device=fitted.device)

    def validate(network: Any) -> Mean:
        batches = (lanes(step + 1) for step in range(lanes.steps_per_epoch))
        return evaluate(network, network.loss, batches, carry=True)

    frames = sum(piece.length for piece in pieces)
    surprises = fitted.learned.surprise_of_baselines(pieces)
    return validate, {name: float(sum(one.sum() for one in own) / frames) for name, own in surprises.items()}
