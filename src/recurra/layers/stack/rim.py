"""Recurrent independent mechanisms: modules that compete for the input, and talk to each other by attention."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention

from recurra.cells import LSTM, Cell
from recurra.errors import ParameterError
from recurra.kernels import reference
from recurra.kernels.projections import input_projection
from recurra.layers.parameters import as_weights, check_cell, first_values, parameter_shapes
from recurra.layers.precision import in_dtype_of
from recurra.layers.resets import run_pieces
from recurra.layers.stack.combined import parts_of
from recurra.layers.stack.sequence_layer import SequenceLayer
from recurra.layers.torch_words import check_size
from recurra.shapes import check_positive

__all__ = ["RIM"]


class RIM(SequenceLayer):
    """Recurrent independent mechanisms (Goyal et al. 2019): N modules of K = H / N units, cells of their own weights.

    At each step every module n compares its state h_n with the input, beside a null input of zeros:

    s_n = (W_qn h_n + b_qn) (W_k x_t) / sqrt(K)      a_n = sigmoid(s_n), which is the softmax over input and null input
    h'_n = cell_n(a_n W_v x_t, h_n)                  for the A modules of the largest s_n, the active ones
    h_n = h'_n + sum_m softmax_m(Q_n h'_n (K_m h'_m) / sqrt(K)) V_m h'_m      likewise, for one head

    Modules that are not active keep their state; others read it. The choice of modules has no gradient; the a_n and the
    attention have. The biases b_qn, which the paper does not have, let modules differ at the first step, where all
    states are zeros. Steps are computed one after another in torch, for all modules at once.

    Args:
        input_size: I, features of the input.
        hidden_size: H, units of all modules together, a multiple of N.
        num_modules: N.
        num_active: A, modules that are updated at a step. If None, two thirds of N, as 4 of 6 in the paper.
        batch_first: whether input and output are (B, T, ...) rather than (T, B, ...).
        cell: the equations of each module. If None, `LSTM()` as in the paper.
        bias: whether the projections of the cells have a bias.
        heads: of the attention among modules, a divisor of K.
        device: of the parameters.
        dtype: of the parameters.

    `cells` has the parameters of the cells under the names that they have in `RecurrentCell`, with a first dimension of
    N. `weight_key` and `weight_value` (K, I), `weight_query` (N, K, K) and `bias_query` (N, K) compete for the input;
    `talk_query`, `talk_key` and `talk_value` (N, K, K) are of the attention among modules. All are uniform in
    +-1/sqrt(K) at first, those that read the input in +-1/sqrt(I), unless the cell initialises them.

    The state is that of the cell, each part (1, B, H), module after module.

    Raises:
        ParameterError: for a parameter out of its range.
    """

    weight_key: nn.Parameter
    weight_value: nn.Parameter
    weight_query: nn.Parameter
    bias_query: nn.Parameter
    talk_query: nn.Parameter
    talk_key: nn.Parameter
    talk_value: nn.Parameter

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_modules: int = 6,
        num_active: int | None = None,
        batch_first: bool = False,
        *,
        cell: Cell | None = None,
        bias: bool = True,
        heads: int = 1,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_size("hidden_size", hidden_size)
        super().__init__(input_size, hidden_size, batch_first)
        check_positive("num_modules", num_modules)
        if hidden_size % num_modules:
            raise ParameterError("hidden_size", f"a multiple of the {num_modules} modules", hidden_size)
        self.num_active = max(1, round(num_modules * 2 / 3)) if num_active is None else num_active
        check_positive("num_active", self.num_active)
        if self.num_active > num_modules:
            raise ParameterError("num_active", f"at most num_modules = {num_modules}", num_active)
        size = hidden_size // num_modules
        check_positive("heads", heads)
        if size % heads:
            raise ParameterError("heads", f"a divisor of the {size} units of a module", heads)
        self.cell = LSTM() if cell is None else cell
        check_cell(self.cell, size, size, 0)
        if self.cell.output_nonlinearity is not None or self.cell.widths():
            expected = "one whose output is its state, without a projection, and whose gates and parts have K units"
            raise ParameterError("cell", expected, self.cell)
        self.hidden_size = hidden_size
        self.num_modules = num_modules
        self.module_size = size
        self.heads = heads
        self.cells = nn.ParameterDict(
            {
                name: torch.empty(num_modules, *shape, device=device, dtype=dtype)
                for name, shape in parameter_shapes(self.cell, size, size, bias, 0).items()
            }
        )
        shapes = {
            **dict.fromkeys(("weight_key", "weight_value"), (size, input_size)),
            **dict.fromkeys(("weight_query", "talk_query", "talk_key", "talk_value"), (num_modules, size, size)),
            "bias_query": (num_modules, size),
        }
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Sample every parameter again."""
        for name, parameter in self.cells.items():
            for of_module in parameter.detach():
                first_values(self.cell, name, of_module, self.module_size)
        for name, parameter in self.named_parameters(recurse=False):
            bound = 1 / math.sqrt(self.input_size if name in ("weight_key", "weight_value") else self.module_size)
            nn.init.uniform_(parameter, -bound, bound)

    def initial_state(self, batch_size: int = 1) -> Any:
        parts = [self.zeros(1, batch_size, self.hidden_size) for _ in self.cell.state]
        return tuple(parts) if len(parts) > 1 else parts[0]

    def forward(
        self,
        input: Tensor,  # noqa: A002 (torch's name)
        state: Any = None,
        lengths: Tensor | Sequence[int] | None = None,
        resets: Tensor | None = None,
    ) -> tuple[Tensor, Any]:
        output, state = super().forward(input, state, lengths, resets)
        return output[:, :, : self.hidden_size], state

    def step(self, input: Tensor, state: Any = None) -> tuple[Tensor, Any]:  # noqa: A002 (torch's name)
        output, state = super().step(input, state)
        return output[:, : self.hidden_size], state

    @torch.no_grad()
    def activity(
        self,
        input: Tensor,  # noqa: A002 (torch's name)
        state: Any = None,
        lengths: Tensor | Sequence[int] | None = None,
        resets: Tensor | None = None,
    ) -> Tensor:
        """Which modules are active when a sequence is read; arguments and errors are those of `forward`.

        Returns:
            Bool (T, B, N), or (B, T, N) with `batch_first`; False at padding.
        """
        return super().forward(input, state, lengths, resets)[0][:, :, self.hidden_size :] > 0

    def run(self, x: Tensor, state: Any, lengths: Tensor | None, resets: Tensor | None) -> tuple[Tensor, Any]:
        """`Block.run`, whose output is followed by N features: 1 for each active module, else 0."""
        x = in_dtype_of("input", x, self.weight_key)
        names = self.cell.state
        parts = [
            self.checked_state(part, name, x, self.hidden_size)
            for name, part in zip(names, parts_of(state, len(names)) if len(names) > 1 else [state], strict=True)
        ]
        x = x.transpose(0, 1)
        if resets is None or not resets.any():
            output, after = self._run(x, parts, lengths)
        else:
            output, after = run_pieces(self._run, x, parts, lengths, resets.t(), 1)
        return output.transpose(0, 1), tuple(after) if len(after) > 1 else after[0]

    def extra_repr(self) -> str:
        cell = "" if self.cell == LSTM() else f", cell={self.cell!r}"
        return (
            f"{self.input_size}, {self.hidden_size}, num_modules={self.num_modules}, num_active={self.num_active}, "
            f"batch_first={self.batch_first}{cell}"
        )

    def _run(self, x: Tensor, state: list[Tensor], lengths: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        """Run x (T, B, I) from the state by part (1, B, H); returns (T, B, H + N) and the state after it."""
        own = (self.num_modules, self.module_size)
        before = tuple([part[0].unflatten(1, own).transpose(0, 1) for part in state])  # (N, B, K)
        keys = linear(x, self.weight_key) / math.sqrt(self.module_size)
        values = linear(x, self.weight_value).unbind()
        # The scores of a step are linear in the state: (T, N, B, K) that it is multiplied by, and (T, N, B) added.
        slopes = torch.einsum("tbd,ndk->tnbk", keys, self.weight_query).unbind()
        shifts = torch.einsum("tbd,nd->tnb", keys, self.bias_query).unbind()
        valid = None
        if lengths is not None:
            valid = (torch.arange(len(x)).unsqueeze(1) < lengths).to(x.device).unsqueeze(2)
        parameters = dict(self.cells.items())
        step_all = torch.func.vmap(partial(_step, self.cell))
        outputs = [x.new_zeros(0, x.shape[1], self.hidden_size + self.num_modules)]
        for t, (value, slope, shift) in enumerate(zip(values, slopes, shifts, strict=True)):
            scores = (before[0] * slope).sum(2) + shift
            chosen = scores.topk(self.num_active, 0).indices
            active = torch.zeros_like(scores, dtype=torch.bool).scatter(0, chosen, True).unsqueeze(2)
            if valid is not None:
                active = active & valid[t]
            new = step_all(scores.sigmoid().unsqueeze(2) * value, before, parameters)
            new = [torch.where(active, a, b) for a, b in zip(new, before, strict=True)]
            new[0] = torch.where(active, new[0] + self._talk(new[0]), new[0])
            before = tuple(new)
            outputs.append(torch.cat([_joined(new[0]), active[:, :, 0].t().to(x.dtype)], 1).unsqueeze(0))
        return torch.cat(outputs), [_joined(part).unsqueeze(0) for part in before]

    def _talk(self, h: Tensor) -> Tensor:
        """What each module reads of all modules' outputs (N, B, K)."""
        query, key, value = (
            torch.bmm(h, weight.transpose(1, 2)).unflatten(2, (self.heads, -1)).permute(1, 2, 0, 3)
            for weight in (self.talk_query, self.talk_key, self.talk_value)
        )
        return scaled_dot_product_attention(query, key, value).permute(2, 0, 1, 3).flatten(2)


def _step(cell: Cell, read: Tensor, state: tuple[Tensor, ...], parameters: dict[str, Tensor]) -> tuple[Tensor, ...]:
    """One step of one module: the state after it, from what it reads (B, K), its state and its parameters."""
    weights = as_weights(cell, dict(parameters))
    return reference.step(cell, input_projection(cell, read, weights), state, weights)


def _joined(part: Tensor) -> Tensor:
    """(B, H) of (N, B, K)."""
    return part.transpose(0, 1).flatten(1)
