"""The options of tasks whose network reads labelled series: convolutions, recurrent layers, a pooling over steps."""

from typing import Literal

from recurra.errors import ParameterError
from recurra.options import Range, option
from recurra.task.architecture import ArchitectureOptions
from recurra.task.checks import check_cell
from recurra.task.reservoir_options import ReservoirOptions

__all__ = ["FEWEST_TO_SPLIT", "MOST_MEMBERS", "SequenceNetworkOptions", "SeriesNetworkOptions"]

FEWEST_TO_SPLIT = 300
"""Series. Of fewer none are held out by default: too few to choose weights by, and training would miss them."""
MOST_MEMBERS = 16


def _check_pooling(name: str, value: tuple[str, ...]) -> None:
    from recurra.models import POOLINGS

    if not value or len(set(value)) < len(value) or not set(value) <= set(POOLINGS):
        raise ParameterError(name, f"one or more of {', '.join(POOLINGS)}, each once", value)


def _check_odd(name: str, value: tuple[int, ...]) -> None:
    if not value or not all(size % 2 for size in value):
        raise ParameterError(name, "one or more odd numbers", value)


class SequenceNetworkOptions(ArchitectureOptions):
    """What `recurra.models.series_network` makes a network of."""

    cell: str = option(
        default="lstm", check=check_cell, help="name of a cell, or module:Class of your own", group="network"
    )
    num_layers: int = option(
        default=1, at_least=1, help="recurrent layers", group="network", main=True, search=Range(1, 2)
    )
    hidden_size: int | None = option(
        default=None,
        at_least=1,
        help="units of each direction of a layer; by default 32",
        group="network",
        main=True,
        search=Range(16, 128, step=16),
    )
    bidirectional: bool = option(default=True, help="whether sequences are also read backward", group="network")
    pooling: tuple[str, ...] = option(
        default=("mean", "max"),
        check=_check_pooling,
        help="how all steps become one vector: one or more of last, mean, max, attention, side by side",
        group="network",
    )
    filters: int | None = option(
        default=None,
        at_least=0,
        help="filters of the convolutions before the recurrence; 0: no convolution; by default 32",
        group="network",
    )
    kernel_sizes: tuple[int, ...] = option(
        default=(7, 5, 3),
        at_least=1,
        check=_check_odd,
        help="a convolution for each: steps that its filters see, odd numbers",
        group="network",
    )
    stride: int | None = option(
        default=None,
        at_least=1,
        help="steps that the convolutions make one step of: 4 makes a long series four times as short; by default such "
        "that the longest series of training has at most 64 steps then",
        group="network",
    )
    members: int | None = option(
        default=None,
        at_least=1,
        at_most=MOST_MEMBERS,
        help="networks whose predictions are averaged, and which share out each training batch among them; by default "
        "4 for fewer than 1,000 series, else 1",
        group="network",
    )
    dropout: float | None = option(
        default=None,
        at_least=0,
        at_most=1,
        help="dropout of features, between the layers and on the pooled vector; by default 0.4",
        group="regularization",
        main=True,
        search=Range(0, 0.6),
    )
    recurrent_dropout: float = option(
        default=0.0,
        at_least=0,
        at_most=1,
        help="dropout on what the recurrent weights read, the same at every step of a sequence",
        group="regularization",
        search=Range(0, 0.3),
    )

    def check(self) -> None:
        from recurra.models.series_network import check_stride

        check_stride(self.stride, self.filters)


class SeriesNetworkOptions(ReservoirOptions, SequenceNetworkOptions):
    """The network, and how series are prepared for it."""

    cell: str | None = option(  # pyright: ignore[reportIncompatibleVariableOverride]
        default=None,
        check=check_cell,
        help="name of a cell, or module:Class of your own; by default lstm, gru_d if the times of steps are read, or "
        "elman in a reservoir",
        group="network",
    )
    normalization: Literal["channel", "series", "none"] = option(
        default="channel",
        help="series to mean 0 and deviation 1: by channel as in training, each series by itself, or none",
        group="series",
    )
    jitter: float = option(
        default=0.05,
        at_least=0,
        help="deviation of the noise that training adds to each value of a series, after normalisation",
        group="series",
    )
    scaling: float = option(
        default=0.1,
        at_least=0,
        help="deviation of the factor, about 1, by which training multiplies each channel of a series",
        group="series",
    )
