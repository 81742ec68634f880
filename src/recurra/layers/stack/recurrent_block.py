"""A recurrent layer of any cell as a block."""

from typing import Any

from torch import Tensor, nn

from recurra.cells import Cell
from recurra.layers.recurrent import Recurrent
from recurra.layers.stack.block import Block

__all__ = ["RecurrentBlock"]


class RecurrentBlock(Block):
    """One recurrent layer of any cell; a linear map follows where its output has another size than the block's.

    The state is that of `Recurrent`.

    Args:
        cell: the equations.
        input_size: I.
        output_size: O.
        hidden_size: H, units. If None, O.

    Raises:
        ParameterError: for a parameter out of its range.
    """

    def __init__(self, cell: Cell, input_size: int, output_size: int, hidden_size: int | None = None) -> None:
        super().__init__(input_size, output_size)
        units = output_size if hidden_size is None else hidden_size
        self.recurrent = Recurrent(cell, input_size, units, batch_first=True)
        fits = self.recurrent.output_size == output_size
        self.projection = None if fits else nn.Linear(self.recurrent.output_size, output_size)

    def initial_state(self, batch_size: int = 1) -> Any:
        sizes = self.recurrent.state_sizes
        parts = tuple([self.zeros(1, batch_size, size) for size in sizes])
        return parts if len(sizes) > 1 else parts[0]

    def run(self, x: Tensor, state: Any, lengths: Tensor | None, resets: Tensor | None) -> tuple[Tensor, Any]:
        output, state = self.recurrent(x, state, lengths, resets)
        return output if self.projection is None else self.projection(output), state
