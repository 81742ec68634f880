"""Single steps as modules: one step of any cell, and torch.nn's three cells."""

from typing import Any

import torch
from torch import Tensor, nn

from recurra import cells, kernels
from recurra.cells import Cell
from recurra.errors import ShapeError
from recurra.layers.parameters import (
    as_weights,
    check_backend,
    check_cell,
    first_values,
    parameter_shapes,
    parameters_by_name,
)
from recurra.layers.precision import in_dtype_of
from recurra.shapes import check_shape

__all__ = ["GRUCell", "LSTMCell", "RNNCell", "RecurrentCell"]


class RecurrentCell(nn.Module):
    """One step of any cell, with the interface of torch.nn.LSTMCell.

    Args:
        cell: the equations, e.g. `recurra.cells.LSTM()`.
        input_size: I, features of the input.
        hidden_size: H, features of the state.
        bias: whether both projections have a bias.
        device: of the parameters.
        dtype: of the parameters.
        proj_size: see `Recurrent`; the first part of the state is then (B, proj_size).
        backend: see `Recurrent`.

    The parameters are those of `Recurrent`, without the suffix of the layer.

    Raises:
        ParameterError: for a parameter out of its range.
    """

    weight_ih: nn.Parameter

    def __init__(
        self,
        cell: Cell,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        proj_size: int = 0,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        check_cell(cell, input_size, hidden_size, proj_size)
        check_backend(backend)
        kernels.register(cell)
        self._runner = kernels.Runner()
        self.cell = cell
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        self.backend = backend
        self.proj_size = proj_size or (hidden_size if cell.output_nonlinearity is not None else 0)
        shapes = parameter_shapes(cell, input_size, hidden_size, bias, self.proj_size)
        self._names = [(name, name) for name in shapes]  # put together once and not at every step
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))
        if not bias:
            self.bias_ih = self.bias_hh = None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Sample every parameter again, as in torch.nn.LSTMCell: uniform in +-1/sqrt(H), unless the cell sets it."""
        for name, _ in self._names:
            first_values(self.cell, name, getattr(self, name), self.hidden_size)

    def extra_repr(self) -> str:
        shown = [f"{self.cell!r}, {self.input_size}, {self.hidden_size}"]
        defaults = {"bias": True, "proj_size": 0, "backend": "auto"}
        options = {name: getattr(self, name) for name in defaults}
        shown += [f"{name}={value!r}" for name, value in options.items() if value != defaults[name]]
        return ", ".join(shown)

    def forward(
        self,
        input: Tensor,  # noqa: A002 (torch's name)
        hx: Tensor | tuple[Tensor, ...] | None = None,
    ) -> Any:
        """One step.

        Within torch.autocast, input and `hx` of another floating-point dtype are converted to the parameters', and the
        result is of the dtype that autocast gives its operations.

        Args:
            input: (B, I), or (I,) for one sequence.
            hx: the state, (B, H) or (H,); a tuple of these for a cell whose state has several parts. If
                None, zeros.

        Returns:
            The state after the step, in the form of `hx`; its first part is the output.

        Raises:
            ShapeError: if a shape or dtype does not fit.
        """
        if input.dim() not in (1, 2):
            raise ShapeError("input", "1 or 2 dimensions", f"{input.dim()}")
        x = input if input.dim() == 2 else input.unsqueeze(0)
        if x.shape[1] != self.input_size:
            check_shape("input", x, (x.shape[0], self.input_size), "(B, I)")
        x = in_dtype_of("input", x, self.weight_ih)
        state = self._state(x, hx, batched=input.dim() == 2)
        weights = as_weights(self.cell, parameters_by_name(self, self._names))
        after = self._runner(self.backend, self.cell, x.unsqueeze(0), state, weights)[1]
        if input.dim() == 1:
            after = tuple(part.squeeze(0) for part in after)
        return after[0] if len(after) == 1 else after

    def _state(self, x: Tensor, hx: Any, batched: bool) -> tuple[Tensor, ...]:
        names = self.cell.state
        sizes = [self.proj_size or self.hidden_size] + [self.hidden_size] * (len(names) - 1)
        if hx is None:
            return tuple([x.new_zeros(x.shape[0], size) for size in sizes])
        parts = list(hx) if isinstance(hx, tuple | list) else [hx]
        if len(parts) != len(names):
            raise ShapeError("hx", f"{len(names)} tensors ({', '.join(names)})", f"{len(parts)}")
        dtype = self.weight_ih.dtype
        for k, (part, size) in enumerate(zip(parts, sizes, strict=True)):
            expected = (x.shape[0], size) if batched else (size,)
            if part.shape != expected or part.dtype != dtype:
                name = f"hx ({names[k]})"
                check_shape(name, part, expected, "(B, H)" if batched else "(H,)")
                parts[k] = in_dtype_of(name, part, self.weight_ih)
        return tuple(parts if batched else [part.unsqueeze(0) for part in parts])


class RNNCell(RecurrentCell):
    """One step of an Elman network; constructor, `state_dict`, arguments and results as torch.nn.RNNCell."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        backend: str = "auto",
    ) -> None:
        super().__init__(cells.Elman(nonlinearity), input_size, hidden_size, bias, device, dtype, backend=backend)
        self.nonlinearity = nonlinearity


class LSTMCell(RecurrentCell):
    """One step of an LSTM, `h, c = cell(x, (h, c))`; as torch.nn.LSTMCell."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        backend: str = "auto",
    ) -> None:
        super().__init__(cells.LSTM(), input_size, hidden_size, bias, device, dtype, backend=backend)


class GRUCell(RecurrentCell):
    """One step of a GRU, `h = cell(x, h)`; as torch.nn.GRUCell."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        backend: str = "auto",
    ) -> None:
        super().__init__(cells.GRU(), input_size, hidden_size, bias, device, dtype, backend=backend)
