"""The forecasting networks by name, their loss and their quantiles."""

from typing import Literal

import torch
from torch import Tensor, nn

from recurra.cells import Cell
from recurra.data.series.windows import Window, WindowShape, empty_window
from recurra.layers import Architecture, EchoState
from recurra.models.forecasting.direct import DirectNetwork
from recurra.models.forecasting.heads import Head, sample_quantiles
from recurra.models.forecasting.normalization import Normalization, are_constant, normalize
from recurra.models.forecasting.recursive import RecursiveNetwork
from recurra.models.forecasting.reservoir import ReservoirNetwork

__all__ = ["forecast_quantiles", "make_network", "mean_loss"]


def make_network(
    model: Literal["direct", "recursive"],
    cell: Cell | EchoState | Architecture,
    *,
    shape: WindowShape,
    sizes: dict[str, int],
    cardinalities: list[int],
    hidden_size: int,
    num_layers: int,
    dropout: float,
    output_size: int,
) -> nn.Module:
    """A network, its weights sampled from torch's generator.

    Args:
        model: "direct" forecasts the whole horizon at once, "recursive" one step at a time.
        cell: the equations of recurrent layers, or the architecture of stacks; or of a reservoir, of a direct network
            with neither layers nor dropout nor a choice of outputs.
        shape: of its windows.
        sizes: of the parts of a window; see `input_sizes`.
        cardinalities: categories by static category column.
        hidden_size: units a layer.
        num_layers: recurrent layers.
        dropout: on the outputs of the recurrent layers, while training.
        output_size: raw outputs a step.
    """
    example = empty_window(shape, sizes)
    if isinstance(cell, EchoState):
        return ReservoirNetwork(cell, shape, example, cardinalities, hidden_size)
    kind = DirectNetwork if model == "direct" else RecursiveNetwork
    return kind(cell, shape, example, cardinalities, hidden_size, num_layers, dropout, output_size)


def mean_loss(head: Head, output: tuple[Tensor, Normalization], target: Tensor) -> Tensor:
    """The mean of the head's loss over the observed steps of target (B, T), NaN if missing."""
    raw, units = output
    seen = ~target.isnan()
    filled = torch.where(seen, target, units.location.clamp(min=0).expand_as(target).round())
    losses = head.loss(raw, filled, units)
    return losses.masked_fill(~seen, 0.0).sum() / seen.sum().clamp(min=1)


@torch.no_grad()
def forecast_quantiles(
    network: nn.Module, head: Head, window: Window, levels: tuple[float, ...], sample_paths: int, seed: int
) -> Tensor:
    """Quantiles (B, T, Q) in the data's units; those of samples are the same for the same seed and batch.

    The median of a window whose values are all the same is that value, which lies between the other quantiles. The
    forecast of a window of zeros, or of one without any value, is zero: it has no unit to forecast in.
    """
    units = normalize(window.history, 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if isinstance(network, RecursiveNetwork):
            paths = network.sample_paths(window, head, sample_paths)
            quantiles = sample_quantiles(paths.movedim(1, -1), levels)
        else:
            (raw, units_of_seasons), _ = network(window)
            quantiles = head.quantiles(raw, levels, units_of_seasons, sample_paths)
    value, middle = units.location.unsqueeze(2), levels.index(0.5)
    below, median, above = quantiles.split([middle, 1, len(levels) - middle - 1], dim=2)
    around_value = torch.cat([below.clamp(max=value), value.expand_as(median), above.clamp(min=value)], dim=2)
    quantiles = torch.where(are_constant(window.history).unsqueeze(2), around_value, quantiles)
    return quantiles.masked_fill((units.level == 0).unsqueeze(2), 0.0)
