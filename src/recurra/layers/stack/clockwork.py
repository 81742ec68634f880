"""The Clockwork RNN: groups of units that are computed every so many steps, and rest between."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from recurra.cells import Cell, Elman
from recurra.errors import ParameterError, ShapeError
from recurra.layers.parameters import first_values
from recurra.layers.precision import in_dtype_of
from recurra.layers.recurrent import Recurrent
from recurra.layers.resets import run_pieces
from recurra.layers.stack.combined import parts_of
from recurra.layers.stack.sequence_layer import SequenceLayer
from recurra.layers.torch_words import check_size

__all__ = ["ClockworkRNN"]


class ClockworkRNN(SequenceLayer):
    """Clockwork RNN (Koutnik et al. 2014): groups of units, each with a period, slower ones for longer memories.

    Group i is computed at the steps whose index, counted from 0, is a multiple of its period p_i:

    h_i = tanh(W_i x_t + b_i + sum over j >= i of U_ij h_j)     h_j before the step, p_j >= p_i

    At other steps it rests: it keeps its state and takes no time. A group therefore reads itself and slower groups. The
    index of the step is part of the state, so that a sequence in pieces, or step by step, has the same clocks.

    Over a whole sequence the slowest group is run first. Each group is then an ordinary recurrent layer over its own
    T / p_i steps, whose input is that of these steps and what the slower groups were before them, so that the native
    kernel runs it. Sequences of a batch at different phases of the clocks are run one phase after another.

    Args:
        input_size: I, features of the input.
        hidden_size: H, units of all groups together, divided evenly; the first groups have one more where H does not
            divide.
        periods: the period of each group, increasing; or how many groups G, of periods 1, 2, 4 to 2^(G - 1).
        batch_first: whether input and output are (B, T, ...) rather than (T, B, ...).
        cell: the equations of a group at its own steps. If None, `Elman()` as in the paper.
        bias: whether both projections of each group have a bias.
        device: of the parameters.
        dtype: of the parameters.
        backend: of the groups, see `Recurrent`.

    `groups` are the recurrent layers, fastest first. Their inputs are the I features and the units of slower groups in
    their order. All parameters are sampled as those of a dense layer of H units.

    The state is that of the cell, each part (1, B, H), followed by the index of the next step (1, B) of int64.

    Raises:
        ParameterError: for a parameter out of its range.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        periods: int | Sequence[int] = 8,
        batch_first: bool = False,
        *,
        cell: Cell | None = None,
        bias: bool = True,
        device: Any = None,
        dtype: torch.dtype | None = None,
        backend: str = "auto",
    ) -> None:
        check_size("hidden_size", hidden_size)
        super().__init__(input_size, hidden_size, batch_first)
        self.hidden_size = hidden_size
        self.periods = _check_periods(periods, hidden_size)
        self.cell = Elman() if cell is None else cell
        least, more = divmod(hidden_size, len(self.periods))
        self.group_sizes = [least + (group < more) for group in range(len(self.periods))]
        self.groups = nn.ModuleList(
            Recurrent(
                self.cell,
                input_size + sum(self.group_sizes[group + 1 :]),
                size,
                bias=bias,
                device=device,
                dtype=dtype,
                backend=backend,
            )
            for group, size in enumerate(self.group_sizes)
        )
        if self.cell.widths():
            raise ParameterError("cell", "one whose gates and parts of the state have H units each", self.cell)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Sample every parameter again: uniform in +-1/sqrt(H), unless the cell initialises it."""
        for layer in self.groups:
            for name, parameter in layer.named_parameters():
                first_values(self.cell, name.removesuffix("_l0"), parameter, self.hidden_size)

    def initial_state(self, batch_size: int = 1) -> tuple[Tensor, ...]:
        parts = [self.zeros(1, batch_size, self.hidden_size) for _ in self.cell.state]
        return (*parts, torch.zeros(1, batch_size, dtype=torch.int64, device=parts[0].device))

    def run(self, x: Tensor, state: Any, lengths: Tensor | None, resets: Tensor | None) -> tuple[Tensor, Any]:
        x = in_dtype_of("input", x, next(self.parameters()))
        parts = parts_of(state, len(self.cell.state) + 1)
        checked = [
            self.checked_state(part, name, x, self.hidden_size)
            for name, part in zip(self.cell.state, parts, strict=False)
        ]
        checked.append(self.checked_state(parts[-1], "step", x))
        if checked[-1].is_floating_point():
            raise ShapeError("state (step)", "integers", checked[-1].dtype)
        x = x.transpose(0, 1)
        if resets is None or not resets.any():
            output, after = self._run(x, checked, lengths)
        else:
            output, after = run_pieces(self._run, x, checked, lengths, resets.t(), 1)
        return output.transpose(0, 1), tuple(after)

    def extra_repr(self) -> str:
        cell = "" if self.cell == Elman() else f", cell={self.cell!r}"
        return f"{self.input_size}, {self.hidden_size}, periods={self.periods}, batch_first={self.batch_first}{cell}"

    def _run(self, x: Tensor, state: list[Tensor], lengths: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        """Run x (T, B, I) from the state by part, the index of the step last; returns the output and the new state."""
        *parts, index = state
        read = len(x) if lengths is None else lengths.to(index.device)
        # Steps ahead of the next one of each group, (B, G).
        ahead = (-index[0].cpu().unsqueeze(1)) % torch.tensor(self.periods)
        phases, of_row = ahead.unique(dim=0, return_inverse=True)
        if len(phases) <= 1:
            phase = phases[0].tolist() if len(phases) else [0] * len(self.periods)  # none of no sequences
            output, after = self._run_phase(x, parts, lengths, phase)
            return output, [*after, index + read]
        rows = [(of_row == k).nonzero().squeeze(1) for k in range(len(phases))]
        results = []
        for chosen, phase in zip(rows, phases.tolist(), strict=True):
            here = chosen.to(x.device)
            own = [part.index_select(1, here) for part in parts]
            valid = None if lengths is None else lengths[chosen]
            output, after = self._run_phase(x.index_select(1, here), own, valid, phase)
            results.append([output, *after])
        order = torch.cat(rows).argsort().to(x.device)
        output, *after = [torch.cat(part, 1).index_select(1, order) for part in zip(*results, strict=True)]
        return output, [*after, index + read]

    def _run_phase(
        self, x: Tensor, parts: list[Tensor], lengths: Tensor | None, ahead: list[int]
    ) -> tuple[Tensor, list[Tensor]]:
        """`_run` where all sequences are at the same phase: each group's first step is at `ahead` of it."""
        split = [part.split(self.group_sizes, 2) for part in parts]
        slower: list[Tensor] = []  # before each step, (T, B, units of the group), the fastest of them first
        outputs, finals = [], []
        for group in reversed(range(len(self.groups))):
            period, first = self.periods[group], ahead[group]
            initial = [part[group] for part in split]
            output, final = initial[0][:0], initial
            if first < len(x):
                valid = None if lengths is None else (lengths - first + period - 1).clamp(min=0) // period
                inputs = torch.cat([x[first::period], *[before[first::period] for before in slower]], 2)
                output, final = self.groups[group](inputs, tuple(initial) if len(initial) > 1 else initial[0], valid)
                final = list(final) if isinstance(final, tuple) else [final]
            # The initial state and then each output, held for a period: T + 1 values from before the first step.
            held = torch.cat([initial[0], output]).unsqueeze(1).expand(-1, period, -1, -1).flatten(0, 1)
            held = held[period - first - 1 :][: len(x) + 1]
            slower.insert(0, held[:-1])
            outputs.insert(0, held[1:])
            finals.insert(0, final)
        return torch.cat(outputs, 2), [torch.cat(part, 2) for part in zip(*finals, strict=True)]


def _check_periods(periods: int | Sequence[int], hidden_size: int) -> tuple[int, ...]:
    """The periods, refused unless they are positive, increasing and at most as many as there are units."""
    expected = "increasing whole numbers of at least 1, or how many groups"
    if isinstance(periods, int) and not isinstance(periods, bool):
        if not 1 <= periods <= 32:
            raise ParameterError("periods", f"{expected}, 1 to 32", periods)
        read = tuple(2**k for k in range(periods))
    else:
        read = tuple(periods) if isinstance(periods, Sequence) and not isinstance(periods, str) else ()
        whole = all(isinstance(period, int) and not isinstance(period, bool) for period in read)
        if not read or not whole or read[0] < 1 or any(a >= b for a, b in pairwise(read)):
            raise ParameterError("periods", expected, periods)
    if len(read) > hidden_size:
        hint = "A group has at least one unit."
        raise ParameterError("periods", f"at most hidden_size = {hidden_size} groups", len(read), hint)
    return read
