"""The stack: a list of blocks as one sequence layer."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from recurra.cells import Cell
from recurra.layers.precision import in_dtype_of
from recurra.layers.stack.architecture import Architecture, build_chain, naming_item
from recurra.layers.stack.block import Block
from recurra.layers.stack.combined import NORMS, Residual, dropped, parts_of
from recurra.layers.stack.sequence_layer import SequenceLayer
from recurra.layers.torch_words import check_dropout, check_size

__all__ = ["Stack"]


class Stack(SequenceLayer):
    """Blocks of any kind, one after another, with the interface of `Recurrent`: recurrent layers, causal convolutions,
    local attention, multilayer perceptrons.

    x_0 = W x + b (W and b if I is not H, else x_0 = x);  x_k = x_{k-1} + block_k(norm(x_{k-1}));  y = norm(x_K)

    All blocks are causal and have a state of a fixed size. A stack therefore also runs step by step (`step`) over a
    sequence of any length, and gives what it gives for the whole, up to rounding.

    Args:
        spec: the blocks: a list such as `["rglru", "rglru", "attention:128"] * 2`, such a list as a text with commas,
            or the name of a recipe such as "griffin"; see `Architecture.of`.
        input_size: I, features of the input.
        hidden_size: H, features of the output of each block, and units of its recurrent layers by default.
        num_layers: how many times the list is repeated, each time with parameters of its own.
        batch_first: whether input and output are (B, T, ...) rather than (T, B, ...).
        dropout: probability, while training, on the output of each item of the list; without residual connections, of
            each but the last.
        norm: "rms", "layer" or "none": what is before each block and after the last. If None, the recipe's, or "rms".
        residual: whether each block's output is added to its input, with a normalisation before the block. If None, the
            recipe's, or True. Without, the first block reads I features, and there is no normalisation.
        device: of the parameters.
        dtype: of the parameters.
        variational: whether the mask of `dropout` is the same at every step of a sequence.

    Raises:
        ParameterError: for a parameter out of its range; for a block that does not exist or does not fit, naming the
            item of the list.
    """

    def __init__(
        self,
        spec: str | Cell | Sequence[str | Cell] | Architecture,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        batch_first: bool = False,
        dropout: float = 0.0,
        *,
        norm: str | None = None,
        residual: bool | None = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
        variational: bool = False,
    ) -> None:
        check_size("input_size", input_size)
        check_size("hidden_size", hidden_size)
        super().__init__(input_size, hidden_size, batch_first)
        check_size("num_layers", num_layers)
        check_dropout("dropout", dropout)
        architecture = Architecture.of(spec, norm, residual)
        self.architecture = architecture
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = False
        self.dropout = float(dropout)
        self.variational = variational
        built: list[Block] = []
        for k, specs in enumerate(architecture.items * num_layers):
            with naming_item(k % len(architecture.items), len(architecture.items)):
                reads = hidden_size if built or architecture.residual else input_size
                block = build_chain(specs, reads, hidden_size)
                if architecture.residual:
                    block = Residual(block, architecture.norm, dropout, variational=variational)
                built.append(block)
        projects = architecture.residual and input_size != hidden_size
        self.projection = nn.Linear(input_size, hidden_size) if projects else None
        self.blocks = nn.ModuleList(built)
        self.norm = NORMS[architecture.norm](hidden_size) if architecture.residual else None
        self.to(device=device, dtype=dtype)

    def initial_state(self, batch_size: int = 1) -> tuple[Any, ...]:
        return tuple([block.initial_state(batch_size) for block in self.blocks])  # type: ignore[operator]

    def run(
        self, x: Tensor, state: Any, lengths: Tensor | None, resets: Tensor | None
    ) -> tuple[Tensor, tuple[Any, ...]]:
        if resets is not None and not resets.any():
            resets = None
        like = next(self.parameters(), None)
        if like is not None:
            x = in_dtype_of("input", x, like)
        if self.projection is not None:
            x = self.projection(x)
            x = x.to(self.projection.weight.dtype)  # under autocast the sum of all blocks' outputs stays as it is
        after = []
        for k, (block, part) in enumerate(zip(self.blocks, parts_of(state, len(self.blocks)), strict=True)):
            if k and self.dropout and self.training and not self.architecture.residual:
                x = dropped(x, self.dropout, self.variational)
            x, part = block(x, part, lengths, resets)
            after.append(part)
        return x if self.norm is None else self.norm(x), tuple(after)

    def extra_repr(self) -> str:
        shown = [f"{str(self.architecture)!r}, {self.input_size}, {self.hidden_size}"]
        defaults = {"num_layers": 1, "batch_first": False, "dropout": 0.0, "variational": False}
        options = {name: getattr(self, name) for name in defaults}
        shown += [f"{name}={value!r}" for name, value in options.items() if value != defaults[name]]
        return ", ".join(shown)
