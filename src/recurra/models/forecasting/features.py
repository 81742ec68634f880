"""What the networks read, and the seasonal candidates that they mix into a baseline.

The season is not left to the recurrent state alone: the same hours of the last days, the same hours of the last
weeks, and these shifted by how much the level has moved since, are offered as candidates for each step to come. The
network weighs them and adds what it has learned, in units of the window's own seasonal change.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from recurra.data.series.windows import Window, WindowShape
from recurra.models.forecasting.normalization import Normalization, normalize

__all__ = ["DirectInputs", "direct_inputs", "direct_sizes", "phases", "scale_features", "seasonal_lags"]

_LAGS = 2  # seasons back, of each cycle
_HARMONICS = 2


class DirectInputs(NamedTuple):
    """Inputs of the direct network; all float32 but `units`."""

    encoder: Tensor  # (B, S, I)
    decoder: Tensor  # (B, T, J)
    candidates: Tensor  # (B, T, M), normalised, 0 if missing
    available: Tensor  # (B, T, M) bool
    categories: Tensor  # (B, C) int64
    units: Normalization

    def to(self, dtype: torch.dtype) -> "DirectInputs":
        """The same, what is float32 in another type."""
        encoder, decoder, candidates = (part.to(dtype) for part in self[:3])
        return DirectInputs(encoder, decoder, candidates, *self[3:])


def seasonal_lags(shape: WindowShape) -> list[tuple[int, int]]:
    """The lags used, as (season, how many seasons back); a window's history holds them all."""
    return [(season, back) for season in shape.seasons for back in range(1, _LAGS + 1)]


def direct_inputs(window: Window, shape: WindowShape) -> DirectInputs:
    """Everything the direct network reads, from a batch of windows."""
    units = normalize(window.history, shape.seasons[0])
    z = units.apply(window.history)
    candidates = _candidates(z, shape)
    scale = scale_features(window.history, units, shape.seasons)
    encoder = torch.cat([_encoder_values(z, units, shape), _shared(window, shape, scale, before=True)], dim=2)
    first, rest = candidates[..., :1], candidates[..., 1:-1]
    decoder = torch.cat(
        [
            torch.asinh(first),
            first * _ratio(units),
            torch.asinh(rest - first),
            _ahead(shape).expand(z.shape[0], -1, -1),
        ],
        dim=2,
    )
    decoder = torch.cat([decoder.nan_to_num(0.0).float(), _shared(window, shape, scale, before=False)], dim=2)
    return DirectInputs(
        encoder,
        decoder,
        candidates.nan_to_num(0.0).float(),
        ~candidates.isnan(),
        window.categories,
        units,
    )


def direct_sizes(inputs: DirectInputs) -> tuple[int, int, int]:
    """I, J and M of inputs."""
    return inputs.encoder.shape[2], inputs.decoder.shape[2], inputs.candidates.shape[2]


def scale_features(history: Tensor, units: Normalization, seasons: tuple[int, ...]) -> Tensor:
    """What the units hide: how large the seasonal change is beside the deviation and the level, (B, 1 + 1 + longer)."""
    features = [torch.log(units.scale / units.deviation), torch.log10(units.scale / (units.level + units.scale))]
    for season in seasons[1:]:
        change = (history[:, season:] - history[:, :-season]).abs()
        seen = ~change.isnan()
        mean = change.nan_to_num(0.0).sum(1, keepdim=True) / seen.sum(1, keepdim=True).clamp(min=1)
        features.append(torch.log((mean + 1e-3 * units.scale) / units.scale))
    return torch.cat(features, dim=1).float()


def phases(steps: Tensor, seasons: tuple[int, ...]) -> Tensor:
    """Sines and cosines of each cycle and its second harmonic, (T, 4 * cycles longer than a step).

    Args:
        steps: counted from the origin, (T,).
        seasons: lengths in steps.
    """
    angles = [
        2 * math.pi * harmonic * steps / season
        for season in seasons
        if season > 1
        for harmonic in range(1, _HARMONICS + 1)
    ]
    if not angles:
        return torch.zeros(len(steps), 0)
    stacked = torch.stack(angles, dim=1)
    return torch.cat([torch.sin(stacked), torch.cos(stacked)], dim=1).float()


def _candidates(z: Tensor, shape: WindowShape) -> Tensor:
    """The candidates for each step ahead, (B, T, M), NaN if missing; the last is the level, always there."""
    history, short = z.shape[1], shape.seasons[0]
    ahead = torch.arange(shape.horizon, device=z.device)
    lags = {}
    for season, back in seasonal_lags(shape):
        position = history + ahead - season * (ahead // season + back)
        lags[season, back] = z[:, position]
    shifted = []
    for season in shape.seasons:
        shifted.append(lags[season, 1] + (z[:, -1:] - z[:, -1 - season : history - season]))
        then = z[:, history - season - short : history - season]
        shifted.append(lags[season, 1] + (z[:, -short:] - then).nanmean(1, keepdim=True))
    flat = torch.zeros_like(lags[short, 1])
    return torch.stack([*lags.values(), *shifted, flat], dim=2)


def _encoder_values(z: Tensor, units: Normalization, shape: WindowShape) -> Tensor:
    """The context's values and their changes since a season before, (B, S, 2 + seasons + 1)."""
    context = shape.context
    now = z[:, -context:]
    changes = [now - z[:, -context - season : z.shape[1] - season] for season in shape.seasons]
    values = torch.stack([now, *changes], dim=2)
    features = [now.unsqueeze(2) * _ratio(units), torch.asinh(values)]
    return torch.cat([*(f.nan_to_num(0.0).float() for f in features), (~now.isnan()).unsqueeze(2).float()], dim=2)


def _shared(window: Window, shape: WindowShape, scale: Tensor, before: bool) -> Tensor:
    """What encoder (before the origin) and decoder (after it) read alike: cycles, scale, covariates."""
    context, horizon = shape.context, shape.horizon
    steps = torch.arange(-context, 0) if before else torch.arange(horizon)
    known = window.known[:, :context] if before else window.known[:, context:]
    batch, length = known.shape[:2]
    cycles = phases(steps, shape.seasons).to(known.device)
    parts = [
        cycles.expand(batch, -1, -1),
        scale.unsqueeze(1).expand(-1, length, -1),
        window.numbers.unsqueeze(1).expand(-1, length, -1),
        known,
    ]
    if before:
        parts.append(window.past)
    return torch.cat(parts, dim=2)


def _ahead(shape: WindowShape) -> Tensor:
    return (torch.arange(1, shape.horizon + 1, dtype=torch.float64) / shape.horizon)[None, :, None]


def _ratio(units: Normalization) -> Tensor:
    """Turns units of seasonal change into units of deviation, (B, 1, 1)."""
    return (units.scale / units.deviation).unsqueeze(2)
