"""A module as a function of what it, or a module inside it, reads."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from recurra.errors import ParameterError
from recurra.inspection.attribution import ScalarFunction
from recurra.layers import Recurrent

__all__ = ["function_of_inputs"]


def function_of_inputs(
    module: nn.Module,
    args: Sequence[Any],
    output: Callable[[Any], Tensor],
    reads: str | Sequence[str] = "",
    kwargs: Mapping[str, Any] | None = None,
) -> tuple[ScalarFunction, tuple[Tensor, ...]]:
    """What `integrated_gradients` and `forgetting` need, for any module.

    Args:
        module: copied, and run in evaluation mode.
        args: what to call it with.
        output: from what it returns to one number a sequence, (B,).
        reads: the qualified name of the module inside it whose inputs are meant, such as the recurrent layer behind an
            embedding, or of several, such as an encoder and a decoder; the module itself where empty. Its inputs are
            the tensors of three dimensions among its positional arguments; of a recurrent layer the first.
        kwargs: what else to call it with.

    Returns:
        A function of these inputs, and the inputs (B, T, I) as they are; those of several modules in their order.

    Raises:
        ParameterError: if there is no such module, it does not run exactly once, or reads no such tensors.
    """
    copy = deepcopy(module).eval()
    names = [reads] if isinstance(reads, str) else list(reads)
    inside = dict(copy.named_modules())
    for name in names:
        if name not in inside:
            raise ParameterError("reads", "the name of a module inside", name)
    readers = [_Reader(inside[name]) for name in names]
    with torch.no_grad():
        copy(*args, **(kwargs or {}))
    for name, reader in zip(names, readers, strict=True):
        if len(reader.seen) != 1:
            raise ParameterError("reads", "a module that runs once", f"{name!r}, which runs {len(reader.seen)} times")
        if not reader.inputs():
            expected = "a module with positional floating-point inputs of three dimensions"
            hint = "Name one inside the network, such as its recurrent layer or the layer behind the embedding."
            raise ParameterError("reads", expected, name or "the whole network", hint)
    counts = [len(reader.inputs()) for reader in readers]

    def function(*inputs: Tensor) -> Tensor:
        remaining = iter(inputs)
        for reader, count in zip(readers, counts, strict=True):
            reader.replacements = list(islice(remaining, count))
        return output(copy(*args, **(kwargs or {})))

    return function, tuple(x for reader in readers for x in reader.inputs())


class _Reader:
    """Sees what a module reads, and gives it something else to read."""

    def __init__(self, module: nn.Module) -> None:
        self._layer = isinstance(module, Recurrent | nn.RNNBase)
        self._time_first = isinstance(module, Recurrent | nn.RNNBase) and not module.batch_first
        self.seen: list[tuple[Any, ...]] = []
        self.replacements: list[Tensor] = []
        module.register_forward_pre_hook(self._read)

    def inputs(self) -> list[Tensor]:
        """What it read when it first ran, each (B, T, I)."""
        first = self.seen[0]
        return [self._turned(first[index].detach()) for index in self._indices(first)]

    def _read(self, _: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        if not self.replacements:
            self.seen.append(arguments)
            return arguments
        replaced = list(arguments)
        for index, x in zip(self._indices(arguments), self.replacements, strict=True):
            replaced[index] = self._turned(x)
        return tuple(replaced)

    def _turned(self, x: Tensor) -> Tensor:
        return x.transpose(0, 1) if self._time_first else x

    def _indices(self, arguments: Sequence[Any]) -> list[int]:
        indices = [
            index
            for index, value in enumerate(arguments)
            if isinstance(value, Tensor) and value.dim() == 3 and value.is_floating_point()
        ]
        return indices[:1] if self._layer else indices
