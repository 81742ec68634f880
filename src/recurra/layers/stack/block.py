"""What a stack is made of: a module that reads a sequence, or a step, with a state."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from recurra.errors import ParameterError, ShapeError
from recurra.layers.precision import in_dtype_of
from recurra.layers.resets import check_resets
from recurra.layers.torch_words import check_size
from recurra.shapes import check_lengths, check_shape

__all__ = ["Block", "last_steps", "pieces", "sizes_of"]


class Block(nn.Module):
    """A block of a `Stack`: any module with this one protocol.

    A block reads (input, state, lengths, resets) and returns (output, state). The state is a tensor, or tensors in
    nested tuples; the second dimension of each is the batch, as in the state of `Recurrent`. A block that remembers
    nothing has the state (). A sequence that is read in pieces, each with the state after the one before, gives the
    same output as the whole, up to rounding.

    A subclass implements `run`, and `initial_state` if it has a state.

    Args:
        input_size: I, features of the input.
        output_size: O, features of the output.

    Raises:
        ParameterError: for a size that is not a positive integer.
    """

    def __init__(self, input_size: int, output_size: int) -> None:
        super().__init__()
        check_size("input_size", input_size)
        check_size("output_size", output_size)
        self.input_size = input_size
        self.output_size = output_size

    def forward(
        self,
        input: Tensor,  # noqa: A002 (torch's name)
        state: Any = None,
        lengths: Tensor | Sequence[int] | None = None,
        resets: Tensor | None = None,
    ) -> tuple[Tensor, Any]:
        """Read a sequence.

        Args:
            input: (B, T, I).
            state: the state before the first step, as this returned it. If None, that of a new sequence.
            lengths: true lengths (B,), 0 to T. Padding is never read; the output there is zero, and the state returned
                is that after the last true step.
            resets: bool (B, T). True is a boundary before the step: the step and those after it see nothing of what
                was before. Neither values nor gradients cross.

        Returns:
            The output (B, T, O), and the state after the sequence.

        Raises:
            ShapeError: if a shape, dtype or length does not fit.
        """
        if input.dim() != 3:
            raise ShapeError("input", "3 dimensions, (B, T, I)", f"{input.dim()}")
        batch, steps, features = input.shape
        if features != self.input_size:
            raise ShapeError("input", f"input_size = {self.input_size} features", f"{features}")
        if resets is not None:
            check_resets(resets, (batch, steps), "(B, T)")
        if state is None:
            state = self.initial_state(batch)
        if lengths is None:
            return self.run(input, state, None, resets)
        lengths = check_lengths(lengths, batch, steps)
        padding = (torch.arange(steps) >= lengths.unsqueeze(1)).unsqueeze(2).to(input.device)
        output, state = self.run(input.masked_fill(padding, 0), state, lengths, resets)
        return output.masked_fill(padding, 0), state

    def step(self, input: Tensor, state: Any = None) -> tuple[Tensor, Any]:  # noqa: A002 (torch's name)
        """Read one step.

        Args:
            input: (B, I).
            state: the state before the step, as this returned it. If None, that of a new sequence.

        Returns:
            The output (B, O), and the state after the step.

        Raises:
            ShapeError: if a shape or dtype does not fit.
        """
        if input.dim() != 2:
            raise ShapeError("input", "2 dimensions, (B, I)", f"{input.dim()}")
        output, state = Block.forward(self, input.unsqueeze(1), state)
        return output.squeeze(1), state

    def initial_state(self, batch_size: int = 1) -> Any:
        """The state before the first step of `batch_size` sequences: zeros, of the parameters' dtype and device."""
        return ()

    @property
    def state_size(self) -> int:
        """How many numbers the state of one sequence has."""
        return sum(sizes_of(self.initial_state()))

    def run(self, x: Tensor, state: Any, lengths: Tensor | None, resets: Tensor | None) -> tuple[Tensor, Any]:
        """`forward` with checked arguments, a state, zeros as padding, and lengths of int64 on the CPU.

        The output may have any finite value at padding.
        """
        raise NotImplementedError

    def zeros(self, *shape: int) -> Tensor:
        """Zeros like the first parameter; of torch's default dtype in a block without parameters."""
        like = next(self.parameters(), None)
        return torch.zeros(shape) if like is None else like.new_zeros(shape)

    def checked_state(self, part: Any, name: str, x: Tensor, *shape: int) -> Tensor:
        """A part of the state, refused if its shape is not (1, B) and then `shape`; in the dtype of x."""
        if not isinstance(part, Tensor):
            raise ShapeError(f"state ({name})", "a tensor", type(part).__name__)
        check_shape(f"state ({name})", part, (1, x.shape[0], *shape), "(1, B, ...)")
        return in_dtype_of(f"state ({name})", part, x) if part.is_floating_point() else part


def sizes_of(state: Any) -> list[int]:
    """How many numbers each tensor of a state has."""
    if isinstance(state, Tensor):
        return [state.numel()]
    if not isinstance(state, tuple):
        raise ParameterError("state", "a tensor, or tensors in nested tuples", type(state).__name__)
    return [size for part in state for size in sizes_of(part)]


def pieces(resets: Tensor, before: int) -> Tensor:
    """The index of the piece that each step belongs to, (B, S + T) of resets (B, T): 0 for `before` = S steps ahead."""
    own = resets.long().cumsum(1)
    return torch.cat([own.new_zeros(len(own), before), own], 1)


def last_steps(values: Tensor, before: int, lengths: Tensor | None, count: int) -> Tensor:
    """The `count` steps before the end of each sequence: (B, count, ...) of values (B, S + T, ...), `before` = S."""
    if lengths is None:
        return values[:, values.shape[1] - count :]
    first = lengths.to(values.device).unsqueeze(1) + (before - count)
    index = first + torch.arange(count, device=values.device)
    index = index.reshape(*index.shape, *[1] * (values.dim() - 2)).expand(-1, -1, *values.shape[2:])
    return values.gather(1, index)
