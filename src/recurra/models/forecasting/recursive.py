"""The recursive network: one step at a time, from its own samples (DeepAR, Salinas et al. 2020)."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from recurra.cells import Cell
from recurra.data.series.windows import Window, WindowShape
from recurra.layers import Architecture, trunk
from recurra.models.decoding import select_rows
from recurra.models.forecasting.category_embedding import CategoryEmbedding
from recurra.models.forecasting.features import phases, scale_features, seasonal_lags
from recurra.models.forecasting.heads import Head
from recurra.models.forecasting.normalization import Normalization, normalize
from recurra.models.forecasting.readout import Baseline, Readout

__all__ = ["RecursiveNetwork"]


class RecursiveNetwork(nn.Module):
    """One recurrent network over context and horizon; each step reads the value before it and the seasonal lags.

    In training the values before are those observed, and every step of context and horizon is learned; in
    forecasting they are samples of its own distribution, many paths side by side.

    Args:
        cell: the equations of recurrent layers, or the architecture of a stack.
        shape: of the windows.
        example: any batch of windows, for the sizes of the inputs.
        cardinalities: categories by static category column.
        hidden_size: H.
        num_layers: L.
        dropout: on the outputs of the recurrent layers, while training.
        output_size: raw outputs a step.
    """

    def __init__(
        self,
        cell: Cell | Architecture,
        shape: WindowShape,
        example: Window,
        cardinalities: list[int],
        hidden_size: int,
        num_layers: int,
        dropout: float,
        output_size: int,
    ) -> None:
        super().__init__()
        self._shape = shape
        self.embedding = CategoryEmbedding(cardinalities)
        units = normalize(example.history, shape.seasons[0])
        values = units.apply(torch.cat([example.history, example.target], dim=1))
        candidates = self._candidates(values, shape.history, 1)
        known = self._known(example, units)
        lags = self._lag_features(candidates, units)
        read = lags.shape[2] + known.shape[2] + self.embedding.size
        self.recurrent = trunk(cell, read, hidden_size, num_layers, dropout=dropout)
        self.baseline = Baseline(hidden_size, candidates.shape[2])
        self.readout = Readout(hidden_size, output_size, dropout)

    def forward(self, window: Window) -> tuple[tuple[Tensor, Normalization], Any]:
        """Raw outputs of each step of context and horizon (B, S + T, size), and the units; teacher forcing."""
        units = normalize(window.history, self._shape.seasons[0])
        values = units.apply(torch.cat([window.history, window.target], dim=1))
        first = self._shape.history - self._shape.context
        steps = self._shape.context + self._shape.horizon
        raw, state = self._steps(values, first, steps, self._known(window, units), window.categories, units, None)
        return (raw, units), state

    def sample_paths(self, window: Window, head: Head, paths: int) -> Tensor:
        """Sample the horizon (B, paths, T) in the data's units, from torch's generator."""
        shape = self._shape
        units = normalize(window.history, shape.seasons[0])
        values = units.apply(window.history)
        known = self._known(window, units)
        first = shape.history - shape.context
        # The context is the same for all paths, and read once.
        _, state = self._steps(values, first, shape.context, known[:, : shape.context], window.categories, units, None)
        values, categories = values.repeat_interleave(paths, 0), window.categories.repeat_interleave(paths, 0)
        units, known = units.repeat_interleave(paths), known.repeat_interleave(paths, 0)
        rows = torch.arange(len(window.history), device=values.device).repeat_interleave(paths)
        state = select_rows(state, rows, batch_dim=1)
        samples = []
        for t in range(shape.horizon):
            at = shape.context + t
            raw, state = self._steps(values, values.shape[1], 1, known[:, at : at + 1], categories, units, state)
            sample = head.sample(raw, units)
            samples.append(sample)
            values = torch.cat([values, units.apply(sample)], dim=1)
        return torch.cat(samples, dim=1).unflatten(0, (-1, paths))

    def _steps(
        self,
        values: Tensor,
        first: int,
        count: int,
        known: Tensor,
        categories: Tensor,
        units: Normalization,
        state: Any,
    ) -> tuple[Tensor, Any]:
        """Run `count` steps from position `first` of values (B, ...); `known` is (B, count, F)."""
        candidates = self._candidates(values, first, count)
        inputs = torch.cat([self._lag_features(candidates, units), known], dim=2)
        hidden, state = self.recurrent(self.embedding.append(inputs, categories), state)
        raw = self.readout(hidden)
        centre = self.baseline(hidden, candidates.nan_to_num(0.0).float(), ~candidates.isnan())
        return torch.cat([raw[..., :1] + centre.unsqueeze(2), raw[..., 1:]], dim=2), state

    def _candidates(self, values: Tensor, first: int, count: int) -> Tensor:
        """Lags of each step (B, count, M), NaN if missing: the value before, seasons before, and the level."""
        at = torch.arange(first, first + count, device=values.device)
        before = _take(values, at - 1)
        lags = [_take(values, at - season * back) for season, back in seasonal_lags(self._shape)]
        shifted = [before + _take(values, at - s) - _take(values, at - s - 1) for s in self._shape.seasons]
        return torch.stack([before, *lags, *shifted, torch.zeros_like(before)], dim=2)

    def _lag_features(self, candidates: Tensor, units: Normalization) -> Tensor:
        before, rest = candidates[..., :1], candidates[..., 1:-1]
        ratio = (units.scale / units.deviation).unsqueeze(2)
        parts = [before * ratio, torch.asinh(before), torch.asinh(rest - before)]
        missing = before.isnan().float()
        return torch.cat([*(part.nan_to_num(0.0).float() for part in parts), missing], dim=2)

    def _known(self, window: Window, units: Normalization) -> Tensor:
        """What is known of each step of context and horizon without its values, (B, S + T, F).

        Each step reads the past covariates of the step before it, as it reads the value; beyond the first step of
        the horizon they are missing, in training too.
        """
        shape = self._shape
        past = pad(window.past, (0, 0, 1, shape.horizon - 1))
        cycles = phases(torch.arange(-shape.context, shape.horizon), shape.seasons).to(window.known.device)
        batch, length = window.known.shape[:2]
        scale = scale_features(window.history, units, shape.seasons)
        return torch.cat(
            [
                cycles.expand(batch, -1, -1),
                scale.unsqueeze(1).expand(-1, length, -1),
                window.numbers.unsqueeze(1).expand(-1, length, -1),
                window.known,
                past,
            ],
            dim=2,
        )


def _take(values: Tensor, positions: Tensor) -> Tensor:
    """Values (B, ...) at positions (count,); NaN before the first."""
    taken = values[:, positions.clamp(min=0)]
    return taken.masked_fill(positions < 0, torch.nan)
