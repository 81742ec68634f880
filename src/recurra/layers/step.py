"""Single steps as modules: one step of any cell, and torch.nn's three cells."""

from typing import Any

import torch
from torch import Tensor, nn

from recurra import cells, kernels
from recurra.cells import Cell
from recurra.errors import ShapeError
from recurra.kernels import Masks
from recurra.layers.dropout import zoneout_masks
from recurra.layers.elapsed import check_elapsed
from recurra.layers.parameters import (
    as_weights,
    check_backend,
    check_cell,
    check_elapsed_size,
    check_zoneout,
    first_values,
    parameter_shapes,
    parameters_by_name,
    state_sizes,
)
from recurra.layers.precision import in_dtype_of
from recurra.layers.scripting import NotScripted
from recurra.layers.torch_words import check_flag, elman, hidden_of_cell
from recurra.shapes import check_shape

__all__ = ["GRUCell", "LSTMCell", "RNNCell", "RecurrentCell"]


class RecurrentCell(NotScripted, nn.Module):
    """One step of any cell, with the interface of torch.nn.LSTMCell.

    Args:
        cell: the equations, e.g. `recurra.cells.LSTM()`.
        input_size: I, features of the input.
        hidden_size: H, features of the state.
        bias: whether both projections have a bias.
        device: of the parameters.
        dtype: of the parameters.
        proj_size: see `Recurrent`; the first part of the state is then (B, proj_size).
        zoneout: see `Recurrent`; masks are sampled at each call.
        backend: see `Recurrent`.
        elapsed_size: see `Recurrent`.

    The parameters are those of `Recurrent`, without the suffix of the layer. There is no `recurrent_dropout` and no
    `weight_dropout`: their masks are the same at all steps of a sequence, and a single step does not know where one
    begins. A loop that does samples a mask of recurrent dropout itself, and passes it at each step.

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
        zoneout: float | tuple[float, ...] = 0.0,
        backend: str = "auto",
        elapsed_size: int = 1,
    ) -> None:
        super().__init__()
        check_cell(cell, input_size, hidden_size, proj_size)
        check_elapsed_size(cell, elapsed_size)
        check_flag("bias", bias)
        check_backend(backend)
        kernels.register(cell)
        self._runner = kernels.Runner()
        self.cell = cell
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        self.backend = backend
        self.elapsed_size = elapsed_size
        self.zoneout = check_zoneout(cell, zoneout)
        self.proj_size = proj_size or (hidden_size if cell.output_nonlinearity is not None else 0)
        shapes = parameter_shapes(cell, input_size, hidden_size, bias, self.proj_size, elapsed_size)
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
        defaults = {
            "bias": True,
            "proj_size": 0,
            "zoneout": (0.0,) * len(self.cell.state),
            "backend": "auto",
            "elapsed_size": 1,
        }
        options = {name: getattr(self, name) for name in defaults}
        shown += [f"{name}={value!r}" for name, value in options.items() if value != defaults[name]]
        return ", ".join(shown)

    def forward(
        self,
        input: Tensor,  # noqa: A002 (torch's name)
        hx: Tensor | tuple[Tensor, ...] | None = None,
        elapsed: Tensor | None = None,
        recurrent_mask: Tensor | None = None,
    ) -> Any:
        """One step.

        Within torch.autocast, input and `hx` of another floating-point dtype are converted to the parameters', and the
        result is of the dtype that autocast gives its operations.

        Args:
            input: (B, I), or (I,) for one sequence.
            hx: the state, (B, H) or (H,); a tuple of these for a cell whose state has several parts. If
                None, zeros.
            elapsed: (B, E), or (E,) for one sequence: the times since the last step, see `Recurrent.forward`. If None,
                every time is 1.
            recurrent_mask: (B, R), or (R,) for one sequence, R the size of the output: what multiplies the output
                before the recurrent weights read it, a mask of dropout for all steps of a sequence, say. None: nothing.

        Returns:
            The state after the step, in the form of `hx`; its first part is the output.

        Raises:
            ShapeError: if a shape or dtype does not fit.
            ParameterError: for `elapsed` with a cell that does not read the time.
        """
        if input.dim() not in (1, 2):
            words = f"{type(self).__name__}: Expected input to be 1D or 2D, got {input.dim()}D instead"
            raise ShapeError("input", "1 or 2 dimensions", f"{input.dim()}", words)
        x = input if input.dim() == 2 else input.unsqueeze(0)
        if x.shape[1] != self.input_size:
            words = f"input has inconsistent input_size: got {x.shape[1]} expected {self.input_size}"
            check_shape("input", x, (x.shape[0], self.input_size), "(B, I)", words)
        x = in_dtype_of("input", x, self.weight_ih)
        state = self._state(x, hx, batched=input.dim() == 2)
        weights = as_weights(self.cell, parameters_by_name(self, self._names), elapsed is not None)
        if elapsed is not None:
            letters = "(B, E)" if input.dim() == 2 else "(E,)"
            elapsed = check_elapsed(self, elapsed, input, self.weight_ih, letters)
            x = torch.cat([x, elapsed.reshape(len(x), -1)], 1)
        steps = x.unsqueeze(0)
        masks = None
        if recurrent_mask is not None:
            size = self.state_sizes[0]
            expected = (len(x), size) if input.dim() == 2 else (size,)
            check_shape("recurrent_mask", recurrent_mask, expected, "(B, R)" if input.dim() == 2 else "(R,)")
            recurrent_mask = recurrent_mask.reshape(len(x), size)
        if recurrent_mask is not None or any(self.zoneout):
            zoneout = any(self.zoneout)
            sampled = zoneout_masks(steps, self.state_sizes, self.zoneout, self.training) if zoneout else None
            masks = Masks(recurrent_mask, sampled)
        after = self._runner(self.backend, self.cell, steps, state, weights, masks=masks)[1]
        if input.dim() == 1:
            after = tuple(part.squeeze(0) for part in after)
        return after[0] if len(after) == 1 else after

    @property
    def state_sizes(self) -> list[int]:
        """The size of each part of the state."""
        return state_sizes(self.cell, self.hidden_size, self.proj_size)

    def _state(self, x: Tensor, hx: Any, batched: bool) -> tuple[Tensor, ...]:
        names = self.cell.state
        sizes = self.state_sizes
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
                words = hidden_of_cell(part, expected, k, len(parts))
                check_shape(name, part, expected, "(B, H)" if batched else "(H,)", words)
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
        zoneout: float | tuple[float, ...] = 0.0,
        backend: str = "auto",
    ) -> None:
        sizes = (input_size, hidden_size)
        super().__init__(elman(nonlinearity), *sizes, bias, device, dtype, zoneout=zoneout, backend=backend)
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
        zoneout: float | tuple[float, ...] = 0.0,
        backend: str = "auto",
    ) -> None:
        sizes = (input_size, hidden_size)
        super().__init__(cells.LSTM(), *sizes, bias, device, dtype, zoneout=zoneout, backend=backend)


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
        zoneout: float | tuple[float, ...] = 0.0,
        backend: str = "auto",
    ) -> None:
        sizes = (input_size, hidden_size)
        super().__init__(cells.GRU(), *sizes, bias, device, dtype, zoneout=zoneout, backend=backend)
