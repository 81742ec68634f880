"""What a task learns from its training data without gradients."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Learned"]


@dataclass(frozen=True)
class Learned:
    """Vocabularies, scales, a baseline: what prediction needs beside the options and the weights.

    A derived class is a frozen dataclass. One whose fields are JSON values needs no method of its own.
    """

    def to_json(self) -> dict[str, Any]:
        """The values that `from_json` reads."""
        return asdict(self)

    def tensors(self) -> "dict[str, Tensor]":
        """The tensors that `from_json` reads; none by default."""
        return {}

    @classmethod
    def from_json(cls, values: dict[str, Any], tensors: "dict[str, Tensor]") -> Self:
        """Make what `to_json` and `tensors` describe.

        Raises:
            KeyError, TypeError, ValueError: the values are damaged.
        """
        return cls(**values)

    def rows(self) -> dict[str, list[Any]]:
        """What the rows of weights stand for, by parameter name: the words of an embedding, the labels of an output.

        A run that starts from another run's weights takes over the rows that both have.
        """
        return {}
