"""The options of tasks whose network may be a reservoir with a readout that is solved in closed form."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from recurra.errors import ParameterError
from recurra.options import Options, Range, option
from recurra.task.architecture import trunk_of
from recurra.task.budget import BUDGET
from recurra.training.settings import TrainingSettings

if TYPE_CHECKING:
    from recurra.cells import Cell
    from recurra.layers import Architecture, EchoState

__all__ = ["ReservoirOptions", "reservoir_in_words", "series_trunk"]

_HIDDEN_SIZES = Range(100, 1000, step=100)
_RESERVOIR = ("spectral_radius", "leak", "density", "input_scale")
# Options that only training by gradients uses; all of `TrainingSettings` but the seed are added.
_GRADIENTS = {
    *BUDGET,
    *("unfreeze_steps", "batch_size", "loss", "label_smoothing", "class_weights", "jitter", "scaling", "choose_by"),
    *("architecture", "num_layers", "members", "filters", "kernel_sizes", "stride", "dropout", "recurrent_dropout"),
}


class ReservoirOptions(Options):
    """A reservoir in the place of recurrent layers that are trained; of a task with options `cell`, `hidden_size`."""

    reservoir: bool = option(
        default=False,
        help="a fixed, sparse, random recurrent network, of which only a linear readout is fitted, in closed form "
        "(echo state network, Jaeger 2001): without gradients, small data in seconds",
        group="reservoir",
        main=True,
    )
    spectral_radius: float = option(
        default=0.9,
        above=0,
        help="of the recurrent weights of each gate; above about 1 a reservoir may not forget",
        group="reservoir",
        search=Range(0.5, 1.2),
    )
    leak: float = option(
        default=1.0,
        above=0,
        at_most=1,
        help="fraction of the state that is new at a step, less for slower series; 1: all",
        group="reservoir",
        search=Range(0.1, 1.0),
    )
    density: float | None = option(
        default=None,
        above=0,
        at_most=1,
        help="fraction of recurrent weights that are not zero; by default such that a unit reads ten others",
        group="reservoir",
    )
    input_scale: float = option(
        default=1.0,
        above=0,
        help="input weights are uniform between plus and minus this, over the root of the number of inputs",
        group="reservoir",
        search=Range(0.05, 2.0, log=True),
    )

    def unused(self) -> frozenset[str]:
        if not self.reservoir:
            return frozenset(_RESERVOIR)
        return frozenset(_GRADIENTS | TrainingSettings.settings().keys()) - {"seed"}

    def searched(self) -> dict[str, Range | tuple[Any, ...]]:
        ranges = super().searched()
        return {**ranges, "hidden_size": _HIDDEN_SIZES} if self.reservoir else ranges

    def check(self) -> None:
        """Refuse a reservoir's options without `reservoir`; with it, refuse options that only trained weights use."""
        for name, value in self.changed().items():
            if name not in self.unused():
                continue
            if not self.reservoir:
                raise ParameterError(
                    name, "its default without a reservoir", value, "Add --reservoir (reservoir=True)."
                )
            expected = "its default with a reservoir, of which one linear readout is solved in closed form"
            raise ParameterError(name, expected, value, "Leave it out.")
        if not self.reservoir:
            return
        values = self.get_params()
        if "attention" in values.get("pooling", ()):
            expected = "last, mean or max with a reservoir, as attention has weights to train"
            raise ParameterError("pooling", expected, values["pooling"])
        series_trunk({**values, "cell": values["cell"] or "elman"})


def series_trunk(options: Mapping[str, Any]) -> "Cell | EchoState | Architecture":
    """What `recurra.layers.trunk` takes, of the options of a network, none of which is None but the density.

    Raises:
        ParameterError: the cell makes no reservoir.
    """
    from recurra.cells import find_cell
    from recurra.layers import EchoState

    if options["reservoir"]:
        return EchoState(find_cell(options["cell"]), **{name: options[name] for name in _RESERVOIR})
    return trunk_of(options["cell"], options["architecture"])


def reservoir_in_words(options: Mapping[str, Any]) -> list[str]:
    """A sentence about the reservoir of a network, if it is one."""
    if not options.get("reservoir"):
        return []
    return [
        f"It is a reservoir: its weights are fixed (spectral radius {options['spectral_radius']:g}, leak "
        f"{options['leak']:g}), and only the readout was fitted."
    ]
