"""Blocks made of blocks: one after another, beside a gate, and with a residual connection."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import dropout, gelu

from recurra.errors import ParameterError, ShapeError
from recurra.layers.dropout import variational_dropout
from recurra.layers.stack.block import Block
from recurra.layers.torch_words import check_dropout

__all__ = ["NORMS", "Chain", "Gated", "Residual", "dropped", "parts_of"]

#: By name, the normalisation of a step's features.
NORMS = {
    "rms": lambda size: nn.RMSNorm(size, eps=1e-6),
    "layer": nn.LayerNorm,
    "none": lambda size: nn.Identity(),
}


class Chain(Block):
    """Blocks one after another. The state is the tuple of theirs.

    Args:
        blocks: at least one; each reads what the one before puts out.

    Raises:
        ParameterError: for blocks whose sizes do not fit.
    """

    def __init__(self, blocks: Sequence[Block]) -> None:
        if not blocks:
            raise ParameterError("blocks", "at least one", blocks)
        for before, after in pairwise(blocks):
            if before.output_size != after.input_size:
                expected = f"to read the {before.output_size} features before it"
                raise ParameterError("blocks", expected, f"{type(after).__name__} of {after.input_size}")
        super().__init__(blocks[0].input_size, blocks[-1].output_size)
        self.blocks = nn.ModuleList(blocks)

    def initial_state(self, batch_size: int = 1) -> tuple[Any, ...]:
        return tuple([block.initial_state(batch_size) for block in self.blocks])  # type: ignore[operator]

    def run(
        self, x: Tensor, state: Any, lengths: Tensor | None, resets: Tensor | None
    ) -> tuple[Tensor, tuple[Any, ...]]:
        after = []
        for block, part in zip(self.blocks, parts_of(state, len(self.blocks)), strict=True):
            x, part = block(x, part, lengths, resets)
            after.append(part)
        return x, tuple(after)


class Gated(Block):
    """A block beside a gate (the recurrent block of Griffin, De et al. 2024, section 2.3).

    y = W_o (gelu(W_g x + b_g) * block(W_v x + b_v)) + b_o

    Args:
        block: what the gate multiplies.
        input_size: I.
        output_size: O.
    """

    def __init__(self, block: Block, input_size: int, output_size: int) -> None:
        super().__init__(input_size, output_size)
        self.gate = nn.Linear(input_size, block.output_size)
        self.value = nn.Linear(input_size, block.input_size)
        self.block = block
        self.output = nn.Linear(block.output_size, output_size)

    def initial_state(self, batch_size: int = 1) -> Any:
        return self.block.initial_state(batch_size)

    def run(self, x: Tensor, state: Any, lengths: Tensor | None, resets: Tensor | None) -> tuple[Tensor, Any]:
        inner, state = self.block(self.value(x), state, lengths, resets)
        return self.output(gelu(self.gate(x)) * inner), state


class Residual(Block):
    """A block behind a normalisation, whose output is added to its input: y = x + block(norm(x)).

    Args:
        block: of as many features as it reads.
        norm: "rms" (RMSNorm, Zhang and Sennrich 2019), "layer" (Ba et al. 2016) or "none".
        dropout: probability, on the block's output, while training.
        variational: whether the mask of `dropout` is the same at every step of a sequence.

    Raises:
        ParameterError: for a parameter out of its range.
    """

    def __init__(self, block: Block, norm: str = "rms", dropout: float = 0.0, *, variational: bool = False) -> None:
        super().__init__(block.input_size, block.output_size)
        if block.input_size != block.output_size:
            expected = f"to put out the {block.input_size} features that it reads"
            raise ParameterError("block", expected, block.output_size)
        if norm not in NORMS:
            raise ParameterError("norm", f"one of {', '.join(NORMS)}", norm)
        check_dropout("dropout", dropout)
        self.norm = NORMS[norm](block.input_size)
        self.block = block
        self.dropout = float(dropout)
        self.variational = variational

    def initial_state(self, batch_size: int = 1) -> Any:
        return self.block.initial_state(batch_size)

    def run(self, x: Tensor, state: Any, lengths: Tensor | None, resets: Tensor | None) -> tuple[Tensor, Any]:
        output, state = self.block(self.norm(x), state, lengths, resets)
        if self.dropout and self.training:
            output = dropped(output, self.dropout, self.variational)
        return x + output, state


def parts_of(state: Any, count: int) -> Sequence[Any]:
    """The state of each of `count` blocks. Raises ShapeError for anything else than so many."""
    if not isinstance(state, tuple | list) or len(state) != count:
        got = len(state) if isinstance(state, tuple | list) else type(state).__name__
        raise ShapeError("state", f"a tuple of {count} states, one for each block", got)
    return state


def dropped(x: Tensor, p: float, variational: bool) -> Tensor:
    """Dropout of x (B, T, F) in training; if variational, of the same features at every step."""
    if not variational:
        return dropout(x, p)
    return variational_dropout(x.transpose(0, 1), p, True).transpose(0, 1)
