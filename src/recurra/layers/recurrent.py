"""The sequence layer: any cell, stacked, in one or both directions."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from recurra import kernels
from recurra.cells import Cell
from recurra.errors import ParameterError, ShapeError
from recurra.kernels import Masks, Weights
from recurra.layers.dropout import variational_dropout, zoneout_masks
from recurra.layers.elapsed import backward_elapsed, check_elapsed
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
from recurra.layers.resets import check_resets, run_pieces
from recurra.layers.scripting import NotScripted
from recurra.layers.torch_words import check_dropout, check_flag, check_size, hidden_of_layer
from recurra.shapes import check_lengths, check_probability, check_shape

__all__ = ["Recurrent"]


class Recurrent(NotScripted, nn.Module):
    """A stack of recurrent layers over any cell, with the interface of torch.nn.LSTM.

    Args:
        cell: the equations, e.g. `recurra.cells.LSTM()`.
        input_size: I, features of the input.
        hidden_size: H, features of the state.
        num_layers: L, layers stacked; layer k reads the output of layer k - 1.
        bias: whether both projections have a bias.
        batch_first: whether input and output are (B, T, ...) rather than (T, B, ...).
        dropout: probability, on the output of each layer but the last, while training.
        bidirectional: whether each layer also runs backward in time; D is then 2, else 1.
        proj_size: R, size of the projected output (Sak et al. 2014), less than H, for a cell such as the LSTM,
            whose equations read the last output through the recurrent weights only; 0: no projection. A cell that
            always projects (Jordan) takes any size; 0: H.
        device: of the parameters.
        dtype: of the parameters.
        recurrent_dropout: probability, while training, on what the recurrent weights read, the same mask at every
            step of a sequence (variational dropout, Gal and Ghahramani 2016).
        zoneout: probability that a unit keeps its state for a step (Krueger et al. 2017), one for all parts
            of the state or one for each; when not training, its expectation.
        weight_dropout: probability, while training, on the recurrent weights themselves (DropConnect, Wan et al. 2013;
            of recurrent weights Merity et al. 2018): one mask for all steps and sequences of a call. The parameters
            do not change.
        variational: whether the mask of `dropout` is the same at every step of a sequence (Gal and Ghahramani 2016).
        recompute: whether the backward pass computes the sequence again, in segments of about sqrt(T) steps, and
            holds about sqrt(T) instead of T steps in memory (Chen et al. 2016).
        backend: "auto" (the fastest kernel that serves) or the name of one: "reference", "aten", "native".
        elapsed_size: E, how many times a step has, for a cell that reads the time since the last step: 1, or of a cell
            that weights them, such as `GRUD`, any number, such as the age of each input channel.

    The parameters carry torch's names (`weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0`,
    `weight_hr_l0`, with `_reverse` for the second direction) and are sampled as in torch, uniform in
    +-1/sqrt(H) and in the same order; a cell's other parameters follow: scales of layer normalisation (`norm_ih_l0`,
    `norm_hh_l0`), its per-unit parameters under their own names, those of its products (`weight_NAME_l0`,
    `bias_NAME_l0`), and the weights of the times (`weight_eh_l0`, `bias_eh_l0`).

    Raises:
        ParameterError: for a parameter out of its range.
    """

    weight_ih_l0: nn.Parameter

    def __init__(
        self,
        cell: Cell,
        input_size: int,
        hidden_size: int,
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
        zoneout: float | tuple[float, ...] = 0.0,
        weight_dropout: float = 0.0,
        variational: bool = False,
        recompute: bool = False,
        backend: str = "auto",
        elapsed_size: int = 1,
    ) -> None:
        super().__init__()
        check_cell(cell, input_size, hidden_size, proj_size)
        check_elapsed_size(cell, elapsed_size)
        if elapsed_size > 1 and bidirectional:
            expected = f"False with elapsed_size = {elapsed_size}: ages of channels are not known backward in time"
            raise ParameterError("bidirectional", expected, bidirectional)
        check_size("num_layers", num_layers)
        check_flag("bias", bias)
        check_flag("batch_first", batch_first)
        check_dropout("dropout", dropout)
        for name, probability in (("recurrent_dropout", recurrent_dropout), ("weight_dropout", weight_dropout)):
            check_probability(name, probability)
            if probability and cell.recurrence == "none":
                raise ParameterError(name, f"0, as {cell!r} has no recurrent weights", probability)
        check_backend(backend)
        kernels.register(cell)
        self.cell = cell
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size or (hidden_size if cell.output_nonlinearity is not None else 0)
        self.recurrent_dropout = float(recurrent_dropout)
        self.zoneout = check_zoneout(cell, zoneout)
        self.weight_dropout = float(weight_dropout)
        self.variational = variational
        self.recompute = recompute
        self.backend = backend
        self.elapsed_size = elapsed_size
        # The names of the parameters, joined once and not at every step of a stream.
        self._names = {
            (layer, reverse): [(name, _parameter_name(name, layer, reverse)) for name in self._shapes(layer)]
            for layer, reverse in self._layers()
        }
        self._runners = [kernels.Runner() for _ in self._names]
        for layer, reverse in self._layers():
            self._add_parameters(layer, reverse, device, dtype)
        self.reset_parameters()

    @property
    def all_weights(self) -> list[list[nn.Parameter]]:
        """The parameters of each layer and direction, in the order of torch.nn.LSTM.all_weights."""
        return [[getattr(self, full) for _, full in names] for names in self._names.values()]

    @property
    def state_sizes(self) -> list[int]:
        """The size of each part of the state, of one layer and direction."""
        return state_sizes(self.cell, self.hidden_size, self.proj_size)

    @property
    def output_size(self) -> int:
        """Features of the output: D * (proj_size or H)."""
        return (2 if self.bidirectional else 1) * (self.proj_size or self.hidden_size)

    def reset_parameters(self) -> None:
        """Sample every parameter again, as in torch.nn.LSTM: uniform in +-1/sqrt(H), unless the cell initialises it."""
        for names in self._names.values():
            for name, full in names:
                first_values(self.cell, name, getattr(self, full), self.hidden_size)

    def flatten_parameters(self) -> None:
        """Do nothing: code written for torch.nn.LSTM may call it."""

    def extra_repr(self) -> str:
        shown = [f"{self.cell!r}, {self.input_size}, {self.hidden_size}"]
        defaults = {
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0.0,
            "bidirectional": False,
            "proj_size": 0,
            "backend": "auto",
            "recurrent_dropout": 0.0,
            "zoneout": (0.0,) * len(self.cell.state),
            "weight_dropout": 0.0,
            "variational": False,
            "recompute": False,
            "elapsed_size": 1,
        }
        options = {name: getattr(self, name) for name in defaults}
        shown += [f"{name}={value!r}" for name, value in options.items() if value != defaults[name]]
        return ", ".join(shown)

    def forward(
        self,
        input: Tensor | PackedSequence,  # noqa: A002 (torch's name)
        hx: Tensor | tuple[Tensor, ...] | None = None,
        lengths: Tensor | Sequence[int] | None = None,
        resets: Tensor | None = None,
        elapsed: Tensor | None = None,
    ) -> tuple[Any, Any]:
        """Run over a sequence.

        Within torch.autocast, input and `hx` of another floating-point dtype are converted to the parameters', and the
        results are of the dtype that autocast gives its operations.

        Args:
            input: (T, B, I), or (B, T, I) with `batch_first`, or (T, I) for one sequence, or packed.
            hx: the initial state, (D * L, B, H) or without B for one sequence; a tuple of these for a cell
                whose state has several parts, the first of size `proj_size` if that is not 0. If None,
                zeros.
            lengths: true lengths (B,), 0 to T, for padded input. Padding is never read; the output there is
                zero, the reverse direction starts at each sequence's own last step, and the final state is
                the state at the true end.
            resets: bool (T, B), or (B, T) with `batch_first`, or (T,) for one sequence. True is a boundary
                before the step: the state starts again from zeros, and neither values nor gradients cross.
                The reverse direction starts again on the other side, at the step before. Each direction takes
                `hx` where it enters a sequence and returns its final state where it leaves it. A boundary
                before the first step therefore discards the `hx` of the forward direction. Boundaries in
                padding have no effect. The pieces between boundaries are sequences of their own to dropout and
                zoneout. torch.compile breaks its graph here, because the boundaries depend on values.
            elapsed: (T, B, E), or (B, T, E) with `batch_first`, or (T, E) for one sequence: the times since the last
                step, in any unit and not negative, for a cell that reads them; every layer of the stack does. Padding
                is never read. Gradients flow to it. The reverse direction reads at each step the time to the step
                after it, and at the last the time given at the first. If None, every time is 1: steps on a grid.

        Returns:
            The output (T, B, output_size), in the input's layout (packed for packed input), and the final
            state, in the form of `hx`.

        Raises:
            ShapeError: if a shape, dtype or length does not fit.
            ParameterError: for `lengths` with packed input or with one sequence, for `resets` and `elapsed` with
                packed input, and for `elapsed` with a cell that does not read the time.
            BackendError: if the backend asked for by name cannot serve.
        """
        if isinstance(input, PackedSequence):
            if lengths is not None:
                raise ParameterError("lengths", "None with packed input, which holds its own", lengths)
            if resets is not None:
                raise ParameterError("resets", "None with packed input; give padded input with lengths", resets)
            if elapsed is not None:
                raise ParameterError("elapsed", "None with packed input; give padded input with lengths", elapsed)
            return self._forward_packed(input, hx)
        if input.dim() == 2:
            if lengths is not None:
                raise ParameterError("lengths", "None with one sequence without a batch dimension", lengths)
            if resets is not None:
                resets = check_resets(resets, input.shape[:1], "(T,)").unsqueeze(1)
            if elapsed is not None:
                elapsed = check_elapsed(self, elapsed, input, self.weight_ih_l0, "(T, E)").unsqueeze(1)
            output, final = self._run(input.unsqueeze(1), hx, None, resets, elapsed, batched=False)
            return output.squeeze(1), self._pack_state([part.squeeze(1) for part in final])
        if input.dim() != 3:
            words = f"{type(self).__name__}: Expected input to be 2D or 3D, got {input.dim()}D instead"
            raise ShapeError("input", "2 or 3 dimensions", f"{input.dim()}", words)
        x = input.transpose(0, 1) if self.batch_first else input
        steps, batch = x.shape[:2]
        if resets is not None:
            check_resets(resets, input.shape[:2], "(B, T)" if self.batch_first else "(T, B)")
            resets = resets.t() if self.batch_first else resets
        if lengths is not None:
            lengths = check_lengths(lengths, batch, steps)
        if elapsed is not None:
            letters = "(B, T, E)" if self.batch_first else "(T, B, E)"
            elapsed = check_elapsed(self, elapsed, input, self.weight_ih_l0, letters)
            elapsed = elapsed.transpose(0, 1) if self.batch_first else elapsed
        output, final = self._run(x, hx, lengths, resets, elapsed)
        return output.transpose(0, 1) if self.batch_first else output, self._pack_state(final)

    def _forward_packed(self, packed: PackedSequence, hx: Any) -> tuple[PackedSequence, Any]:
        x, lengths = pad_packed_sequence(packed)
        output, final = self._run(x, hx, lengths)
        order = packed.sorted_indices
        if order is not None:
            output, lengths = output.index_select(1, order), lengths[order.cpu()]
        data, batch_sizes, _, _ = pack_padded_sequence(output, lengths)
        return PackedSequence(data, batch_sizes, order, packed.unsorted_indices), self._pack_state(final)

    def _run(
        self,
        x: Tensor,
        hx: Any,
        lengths: Tensor | None,
        resets: Tensor | None = None,
        elapsed: Tensor | None = None,
        batched: bool = True,
    ) -> tuple[Tensor, list[Tensor]]:
        """Check x (T, B, I) and hx, and run; returns the output and the final state by part (D * L, B, H)."""
        if x.shape[2] != self.input_size:
            words = f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {x.shape[2]}"
            raise ShapeError("input", f"input_size = {self.input_size} features", f"{x.shape[2]}", words)
        # One mask of weight_dropout a call, however many runs its pieces take.
        weights = [self.weights_of(*key, reads_elapsed=elapsed is not None) for key in self._names]
        x = in_dtype_of("input", x, weights[0].weight_ih)
        state = self._initial_state(x, x.shape[1], hx, batched)
        if elapsed is not None:
            x = torch.cat([x, elapsed], 2)
        run = partial(self._run_stack, weights, 0 if elapsed is None else self.elapsed_size)
        if resets is None or not resets.any():
            return run(x, state, lengths)
        return run_pieces(run, x, state, lengths, resets, 2 if self.bidirectional else 1)

    def _run_stack(
        self, weights: list[Weights], times: int, x: Tensor, state: list[Tensor], lengths: Tensor | None
    ) -> tuple[Tensor, list[Tensor]]:
        """Run all layers over x (T, B, I + times); the state by part (D * L, B, H)."""
        directions = 2 if self.bidirectional else 1
        final: list[tuple[Tensor, ...]] = []
        elapsed = x[:, :, self.input_size :] if times else None
        for layer in range(self.num_layers):
            own = range(layer * directions, (layer + 1) * directions)
            inputs = [x] * directions
            if elapsed is not None and self.bidirectional:
                inputs[1] = backward_elapsed(x, times, lengths)
            results = kernels.run_directions(
                [self._runners[k] for k in own],
                self.backend,
                self.cell,
                inputs,
                [tuple([part[k] for part in state]) for k in own],
                [weights[k] for k in own],
                lengths,
                [self._masks(x) for _ in own],
                self.recompute,
            )
            final += [last for _, last in results]
            x = torch.cat([output for output, _ in results], dim=2) if self.bidirectional else results[0][0]
            if self.dropout and layer < self.num_layers - 1:
                drop = variational_dropout if self.variational else nn.functional.dropout
                x = drop(x, self.dropout, self.training)
            if elapsed is not None and layer < self.num_layers - 1:
                x = torch.cat([x, elapsed], 2)
        if len(final) == 1:
            return x, [part.unsqueeze(0) for part in final[0]]
        return x, [torch.stack(part) for part in zip(*final, strict=True)]

    def _initial_state(self, x: Tensor, batch: int, hx: Any, batched: bool = True) -> list[Tensor]:
        count = self.num_layers * (2 if self.bidirectional else 1)
        sizes = self.state_sizes
        if hx is None:
            return [x.new_zeros(count, batch, size) for size in sizes]
        parts = list(hx) if isinstance(hx, tuple | list) else [hx]
        if len(parts) != len(sizes):
            names = ", ".join(self.cell.state)
            raise ShapeError("hx", f"{len(sizes)} tensors ({names})", f"{len(parts)}")
        for k, (part, size) in enumerate(zip(parts, sizes, strict=True)):
            expected = (count, batch, size) if batched else (count, size)
            if part.shape != expected or part.dtype != x.dtype:
                name = f"hx ({self.cell.state[k]})"
                letters, words = "(D * L, B, H)" if batched else "(D * L, H)", hidden_of_layer(part, expected, batched)
                check_shape(name, part, expected, letters, words)
                parts[k] = in_dtype_of(name, part, x)
        return parts if batched else [part.unsqueeze(1) for part in parts]

    def _pack_state(self, parts: list[Tensor]) -> Any:
        return tuple(parts) if len(parts) > 1 else parts[0]

    def _layers(self) -> Iterator[tuple[int, bool]]:
        yield from product(range(self.num_layers), (False, True) if self.bidirectional else (False,))

    def _shapes(self, layer: int) -> dict[str, tuple[int, ...]]:
        features = self.input_size if layer == 0 else self.output_size
        return parameter_shapes(self.cell, features, self.hidden_size, self.bias, self.proj_size, self.elapsed_size)

    def _add_parameters(self, layer: int, reverse: bool, device: Any, dtype: torch.dtype | None) -> None:
        for name, shape in self._shapes(layer).items():
            parameter = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
            self.register_parameter(_parameter_name(name, layer, reverse), parameter)

    def weights_of(self, layer: int, reverse: bool = False, reads_elapsed: bool = False) -> Weights:
        """The weights of one layer in one direction; a mask of `weight_dropout` is sampled while training.

        Args:
            layer: 0 to L - 1.
            reverse: whether of the backward direction.
            reads_elapsed: whether its input is followed by the times of the step; if not, all are 1.
        """
        parameters = parameters_by_name(self, self._names[layer, reverse])
        if self.weight_dropout:
            parameters["weight_hh"] = nn.functional.dropout(parameters["weight_hh"], self.weight_dropout, self.training)
        return as_weights(self.cell, parameters, reads_elapsed)

    def _masks(self, x: Tensor) -> Masks | None:
        """Masks of one layer in one direction for x (T, B, ...), sampled at each call while training."""
        if not self.recurrent_dropout and not any(self.zoneout):
            return None
        batch = x.shape[1]
        recurrent = zoneout = None
        if self.recurrent_dropout and self.training:
            ones = x.new_ones(batch, self.proj_size or self.hidden_size)
            recurrent = nn.functional.dropout(ones, self.recurrent_dropout)
        if any(self.zoneout):
            zoneout = zoneout_masks(x, self.state_sizes, self.zoneout, self.training)
        return None if recurrent is None and zoneout is None else Masks(recurrent, zoneout)


def _parameter_name(name: str, layer: int, reverse: bool) -> str:
    return f"{name}_l{layer}{'_reverse' if reverse else ''}"
