"""The LSTM with a matrix as memory, parallel within chunks of steps."""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from recurra.errors import ParameterError, ShapeError
from recurra.layers.stack.block import Block
from recurra.shapes import check_positive

__all__ = ["MLSTM", "MLSTMState"]

_CHUNK = 64  # steps computed side by side
_LARGEST = 80.0  # of an exponent whose exponential float32 still holds
_FORGET = (3.0, 6.0)  # first biases of the forget gates, of the first and the last head


class MLSTMState(NamedTuple):
    """The state of an `MLSTM`.

    Attributes:
        memory: C, (1, B, N, K, K), from keys to values.
        normalizer: n, (1, B, N, K).
        stabilizer: m, (1, B, N); C and n are stored as their exp(-m)-fold.
    """

    memory: Tensor
    normalizer: Tensor
    stabilizer: Tensor


class MLSTM(Block):
    """mLSTM (Beck et al. 2024, xLSTM, section 2.3), stabilised, with N heads of K = O / N features.

    q = W_q x + b_q,  k = (W_k x + b_k) / sqrt(K),  v = W_v x + b_v,  o = sigmoid(W_o x + b_o)
    i = exp(w_i x + b_i),  f = sigmoid(w_f x + b_f)        one number a head
    C_t = f C_{t-1} + i v k^T
    n_t = f n_{t-1} + i k
    h_t = o * C_t q / max(abs(n_t q), 1)

    The steps of a chunk of 64 are computed side by side, from the state at its beginning (the parallel form of the
    paper's appendix); this is exact. As in the paper, C and n are divided by exp(m), m_t = max(log f + m_{t-1},
    log i).

    Args:
        input_size: I.
        output_size: O.
        heads: N, a divisor of O.

    The first biases of the forget gates are 3 to 6, from the first head to the last; all other parameters are those of
    torch.nn.Linear.

    Raises:
        ParameterError: for a parameter out of its range.
    """

    def __init__(self, input_size: int, output_size: int, heads: int = 4) -> None:
        super().__init__(input_size, output_size)
        check_positive("heads", heads)
        if output_size % heads:
            raise ParameterError("heads", f"a divisor of the {output_size} features", heads)
        self.heads = heads
        self.head_size = output_size // heads
        self.query = nn.Linear(input_size, output_size)
        self.key = nn.Linear(input_size, output_size)
        self.value = nn.Linear(input_size, output_size)
        self.output = nn.Linear(input_size, output_size)
        self.gates = nn.Linear(input_size, 2 * heads)
        with torch.no_grad():
            self.gates.bias[heads:] = torch.linspace(*_FORGET, heads)

    def initial_state(self, batch_size: int = 1) -> MLSTMState:
        heads, size = self.heads, self.head_size
        return MLSTMState(
            self.zeros(1, batch_size, heads, size, size),
            self.zeros(1, batch_size, heads, size),
            self.zeros(1, batch_size, heads),
        )

    def run(self, x: Tensor, state: Any, lengths: Tensor | None, resets: Tensor | None) -> tuple[Tensor, MLSTMState]:
        if not isinstance(state, tuple | list) or len(state) != 3:
            raise ShapeError("state", "an MLSTMState (memory, normalizer, stabilizer)", type(state).__name__)
        batch, steps = x.shape[:2]
        own = (self.heads, self.head_size)
        shapes = {"memory": (*own, self.head_size), "normalizer": own, "stabilizer": own[:1]}
        query, key, value = (layer(x).unflatten(2, own).transpose(1, 2) for layer in (self.query, self.key, self.value))
        parts = [
            self.checked_state(part, name, query, *shape)[0]
            for part, (name, shape) in zip(state, shapes.items(), strict=True)
        ]
        admit, forget = self.gates(x).transpose(1, 2).chunk(2, 1)
        forget = logsigmoid(forget)
        boundaries = torch.zeros(batch, steps, dtype=torch.bool) if resets is None else resets.cpu()
        if lengths is not None:  # padding changes nothing: it forgets nothing and admits nothing
            padding = torch.arange(steps) >= lengths.unsqueeze(1)
            boundaries = boundaries & ~padding
            padding = padding.unsqueeze(1).to(x.device)
            admit, forget = admit.masked_fill(padding, -math.inf), forget.masked_fill(padding, 0)
        boundaries = boundaries.to(x.device)
        outputs = [query[:, :, :0]]
        for first in range(0, steps, _CHUNK):
            chunk = slice(first, first + _CHUNK)
            output, parts = _chunk(
                query[:, :, chunk],
                key[:, :, chunk] / math.sqrt(self.head_size),
                value[:, :, chunk],
                admit[:, :, chunk],
                forget[:, :, chunk],
                boundaries[:, chunk],
                parts,
            )
            outputs.append(output)
        hidden = torch.cat(outputs, 2).transpose(1, 2).flatten(2)
        return torch.sigmoid(self.output(x)) * hidden, MLSTMState(*[part.unsqueeze(0) for part in parts])

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.output_size}, heads={self.heads}"


def _chunk(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    admit: Tensor,
    forget: Tensor,
    boundaries: Tensor,
    state: list[Tensor],
) -> tuple[Tensor, list[Tensor]]:
    """T steps side by side, from the state before them.

    Args:
        query: (B, N, T, K).
        key: (B, N, T, K).
        value: (B, N, T, K).
        admit: log i, (B, N, T).
        forget: log f, (B, N, T).
        boundaries: bool (B, T), before which steps the state is zero.
        state: memory (B, N, K, K), normalizer (B, N, K) and stabilizer (B, N).

    Returns:
        C_t q / max(abs(n_t q), 1), (B, N, T, K), and the state after the steps.
    """
    memory, normalizer, stabilizer = state
    piece = boundaries.long().cumsum(1)
    seen = (piece.unsqueeze(2) == piece.unsqueeze(1)).tril().unsqueeze(1)
    of_state = (piece == 0).unsqueeze(1)
    # By step t and earlier step s, log of what is left of s: the sum of log f over s + 1 to t.
    left = (forget.unsqueeze(3) * forget.new_ones(seen.shape[2:]).tril(-1)).cumsum(2)
    logs = (left + admit.unsqueeze(2)).masked_fill(~seen, -math.inf)
    of_start = torch.where(seen, forget.unsqueeze(2), 0).sum(3) + torch.where(of_state, stabilizer.unsqueeze(2), 0)
    after = torch.maximum(of_start, logs.amax(3))
    weights = (logs - after.unsqueeze(3)).exp()
    carried = (of_start - after).exp() * of_state
    scores = query @ key.transpose(2, 3) * weights
    values = scores @ value + carried.unsqueeze(3) * (query @ memory)
    norms = scores.sum(3) + carried * (query @ normalizer.unsqueeze(3)).squeeze(3)
    # exp(-m) is 1 of the equation, divided by exp(m) as C and n are.
    output = values / torch.maximum(norms.abs(), (-after).clamp(max=_LARGEST).exp()).unsqueeze(3)
    keys = key * weights[:, :, -1].unsqueeze(3)
    memory = carried[:, :, -1, None, None] * memory + keys.transpose(2, 3) @ value
    normalizer = carried[:, :, -1, None] * normalizer + keys.sum(2)
    return output, [memory, normalizer, after[:, :, -1]]
