"""A network, its head and its windows, put together from the settings."""

import torch
from torch import Tensor, nn

from recurra.cells import find_cell
from recurra.tasks.forecast.direct import DirectNetwork
from recurra.tasks.forecast.heads import Head, make_head, sample_quantiles
from recurra.tasks.forecast.normalization import Normalization
from recurra.tasks.forecast.recursive import RecursiveNetwork
from recurra.tasks.forecast.settings import ForecastSettings
from recurra.tasks.forecast.windows import Window, WindowShape

__all__ = ["forecast_quantiles", "make_network", "mean_loss"]


def make_network(
    settings: ForecastSettings, shape: WindowShape, example: Window, cardinalities: list[int]
) -> tuple[nn.Module, Head]:
    """The network and its head; weights drawn from the settings' seed, torch's generator left as it was.

    Args:
        settings: of the forecaster.
        shape: of its windows.
        example: any batch of windows, for the sizes of the inputs.
        cardinalities: categories by static category column.
    """
    head = make_head(settings.output_kind, settings.quantiles)
    kind = DirectNetwork if settings.model == "direct" else RecursiveNetwork
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = kind(
            find_cell(settings.cell),
            shape,
            example,
            cardinalities,
            settings.hidden_size,
            settings.num_layers,
            settings.dropout,
            head.size,
        )
    return network, head


def mean_loss(head: Head, output: tuple[Tensor, Normalization], target: Tensor) -> Tensor:
    """The mean of the head's loss over the observed steps of target (B, T), NaN where missing."""
    raw, units = output
    seen = ~target.isnan()
    filled = torch.where(seen, target, units.location.clamp(min=0).expand_as(target).round())
    losses = head.loss(raw, filled, units)
    return losses.masked_fill(~seen, 0.0).sum() / seen.sum().clamp(min=1)


@torch.no_grad()
def forecast_quantiles(network: nn.Module, head: Head, window: Window, settings: ForecastSettings) -> Tensor:
    """Quantiles (B, T, Q) in the data's units; those of samples are the same for the same seed and batch."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        if isinstance(network, RecursiveNetwork):
            paths = network.sample_paths(window, head, settings.sample_paths)
            return sample_quantiles(paths.movedim(1, -1), settings.quantiles)
        (raw, units), _ = network(window)
        return head.quantiles(raw, settings.quantiles, units, settings.sample_paths)
