"""What a form has to say for a step to be written in it."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from recurra.codegen.expression import Expression
from recurra.program.operations import Array

__all__ = ["Arithmetic"]


class Arithmetic(Protocol):
    """Functions of tensors whose first dimension is the batch; a tensor is what the form takes for one.

    Arrays are constants without the batch. Sums, products and comparisons broadcast as NumPy's do.
    """

    def constant(self, array: Array) -> Any:
        """A constant."""
        ...

    def unary(self, kind: str, a: Any) -> Any:
        """A function by value: tanh, sigmoid, relu, exp, log, sqrt, erf, absolute or negative."""
        ...

    def binary(self, kind: str, a: Any, b: Any) -> Any:
        """A function by value: add, subtract, multiply, divide, maximum; less_or_equal or equal, of truth values."""
        ...

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        """a where the condition holds, else b."""
        ...

    def matmul(self, a: Any, b: Any) -> Any:
        """A product of matrices, over the last two dimensions."""
        ...

    def reduce(self, kind: str, a: Any) -> Any:
        """The sum, mean or max over the last dimension, which stays with size 1."""
        ...

    def softmax(self, a: Any, logarithm: bool = False) -> Any:
        """Over the last dimension."""
        ...

    def concat(self, parts: Sequence[Any]) -> Any:
        """Along the last dimension."""
        ...

    def part(self, a: Any, first: int, size: int) -> Any:
        """`size` values of the last dimension from the `first` on."""
        ...

    def reshape(self, a: Any, *sizes: int) -> Any:
        """The dimensions after the batch."""
        ...

    def transpose(self, a: Any) -> Any:
        """The last two dimensions exchanged."""
        ...

    def rows(self, table: Array, ids: Any) -> Any:
        """The rows (B, n) of a table (V, n) that ids (B,) name."""
        ...

    def gather(self, a: Any, index: Any) -> Any:
        """Of a (B, M, n) the rows (B, K, n) that an index (B, K) of whole floating-point numbers names."""
        ...

    def equations(
        self, results: Sequence[Expression], values: Mapping[tuple[str, str], Any], like: Sequence[Any]
    ) -> list[Any]:
        """A cell's equations, from the values of their inputs by group and name; of the shapes of `like`."""
        ...
