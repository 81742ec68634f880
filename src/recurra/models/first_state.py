"""The state before the first step, computed of a vector."""

from typing import Any

from torch import Tensor, nn

from recurra.layers import Recurrent

__all__ = ["FirstState"]


class FirstState(nn.Linear):
    """From vectors to the first state of recurrent layers: tanh(W z + b) (Xu et al. 2015, section 3.1.2).

    The output h and the memory cell c of every layer are computed. Other parts (normalisers, say), whose values are not
    free, are zeros, as they start in any sequence.

    Args:
        input_size: Z, features of a vector.
        recurrent: the layers, in one direction.
    """

    def __init__(self, input_size: int, recurrent: Recurrent) -> None:
        names = recurrent.cell.state
        sizes = recurrent.state_sizes
        free = [index == 0 or name == "c" for index, name in enumerate(names)]
        computed = sum(size for size, is_free in zip(sizes, free, strict=True) if is_free)
        super().__init__(input_size, recurrent.num_layers * computed)
        self.num_layers, self.sizes, self.free = recurrent.num_layers, sizes, free

    def forward(self, input: Tensor) -> Any:  # noqa: A002 (the name in torch)
        """The state (L, B, H), a tuple of these if the cell's state has several parts, of vectors (B, Z)."""
        layers = super().forward(input).tanh().unflatten(1, (self.num_layers, -1)).transpose(0, 1)
        computed = iter(layers.split([size for size, free in zip(self.sizes, self.free, strict=True) if free], dim=2))
        parts = [
            next(computed).contiguous() if free else layers.new_zeros(*layers.shape[:2], size)
            for size, free in zip(self.sizes, self.free, strict=True)
        ]
        return tuple(parts) if len(parts) > 1 else parts[0]
