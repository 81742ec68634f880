"""dL/ds_t: the gradient of a loss with respect to every state, by the way it came."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from recurra.errors import ParameterError
from recurra.inspection.record import Recording
from recurra.inspection.segment import Track

__all__ = ["Loss", "StateGradients", "TrackGradients", "ends", "final_outputs_loss", "last_layer", "state_gradients"]

Loss = Callable[[Any], Tensor]


@dataclass(frozen=True, eq=False)
class TrackGradients:
    """The gradient of a loss along one track, for B sequences.

    Attributes:
        track: whose states.
        through_time: by part of the state, (T, B, R) or (T, B, H): what reaches the state of step t from the next step.
        from_above: (T, B, R), what reaches the output of step t from the layer above or the loss.
        inputs: by step, (B, I), the gradient with respect to the layer's inputs.
    """

    track: Track
    through_time: tuple[Tensor, ...]
    from_above: Tensor
    inputs: tuple[Tensor, ...]

    @property
    def total(self) -> tuple[Tensor, ...]:
        """dL/ds_t by part: the total derivative, along all ways."""
        return (self.through_time[0] + self.from_above, *self.through_time[1:])


@dataclass(frozen=True, eq=False)
class StateGradients:
    """The gradient of a loss along all tracks.

    Attributes:
        loss: L, summed over the sequences.
        tracks: in the order of the recording.
        steps: the steps that L was taken at, as the caller named them; None for the last of each direction.
    """

    loss: float
    tracks: tuple[TrackGradients, ...]
    steps: tuple[int, ...] | None


def state_gradients(
    recording: Recording, loss: Loss | None = None, steps: Sequence[int] | None = None
) -> StateGradients:
    """Backpropagate a loss through a recording.

    Args:
        recording: of a module's run.
        loss: from what the module returned to a scalar; None: `final_outputs_loss`.
        steps: where L is taken: of the default loss the steps it reads, from 0 or counted from the end; of another only
            to count lags from. None: the last step in each layer's own direction.

    Raises:
        ParameterError: the loss is not a scalar, or does not depend on the recurrent layers.
    """
    value = final_outputs_loss(recording, steps) if loss is None else loss(recording.output)
    if not isinstance(value, Tensor) or value.numel() != 1:
        raise ParameterError("loss", "a function of the module's output that returns a scalar", value)
    if not value.requires_grad:
        hint = "Does the module run under torch.no_grad, or detach its output?"
        raise ParameterError("loss", "a loss that depends on the recurrent layers", "one that does not", hint)
    wanted = [
        tensor
        for track in recording.tracks
        for segment in track.segments
        for tensor in (*(p for state in segment.carried for p in state), *segment.outputs, *segment.inputs)
    ]
    derivatives = iter(torch.autograd.grad(value, wanted, retain_graph=True, allow_unused=True, materialize_grads=True))
    gradients = []
    for track in recording.tracks:
        carried, above, below = [], [], []
        for segment in track.segments:
            carried += [[next(derivatives) for _ in segment.cell.state] for _ in range(segment.steps)]
            above += [next(derivatives) for _ in range(segment.steps)]
            below += [next(derivatives) for _ in range(segment.steps)]
        through_time = tuple(torch.stack(part) for part in zip(*carried, strict=True))
        gradients.append(TrackGradients(track, through_time, torch.stack(above), tuple(below)))
    return StateGradients(float(value.detach()), tuple(gradients), None if steps is None else tuple(steps))


def final_outputs_loss(recording: Recording, steps: Sequence[int] | None = None, reverse: bool | None = None) -> Tensor:
    """Half the squared norm of the last layer's outputs, whose gradient there is the output itself; a scalar.

    Args:
        recording: of a module's run; its last layer is the one that ran last, in both directions.
        steps: from 0, or counted from the end; None: the last step of each sequence in each direction, which is
            the first step of time for the reverse direction.
        reverse: of this direction only; None: of both.

    Raises:
        ParameterError: for a step that there is not.
    """
    top = last_layer(recording)
    last = top[0].segments[-1]
    total = torch.zeros((), dtype=last.outputs[0].dtype, device=last.outputs[0].device)
    for track in top:
        if reverse not in (None, track.reverse):
            continue
        for t in range(track.steps) if steps is None else steps:
            if not -track.steps <= t < track.steps:
                raise ParameterError("steps", f"steps of the {track.steps} there are", t)
            output = track.outputs[t]
            # Where None, each sequence has its own last step.
            weight = ends(track)[t].unsqueeze(1) if steps is None else torch.ones_like(output)
            total = total + (output.square() * weight).sum() / 2
    return total


def last_layer(recording: Recording) -> list[Track]:
    """The tracks, one or two, of the layer that ran last."""
    last = recording.segments[-1]
    return [
        track
        for track in recording.tracks
        if (track.segments[-1].module, track.segments[-1].layer) == (last.module, last.layer)
    ]


def ends(track: Track) -> Tensor:
    """(T, B) bool: each sequence's last step in the track's own direction; none for an empty sequence."""
    valid = track.valid
    if track.reverse:
        valid = valid.flip(0)
    after = valid.flip(0).cumsum(0).flip(0)  # valid steps from each on
    last = valid & (after == 1)
    return last.flip(0) if track.reverse else last
