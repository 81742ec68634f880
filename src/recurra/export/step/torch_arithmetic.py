"""The arithmetic of a step on tensors of torch, which torch.jit records."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from recurra.codegen import evaluate
from recurra.codegen.expression import Expression
from recurra.program.operations import Array

__all__ = ["TorchArithmetic"]

_UNARY: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "erf": torch.erf,
    "absolute": torch.abs,
    "negative": torch.neg,
}
_BINARY: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": torch.add,
    "subtract": torch.sub,
    "multiply": torch.mul,
    "divide": torch.div,
    "maximum": torch.maximum,
    "less_or_equal": torch.le,
    "equal": torch.eq,
}


class TorchArithmetic:
    """See `Arithmetic`.

    Args:
        dtype: of the constants.
    """

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self._dtype = dtype

    def constant(self, array: Array) -> Tensor:
        return torch.from_numpy(array).to(self._dtype)

    def unary(self, kind: str, a: Tensor) -> Tensor:
        return _UNARY[kind](a)

    def binary(self, kind: str, a: Tensor, b: Tensor) -> Tensor:
        return _BINARY[kind](a, b)

    def where(self, condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return torch.where(condition, a, b)

    def matmul(self, a: Tensor, b: Tensor) -> Tensor:
        return a @ b

    def reduce(self, kind: str, a: Tensor) -> Tensor:
        return a.amax(-1, keepdim=True) if kind == "max" else getattr(a, kind)(-1, keepdim=True)

    def softmax(self, a: Tensor, logarithm: bool = False) -> Tensor:
        return a.log_softmax(-1) if logarithm else a.softmax(-1)

    def concat(self, parts: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(parts), -1)

    def part(self, a: Tensor, first: int, size: int) -> Tensor:
        return a.narrow(-1, first, size)

    def reshape(self, a: Tensor, *sizes: int) -> Tensor:
        return a.reshape(-1, *sizes)

    def transpose(self, a: Tensor) -> Tensor:
        return a.transpose(-1, -2)

    def rows(self, table: Array, ids: Tensor) -> Tensor:
        return self.constant(table)[ids]

    def gather(self, a: Tensor, index: Tensor) -> Tensor:
        return a.gather(1, index.long().unsqueeze(2).expand(-1, -1, a.shape[2]))

    def equations(
        self, results: Sequence[Expression], values: Mapping[tuple[str, str], Tensor], like: Sequence[Tensor]
    ) -> list[Tensor]:
        return [value.expand_as(one) for value, one in zip(evaluate(results, values), like, strict=True)]
