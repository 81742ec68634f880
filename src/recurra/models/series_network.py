"""Networks of series: options whose defaults look at the data, and ensembles."""

from collections.abc import Callable, Mapping
from typing import Any

from recurra.cells import Cell
from recurra.errors import ParameterError
from recurra.layers import Architecture, EchoState
from recurra.models.classifier import SequenceClassifier
from recurra.models.classifier_ensemble import ClassifierEnsemble

__all__ = ["check_stride", "make_networks", "series_defaults"]

_MANY = 1000  # series, of which a network sees enough
_LONGEST = 64  # steps that the recurrent layers read of the longest series of training


def series_defaults(
    filters: int | None, longest: int, count: int, timed: bool = False, reservoir: bool = False
) -> dict[str, Any]:
    """Defaults of options that the training series decide, by name.

    Args:
        filters: of the convolutions, if the user chose their number; None: the default.
        longest: steps of the longest series.
        count: how many series there are.
        timed: whether the times of steps are read: convolutions, for which steps lie on a grid, are then not a default.
        reservoir: whether the network is a reservoir, which reads every step as it is.
    """
    if reservoir:
        return {"cell": "elman", "hidden_size": 300, "filters": 0, "stride": 1, "members": 1, "dropout": 0.0}
    filters = (0 if timed else 32) if filters is None else filters
    return {
        "cell": "gru_d" if timed else "lstm",
        "hidden_size": 32,
        "filters": filters,
        "stride": -(-longest // _LONGEST) if filters else 1,
        "members": 4 if count < _MANY else 1,
        "dropout": 0.4,
    }


def check_stride(stride: int | None, filters: int | None) -> None:
    """Refuse a stride without a convolution. Raises ParameterError."""
    if (stride or 1) > 1 and filters == 0:
        raise ParameterError("stride", "1 without a convolution", stride, "Give it filters (--filters 64).")


def make_networks(
    kind: Callable[..., SequenceClassifier],
    cell: Cell | EchoState | Architecture,
    sizes: tuple[int, ...],
    options: Mapping[str, Any],
    input_dropout: float,
    timed: bool = False,
    missing: bool = False,
) -> SequenceClassifier | ClassifierEnsemble:
    """A network, or an ensemble of `members`.

    Args:
        kind: of network.
        cell: the equations; or of a reservoir or an architecture, to which the time of a step is a feature as the
            others are.
        sizes: the arguments of `kind` after the cell: features of a step, units, outputs.
        options: by name: `members`, and the arguments of `SequenceClassifier`.
        input_dropout: see `SequenceClassifier`.
        timed: whether the last feature of a step is the time since the step before. A cell that reads the time reads it
            so; for others it is a feature as the others are.
        missing: whether the features are then values, as many marks of missing ones, and the time. A cell that reads
            the time then has `InputDecay` before it; one that weights times reads the age of each channel, unless it is
            bidirectional, as ages are known forward in time only.

    Raises:
        ParameterError: a parameter is out of its range, or convolutions would read times.
    """
    names = ("num_layers", "bidirectional", "pooling", "filters", "kernel_sizes", "stride", "dropout")
    values = {name: options[name] for name in (*names, "recurrent_dropout")}
    if timed and isinstance(cell, Cell) and cell.elapsed != "none":
        if options["filters"]:
            expected = f"0 with times, which {cell!r} reads at each step, and convolutions need steps on a grid"
            raise ParameterError("filters", expected, options["filters"])
        channels = (sizes[0] - 1) // 2 if missing else 0
        by_channel = channels > 0 and cell.elapsed == "weighted" and not options["bidirectional"]
        values |= {"elapsed_size": channels if by_channel else 1, "input_decay": channels}
    networks = [kind(cell, *sizes, **values, input_dropout=input_dropout) for _ in range(options["members"])]
    return networks[0] if len(networks) == 1 else ClassifierEnsemble(networks)
