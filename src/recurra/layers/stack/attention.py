"""Attention of each step to the steps just before it, with a cache that rolls."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

from recurra.errors import ParameterError, ShapeError
from recurra.layers.stack.block import Block, last_steps, pieces
from recurra.shapes import check_positive

__all__ = ["AttentionState", "LocalAttention", "turns", "usual_heads"]

_BASE = 10_000.0  # of the wavelengths of rotary positions
_HEAD_SIZE = 32  # of a head at least, by default
_CHUNK = 16  # steps computed together at least, where there are as many


class AttentionState(NamedTuple):
    """The cache of a `LocalAttention` with a window of W steps.

    Attributes:
        keys: of the last W - 1 steps, before their rotation, (1, B, W - 1, M, K).
        values: of the same steps, (1, B, W - 1, M, K).
        length: how many of these are steps of the sequence, the last ones, (1, B) of int64; the others are not seen.
    """

    keys: Tensor
    values: Tensor
    length: Tensor


class LocalAttention(Block):
    """Local attention (Griffin, De et al. 2024, section 2.3): each step sees itself and the W - 1 steps before it.

    a_ts = softmax over s of q_t R_(t - s) k_s / sqrt(K), s = t - W + 1 to t, head by head
    y_t = W_o sum_s a_ts v_s;  q, k, v = W_q x, W_k x, W_v x

    R is the rotation of rotary positions (Su et al. 2021), which depends on the distance t - s alone. Keys are cached
    as they are, and rotated by their distance to the present: a stream may have any number of steps.

    Args:
        input_size: I.
        output_size: O.
        window: W, steps that a step sees, itself included.
        heads: N, each of size K = O / N, an even number. If None, as many as there are with 32 features or more.
        kv_heads: M, heads of the keys and values, each read by N / M heads: 1 is multi-query attention (Shazeer 2019),
            which makes the cache small. If None, N.

    Raises:
        ParameterError: for a parameter out of its range.
    """

    def __init__(
        self, input_size: int, output_size: int, window: int, heads: int | None = None, kv_heads: int | None = None
    ) -> None:
        super().__init__(input_size, output_size)
        check_positive("window", window)
        heads = usual_heads(output_size) if heads is None else heads
        check_positive("heads", heads)
        if output_size % (2 * heads):
            expected = f"a number by which {output_size} features make heads of an even size, for rotary positions"
            raise ParameterError("heads", expected, heads)
        kv_heads = heads if kv_heads is None else kv_heads
        check_positive("kv_heads", kv_heads)
        if heads % kv_heads:
            raise ParameterError("kv_heads", f"a divisor of heads = {heads}", kv_heads)
        self.window = window
        self.heads = heads
        self.kv_heads = kv_heads
        self.head_size = output_size // heads
        self.query = nn.Linear(input_size, output_size, bias=False)
        self.key = nn.Linear(input_size, kv_heads * self.head_size, bias=False)
        self.value = nn.Linear(input_size, kv_heads * self.head_size, bias=False)
        self.output = nn.Linear(output_size, output_size, bias=False)

    def initial_state(self, batch_size: int = 1) -> AttentionState:
        cache = self.zeros(1, batch_size, self.window - 1, self.kv_heads, self.head_size)
        return AttentionState(cache, cache, torch.zeros(1, batch_size, dtype=torch.int64, device=cache.device))

    def run(
        self, x: Tensor, state: Any, lengths: Tensor | None, resets: Tensor | None
    ) -> tuple[Tensor, AttentionState]:
        before, steps = self.window - 1, x.shape[1]
        own = (self.kv_heads, self.head_size)
        query, key, value = self.query(x), self.key(x).unflatten(2, own), self.value(x).unflatten(2, own)
        if not isinstance(state, tuple | list) or len(state) != 3:
            raise ShapeError("state", "an AttentionState (keys, values, length)", type(state).__name__)
        keys, values = (
            torch.cat([self.checked_state(part, name, new, before, *own)[0], new], 1)
            for part, name, new in ((state[0], "keys", key), (state[1], "values", value))
        )
        length = self.checked_state(state[2], "length", key)[0]
        unread = torch.arange(before, device=x.device) < before - length.unsqueeze(1)
        none = torch.zeros(x.shape[:2], dtype=torch.bool, device=x.device)
        piece = pieces(none if resets is None else resets.to(x.device), before)
        # Cached steps of no sequence are a piece of their own, which no step belongs to.
        piece = torch.cat([piece[:, :before].masked_fill(unread, -1), piece[:, before:]], 1)
        output = self.output(self._attend(query.unflatten(2, (self.heads, self.head_size)), keys, values, piece))
        cached = [last_steps(part, before, lengths, before) for part in (keys, values)]
        if before:
            present = last_steps(piece, before, lengths, 1)
            seen = (last_steps(piece, before, lengths, before) == present) & (present >= 0)
            length = seen.sum(1)
            if resets is not None:  # what is never seen again is not remembered either
                cached = [part.masked_fill(~seen[:, :, None, None], 0) for part in cached]
        return output[:, :steps], AttentionState(cached[0].unsqueeze(0), cached[1].unsqueeze(0), length.unsqueeze(0))

    def _attend(self, query: Tensor, keys: Tensor, values: Tensor, piece: Tensor) -> Tensor:
        """Attend in chunks of C steps, each to its own keys and the W - 1 before them.

        Args:
            query: (B, T, N, K).
            keys: (B, W - 1 + T, M, K).
            values: (B, W - 1 + T, M, K).
            piece: which each key belongs to, (B, W - 1 + T).

        Returns:
            (B, T or more, N * K).
        """
        batch, steps = query.shape[:2]
        before = self.window - 1
        size = max(1, min(steps, max(before, _CHUNK)))
        count = max(1, -(-steps // size))
        more = count * size - steps
        query = pad(query, (0, 0, 0, 0, 0, more)).unflatten(1, (count, size)).flatten(0, 1).transpose(1, 2)
        keys, values = (
            pad(part, (0, 0, 0, 0, 0, more)).unfold(1, before + size, size).flatten(0, 1).transpose(2, 3)
            for part in (keys, values)
        )
        # Padding attends to padding: a softmax over no key would not be a number.
        piece = pad(piece, (0, more), value=-2).unfold(1, before + size, size)
        later = torch.arange(before + size, device=query.device) - torch.arange(size, device=query.device).unsqueeze(1)
        seen = (piece.unsqueeze(2) == piece[:, :, before:].unsqueeze(3)) & (later >= 0) & (later <= before)
        angles = turns(before + size, self.head_size // 2, query)
        query, keys = _rotated(query, angles[:, before:]), _rotated(keys, angles)
        if self.kv_heads < self.heads:
            keys, values = (part.repeat_interleave(self.heads // self.kv_heads, 1) for part in (keys, values))
        mask = seen.flatten(0, 1).unsqueeze(1)
        output = scaled_dot_product_attention(query, keys, values, attn_mask=mask)
        return output.transpose(1, 2).flatten(2).unflatten(0, (batch, count)).flatten(1, 2)

    def extra_repr(self) -> str:
        return (
            f"{self.input_size}, {self.output_size}, window={self.window}, heads={self.heads}, kv_heads={self.kv_heads}"
        )


def usual_heads(size: int) -> int:
    """The most heads of an even size of 32 or more that `size` features make; 1 if there are none."""
    return max((n for n in range(1, size // _HEAD_SIZE + 1) if size % (2 * n) == 0), default=1)


def turns(positions: int, half: int, like: Tensor) -> Tensor:
    """Cosines and sines of the angles of each position, (2, positions, half), of the dtype and device of `like`."""
    speed = _BASE ** (-torch.arange(half, dtype=torch.float64, device=like.device) / half)
    angles = torch.arange(positions, dtype=torch.float64, device=like.device).unsqueeze(1) * speed
    return torch.stack([angles.cos(), angles.sin()]).to(like.dtype)


def _rotated(x: Tensor, turns: Tensor) -> Tensor:
    """Rotate the pairs of features (k, k + K / 2) of x (..., L, K) by the angles of their positions (2, L, K / 2)."""
    cos, sin = turns
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)
