"""A block that stands alone as a layer, in either layout."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from recurra.errors import ShapeError
from recurra.layers.resets import check_resets
from recurra.layers.scripting import NotScripted
from recurra.layers.stack.block import Block
from recurra.layers.torch_words import check_flag

__all__ = ["SequenceLayer"]


class SequenceLayer(NotScripted, Block):
    """A block whose input is (T, B, I) unless it is made with `batch_first`, as that of `Recurrent`.

    Args:
        input_size: I, features of the input.
        output_size: O, features of the output.
        batch_first: whether input and output are (B, T, ...) rather than (T, B, ...).

    Raises:
        ParameterError: for a parameter out of its range.
    """

    def __init__(self, input_size: int, output_size: int, batch_first: bool = False) -> None:
        super().__init__(input_size, output_size)
        check_flag("batch_first", batch_first)
        self.batch_first = batch_first

    def forward(
        self,
        input: Tensor,  # noqa: A002 (torch's name)
        state: Any = None,
        lengths: Tensor | Sequence[int] | None = None,
        resets: Tensor | None = None,
    ) -> tuple[Tensor, Any]:
        """Read a sequence.

        Args:
            input: (T, B, I), or (B, T, I) with `batch_first`.
            state: the state before the first step, as this returned it: a tensor, or tensors in nested tuples, each
                with the batch as its second dimension. If None, that of a new sequence.
            lengths: true lengths (B,), 0 to T; see `Recurrent`. Padding is never read, and the output there is zero.
            resets: bool (T, B), or (B, T) with `batch_first`. True is a boundary before the step, at which the state
                starts anew: neither values nor gradients cross.

        Returns:
            The output (T, B, O), in the input's layout, and the state after the sequence.

        Raises:
            ShapeError: if a shape, dtype or length does not fit.
        """
        if self.batch_first:
            return super().forward(input, state, lengths, resets)
        if input.dim() != 3:
            raise ShapeError("input", "3 dimensions, (T, B, I)", f"{input.dim()}")
        if resets is not None:
            resets = check_resets(resets, input.shape[:2], "(T, B)").t()
        output, state = super().forward(input.transpose(0, 1), state, lengths, resets)
        return output.transpose(0, 1), state
