"""How far back learning reaches: the norm of dL/ds_t by lag."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from recurra.inspection.decay import Decay, fit_decay
from recurra.inspection.gradients import Loss, TrackGradients, final_outputs_loss, last_layer, state_gradients
from recurra.inspection.record import Recording
from recurra.inspection.segment import Track

__all__ = ["GradientByLag", "LagCurve", "gradient_by_lag", "lags_of"]

WHOLE = "state"


@dataclass(frozen=True)
class LagCurve:
    """The gradient of one part of one layer's state, by lag.

    Attributes:
        track: the layer, by the name of its track.
        part: of the state, "h" or "c" say; "state" for all parts together.
        norms: (K,), the norm of dL/ds_t at lag 0, 1, ..., the mean over sequences.
        decay: fitted to it.
    """

    track: str
    part: str
    norms: np.ndarray
    decay: Decay


@dataclass(frozen=True)
class GradientByLag:
    """The `LagCurve` of every layer and part.

    Attributes:
        curves: by layer, then by part; the whole state last.
        loss: L.
        steps: at which L was taken; None for the last step of each direction.
        sequences: B, over which the means are taken.
    """

    curves: tuple[LagCurve, ...]
    loss: float
    steps: tuple[int, ...] | None
    sequences: int

    def whole(self) -> tuple[LagCurve, ...]:
        """The curves of the whole states, one a layer."""
        return tuple(curve for curve in self.curves if curve.part == WHOLE)


def gradient_by_lag(
    recording: Recording, loss: Loss | None = None, steps: Sequence[int] | None = None
) -> GradientByLag:
    """The norm of dL/ds_t, s_t being the state of a layer after step t, by how many steps t is before the loss.

    The derivative is total: through the recurrence, and through all layers above. The parts of a state are taken as
    coordinates of their own: the gradient of an LSTM's c_t leaves out that h_t was computed from it. Lags count true
    steps, in the direction of the layer, from the last step that L was taken at.
    The default loss of a bidirectional layer is taken for each direction by itself, at that direction's last step, with
    the layers of that direction.

    Args:
        recording: of a module's run.
        loss: see `state_gradients`.
        steps: see `state_gradients`.

    Raises:
        ParameterError: see `state_gradients`.
    """
    pairs: list[tuple[TrackGradients, Tensor]] = []
    total = 0.0
    for reverse in _directions_of_loss(recording, loss, steps):
        gradients = state_gradients(recording, loss if reverse is None else _final(recording, reverse), steps)
        total += gradients.loss
        alone = reverse is None or len(last_layer(recording)) == 1
        for track in gradients.tracks:
            if alone or track.track.reverse == reverse:
                backward = track.track.reverse if reverse is None else reverse
                pairs.append((track, lags_of(track.track, steps, backward)))
    order = [track.name for track in recording.tracks]
    pairs.sort(key=lambda pair: order.index(pair[0].track.name))
    curves = [curve for gradients, lags in pairs for curve in _curves(gradients, lags)]
    sequences = recording.tracks[0].valid.shape[1]
    return GradientByLag(tuple(curves), total, None if steps is None else tuple(steps), sequences)


def lags_of(track: Track, steps: Sequence[int] | None, reverse: bool) -> Tensor:
    """(T, B) int64: how many true steps each step is before the loss, or after it in time where that is in reverse; -1
    on the other side, and at padding."""
    valid = track.valid
    if steps is not None:
        indices = [t % track.steps for t in steps]
        anchor = min(indices) if reverse else max(indices)
        here = torch.arange(track.steps, device=valid.device).unsqueeze(1)
        valid = valid & (here >= anchor if reverse else here <= anchor)
    counted = valid.cumsum(0) if reverse else valid.flip(0).cumsum(0).flip(0)
    return torch.where(valid, counted - 1, -1)


def _directions_of_loss(
    recording: Recording, loss: Loss | None, steps: Sequence[int] | None
) -> list[bool] | list[None]:
    """Which losses to take: the default at the last step of both directions is one for each, at either end of time."""
    if loss is not None or steps is not None:
        return [None]
    return sorted({track.reverse for track in last_layer(recording)})


def _final(recording: Recording, reverse: bool) -> Loss:
    return lambda _: final_outputs_loss(recording, None, reverse)


def _curves(gradients: TrackGradients, lags: Tensor) -> list[LagCurve]:
    track = gradients.track
    parts = dict(zip(track.parts, gradients.total, strict=True)) if len(track.parts) > 1 else {}
    parts[WHOLE] = torch.cat(gradients.total, dim=2)
    curves = []
    for part, gradient in parts.items():
        norms = _mean_by_lag(gradient.norm(dim=2), lags)
        curves.append(LagCurve(track.name, part, norms, fit_decay(norms)))
    return curves


def _mean_by_lag(norms: Tensor, lags: Tensor) -> np.ndarray:
    """The mean over all (T, B) of the same lag."""
    here = lags >= 0
    observed, values = lags[here].cpu().numpy(), norms[here].double().cpu().numpy()
    count = np.bincount(observed)
    return np.bincount(observed, weights=values) / np.maximum(count, 1)
