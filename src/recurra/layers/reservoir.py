"""Echo states: any cell as a reservoir, whose weights are sampled once and never trained."""

from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import Tensor

from recurra.cells import Cell, Elman
from recurra.errors import ParameterError
from recurra.layers.parameters import first_values
from recurra.layers.recurrent import Recurrent
from recurra.shapes import check_positive_number

__all__ = ["EchoState", "Reservoir"]

_NEIGHBOURS = 10  # that a unit reads by default


@dataclass(frozen=True)
class EchoState:
    """What a reservoir is made of; `recurra.layers.trunk` and the models take it in the place of a cell.

    Args:
        cell: the equations; a cell with recurrent weights that read its state, which does not read the time.
        spectral_radius: of the recurrent weights of each gate, the largest absolute value of their eigenvalues. Below 1
            the states of an Elman network of tanh forget how they began, in practice (Jaeger 2001).
        leak: a, above 0 and at most 1. The state follows the cell slowly: it is (1 - a) of the old state plus a of what
            the equations give (leaky integration, Jaeger et al. 2007). 1: the equations alone.
        density: the fraction of recurrent weights that are not zero, above 0 and at most 1. None: such that a unit
            reads ten others on average (Lukosevicius 2012, section 3.2.2), or all if there are no more.
        input_scale: input weights are uniform in +- input_scale / sqrt(I), so that it means the same for any I.
        bias_scale: biases are uniform in +- bias_scale.

    Raises:
        ParameterError: for a value out of its range, or a cell that makes no reservoir.
    """

    cell: Cell = field(default_factory=Elman)
    spectral_radius: float = 0.9
    leak: float = 1.0
    density: float | None = None
    input_scale: float = 1.0
    bias_scale: float = 0.2

    def __post_init__(self) -> None:
        if not isinstance(self.cell, Cell):
            raise ParameterError("cell", "a Cell such as recurra.cells.Elman()", self.cell)
        check_positive_number("spectral_radius", self.spectral_radius)
        check_positive_number("leak", self.leak, at_most=1)
        if self.density is not None:
            check_positive_number("density", self.density, at_most=1)
        check_positive_number("input_scale", self.input_scale)
        number = isinstance(self.bias_scale, int | float) and not isinstance(self.bias_scale, bool)
        if not number or not 0 <= self.bias_scale < float("inf"):
            raise ParameterError("bias_scale", "0 or a positive number", self.bias_scale)
        reason = _unsuitable(self.cell)
        if reason:
            raise ParameterError("cell", f"one that makes a reservoir; {self.cell!r} {reason}", self.cell)
        if self.density is not None and self.cell.recurrence == "diagonal":
            raise ParameterError("density", f"None, as the units of {self.cell!r} read themselves only", self.density)


class Reservoir(Recurrent):
    """A layer of any cell whose weights are sampled once and fixed: an echo state network without its readout.

    It is used as `Recurrent` is, and always in evaluation. Its parameters need no gradient; gradients flow through it
    to its input. A readout of its output is fitted in closed form, see `recurra.models.solve_ridge`.

    Args:
        echo_state: the cell, and how its weights are sampled, from torch's generator.
        input_size: I.
        hidden_size: H.
        batch_first: whether input and output are (B, T, ...) rather than (T, B, ...).
        bidirectional: whether a second reservoir reads backward in time.
        device: of the parameters.
        dtype: of the parameters.
        backend: see `Recurrent`.

    Raises:
        ParameterError: for a parameter out of its range; so few recurrent weights that no unit reads itself again.
    """

    def __init__(
        self,
        echo_state: EchoState,
        input_size: int,
        hidden_size: int,
        batch_first: bool = False,
        bidirectional: bool = False,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        backend: str = "auto",
    ) -> None:
        self.echo_state = echo_state
        # In evaluation zoneout is its expectation, which is leaky integration.
        super().__init__(
            echo_state.cell,
            input_size,
            hidden_size,
            batch_first=batch_first,
            bidirectional=bidirectional,
            device=device,
            dtype=dtype,
            zoneout=1 - echo_state.leak,
            backend=backend,
        )
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> Self:
        """Do nothing: a reservoir is always in evaluation."""
        return super().train(False)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Sample every parameter again. Parameters that are neither weights nor biases are as in a new `Recurrent`."""
        state = self.echo_state
        scales = {"weight_ih": state.input_scale / self.input_size**0.5, "bias_ih": state.bias_scale, "bias_hh": 0.0}
        for names in self._names.values():
            for name, full in names:
                parameter = getattr(self, full)
                if name == "weight_hh":
                    parameter.copy_(self._recurrent_weights(parameter))
                elif name in scales:
                    parameter.uniform_(-scales[name], scales[name])
                else:
                    first_values(self.cell, name, parameter, self.hidden_size)

    def extra_repr(self) -> str:
        shown = f"{self.echo_state!r}, {self.input_size}, {self.hidden_size}"
        return shown + "".join(f", {name}=True" for name in ("batch_first", "bidirectional") if getattr(self, name))

    def _recurrent_weights(self, like: Tensor) -> Tensor:
        """Sparse weights like (G * H, columns), those of each gate scaled to the spectral radius, in float64."""
        columns = like.shape[1]
        density = self.echo_state.density or min(1.0, _NEIGHBOURS / columns)
        weights = torch.rand(like.shape, dtype=torch.float64, device=like.device) * 2 - 1
        weights[torch.rand(like.shape, dtype=torch.float64, device=like.device) >= density] = 0.0
        # A block for each gate and head; the units of a diagonal recurrence are blocks of one.
        blocks = weights.view(len(self.cell.recurrent_gates()), -1, columns, columns)
        radii = torch.linalg.eigvals(blocks).abs().amax((1, 2))
        if not bool((radii > 1e-9).all()):
            way_out = "Take a larger one, or more units."
            raise ParameterError("density", "enough recurrent weights that states return", density, way_out)
        return (blocks * (self.echo_state.spectral_radius / radii)[:, None, None, None]).view(like.shape)


def _unsuitable(cell: Cell) -> str:
    """Why the cell makes no reservoir; empty if it does."""
    if cell.recurrence == "none":
        return "has no recurrent weights"
    if cell.elapsed != "none":
        return "reads the time since the last step by weights that have to be trained"
    if cell.output_nonlinearity is not None:
        return "projects its output, and its recurrent weights do not read its state"
    if cell.layer_norm:
        return "normalises its projections, which takes the meaning from a spectral radius"
    if cell.products() or cell.widths():
        return "has products or sizes of its own, which a spectral radius of the recurrent weights does not limit"
    return ""
