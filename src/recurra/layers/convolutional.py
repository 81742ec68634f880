"""The sequence layer over maps: any cell whose projections are convolutions (ConvLSTM), stacked, in both directions."""

from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from recurra import cells
from recurra.cells import Cell
from recurra.errors import ParameterError, ShapeError
from recurra.kernels import Weights, convolution
from recurra.layers.parameters import as_weights, check_cell, first_values, parameter_shapes, parameters_by_name
from recurra.layers.precision import in_dtype_of
from recurra.layers.resets import check_resets, run_pieces
from recurra.layers.scripting import NotScripted
from recurra.layers.torch_words import check_dropout, check_flag, check_size
from recurra.shapes import check_lengths, check_probability, check_shape

__all__ = ["ConvLSTM", "ConvRecurrent"]


class ConvRecurrent(NotScripted, nn.Module):
    """A stack of recurrent layers over any cell, whose input and state are maps of Y rows and X columns.

    The equations are the cell's, at each position: the matrix products of the input and of the last output become
    convolutions, beyond whose borders there are zeros (Shi et al. 2015, equation 3, whose cell is the LSTM with
    peepholes). Per-unit parameters, such as peepholes, are one number a channel, the same at all positions, so that a
    layer reads maps of any size. With kernels of size 1 it computes what `Recurrent` computes at each position.

    Args:
        cell: the equations, with a dense recurrence or none: without heads, layer normalisation, elapsed time, and
            products or sizes of its own.
        input_size: I, channels of the input.
        hidden_size: H, channels of the state.
        kernel_size: M, or (M, N), of both convolutions: rows and columns that they see, odd numbers.
        num_layers: L, layers stacked; layer k reads the output of layer k - 1.
        bias: whether both projections have a bias.
        batch_first: whether input and output are (B, T, ...) rather than (T, B, ...).
        dropout: probability, on the output of each layer but the last, while training.
        bidirectional: whether each layer also runs backward in time; D is then 2, else 1.
        proj_size: R, channels of the projected output, less than H, see `Recurrent`; the projection reads each position
            by itself. 0: no projection.
        device: of the parameters.
        dtype: of the parameters.
        recurrent_dropout: probability, while training, that the recurrent weights do not read a channel of a sequence,
            at any step or position.

    The parameters have the names of those of `Recurrent`. Weights are convolutions: `weight_ih_l0` (G * H, I, M, N),
    `weight_hh_l0` (G * H, R, M, N), `weight_hr_l0` (R, H, 1, 1). They are uniform in +-1/sqrt(H M N) at first, unless
    the cell initialises them.

    Raises:
        ParameterError: for a parameter out of its range.
    """

    def __init__(
        self,
        cell: Cell,
        input_size: int,
        hidden_size: int,
        kernel_size: int | tuple[int, int] = 3,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        recurrent_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_cell(cell, input_size, hidden_size, proj_size)
        by_unit = not (cell.layer_norm or cell.products() or cell.widths())
        if cell.recurrence not in ("dense", "none") or cell.elapsed != "none" or not by_unit:
            without = "layer normalisation, elapsed time, and products or sizes of its own"
            raise ParameterError("cell", f"a cell with a dense recurrence or none, without {without}", cell)
        sizes = (kernel_size, kernel_size) if isinstance(kernel_size, int) else tuple(kernel_size)
        if len(sizes) != 2 or any(isinstance(n, bool) or not isinstance(n, int) or n < 1 or n % 2 == 0 for n in sizes):
            raise ParameterError("kernel_size", "an odd number of at least 1, or two", kernel_size)
        check_size("num_layers", num_layers)
        for name, flag in (("bias", bias), ("batch_first", batch_first), ("bidirectional", bidirectional)):
            check_flag(name, flag)
        check_dropout("dropout", dropout)
        check_probability("recurrent_dropout", recurrent_dropout)
        if recurrent_dropout and cell.recurrence == "none":
            expected = f"0, as {cell!r} has no recurrent weights"
            raise ParameterError("recurrent_dropout", expected, recurrent_dropout)
        self.cell = cell
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.kernel_size = sizes
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size or (hidden_size if cell.output_nonlinearity is not None else 0)
        self.recurrent_dropout = float(recurrent_dropout)
        self._names: dict[tuple[int, bool], list[tuple[str, str]]] = {}
        for layer, reverse in product(range(num_layers), (False, True) if bidirectional else (False,)):
            suffix = f"_l{layer}{'_reverse' if reverse else ''}"
            shapes = self._shapes(layer)
            self._names[layer, reverse] = [(name, name + suffix) for name in shapes]
            for name, shape in shapes.items():
                parameter = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
                self.register_parameter(name + suffix, parameter)
        self.reset_parameters()

    @property
    def output_size(self) -> int:
        """Channels of the output: D * (proj_size or H)."""
        return (2 if self.bidirectional else 1) * (self.proj_size or self.hidden_size)

    def reset_parameters(self) -> None:
        """Sample every parameter again: uniform in +-1/sqrt(H M N), unless the cell initialises it."""
        seen = self.hidden_size * self.kernel_size[0] * self.kernel_size[1]
        for names in self._names.values():
            for name, full in names:
                first_values(self.cell, name, getattr(self, full), seen)

    def extra_repr(self) -> str:
        shown = [f"{self.cell!r}, {self.input_size}, {self.hidden_size}, kernel_size={self.kernel_size}"]
        defaults = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False,
                    "proj_size": 0, "recurrent_dropout": 0.0}  # fmt: skip
        options = {name: getattr(self, name) for name in defaults}
        shown += [f"{name}={value!r}" for name, value in options.items() if value != defaults[name]]
        return ", ".join(shown)

    def forward(
        self,
        input: Tensor,  # noqa: A002 (torch's name)
        hx: Tensor | tuple[Tensor, ...] | None = None,
        lengths: Tensor | Sequence[int] | None = None,
        resets: Tensor | None = None,
    ) -> tuple[Tensor, Any]:
        """Run over a sequence of maps.

        Args:
            input: (T, B, I, Y, X), or (B, T, I, Y, X) with `batch_first`, or (T, I, Y, X) for one sequence.
            hx: the initial state, (D * L, B, H, Y, X) or without B for one sequence; a tuple of these for a cell whose
                state has several parts, the first of `proj_size` channels if that is not 0. If None, zeros.
            lengths: true lengths (B,), 0 to T; see `Recurrent`. Padding is neither read nor computed.
            resets: bool (T, B), or (B, T) with `batch_first`, or (T,) for one sequence; see `Recurrent`.

        Returns:
            The output (T, B, output_size, Y, X), in the input's layout, and the final state, in the form of `hx`.

        Raises:
            ShapeError: if a shape, dtype or length does not fit.
            ParameterError: for `lengths` with one sequence.
        """
        if input.dim() not in (4, 5):
            raise ShapeError("input", "4 or 5 dimensions, the last two of maps", f"{input.dim()}")
        batched = input.dim() == 5
        if not batched and lengths is not None:
            raise ParameterError("lengths", "None with one sequence without a batch dimension", lengths)
        time_first = not (self.batch_first and batched)
        x = (input if time_first else input.transpose(0, 1)) if batched else input.unsqueeze(1)
        if x.shape[2] != self.input_size:
            raise ShapeError("input", f"input_size = {self.input_size} channels", f"{x.shape[2]}")
        steps, batch = x.shape[:2]
        if resets is not None:
            letters = ("(T, B)" if time_first else "(B, T)") if batched else "(T,)"
            check_resets(resets, input.shape[:2] if batched else input.shape[:1], letters)
            resets = (resets if time_first else resets.t()) if batched else resets.unsqueeze(1)
        if lengths is not None:
            lengths = check_lengths(lengths, batch, steps)
        weights = [self._weights(*key) for key in self._names]
        x = in_dtype_of("input", x, weights[0].weight_ih)
        state = self._initial_state(x, hx, batched)
        run = partial(self._run_stack, weights)
        if resets is None or not resets.any():
            output, final = run(x, state, lengths)
        else:
            output, final = run_pieces(run, x, state, lengths, resets, 2 if self.bidirectional else 1)
        if not batched:
            output, final = output.squeeze(1), [part.squeeze(1) for part in final]
        elif not time_first:
            output = output.transpose(0, 1)
        return output, tuple(final) if len(final) > 1 else final[0]

    def _run_stack(
        self, weights: list[Weights], x: Tensor, state: list[Tensor], lengths: Tensor | None
    ) -> tuple[Tensor, list[Tensor]]:
        """Run all layers over x (T, B, I, Y, X); the state by part (D * L, B, H, Y, X)."""
        final: list[tuple[Tensor, ...]] = []
        for layer in range(self.num_layers):
            outputs = []
            for reverse in (False, True) if self.bidirectional else (False,):
                k = len(final)
                initial, mask = tuple(part[k] for part in state), None
                if self.recurrent_dropout and self.training:
                    ones = x.new_ones(x.shape[1], self.proj_size or self.hidden_size, 1, 1)
                    mask = nn.functional.dropout(ones, self.recurrent_dropout)
                output, last = convolution.run(self.cell, x, initial, weights[k], lengths, reverse, mask)
                outputs.append(output)
                final.append(last)
            x = torch.cat(outputs, dim=2) if self.bidirectional else outputs[0]
            if self.dropout and layer < self.num_layers - 1:
                x = nn.functional.dropout(x, self.dropout, self.training)
        return x, [torch.stack(part) for part in zip(*final, strict=True)]

    def _initial_state(self, x: Tensor, hx: Any, batched: bool) -> list[Tensor]:
        count, maps = len(self._names), x.shape[3:]
        sizes = [self.proj_size or self.hidden_size] + [self.hidden_size] * (len(self.cell.state) - 1)
        if hx is None:
            return [x.new_zeros(count, x.shape[1], size, *maps) for size in sizes]
        parts = list(hx) if isinstance(hx, tuple | list) else [hx]
        if len(parts) != len(sizes):
            raise ShapeError("hx", f"{len(sizes)} tensors ({', '.join(self.cell.state)})", f"{len(parts)}")
        letters = "(D * L, B, H, Y, X)" if batched else "(D * L, H, Y, X)"
        for k, (part, size) in enumerate(zip(parts, sizes, strict=True)):
            name = f"hx ({self.cell.state[k]})"
            check_shape(name, part, (count, *([x.shape[1]] if batched else []), size, *maps), letters)
            parts[k] = in_dtype_of(name, part, x)
        return parts if batched else [part.unsqueeze(1) for part in parts]

    def _shapes(self, layer: int) -> dict[str, tuple[int, ...]]:
        channels = self.input_size if layer == 0 else self.output_size
        seen: dict[str, Sequence[int]] = {"weight_ih": self.kernel_size, "weight_hh": self.kernel_size}
        seen["weight_hr"] = (1, 1)
        shapes = parameter_shapes(self.cell, channels, self.hidden_size, self.bias, self.proj_size)
        return {name: (*shape, *seen.get(name, ())) for name, shape in shapes.items()}

    def _weights(self, layer: int, reverse: bool) -> Weights:
        return as_weights(self.cell, parameters_by_name(self, self._names[layer, reverse]))


class ConvLSTM(ConvRecurrent):
    """ConvLSTM (Shi et al. 2015): an LSTM over maps, and every option of `ConvRecurrent`, which has the arguments.

    Args:
        peepholes: whether gates read the memory, as in the paper's equation 3; the weights of the peepholes are one
            number a channel.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        kernel_size: int | tuple[int, int] = 3,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        peepholes: bool = False,
        recurrent_dropout: float = 0.0,
    ) -> None:
        check_flag("peepholes", peepholes)
        super().__init__(
            cells.PeepholeLSTM() if peepholes else cells.LSTM(),
            input_size,
            hidden_size,
            kernel_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size,
            device=device,
            dtype=dtype,
            recurrent_dropout=recurrent_dropout,
        )
