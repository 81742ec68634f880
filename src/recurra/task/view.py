"""What `inspect` shows of a task's network."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

    from recurra.inspection import Finding, Words
    from recurra.task.results import Evaluation

__all__ = ["View"]


@dataclass(frozen=True)
class View:
    """The arguments of `recurra.inspection.inspect`, which documents them, and how the model is scored.

    Attributes:
        inputs: what the network is called with.
        words: what things are called on the page.
        loss: from what the network returns to a scalar.
        output: from what the network returns to one number a sequence (B,).
        steps: where the loss is taken.
        sequence: the sequence of the batch that is shown.
        reads: the modules whose inputs the output is attributed to.
        layers: the recurrent layers to inspect.
        follows: modules whose steps come after those of all others.
        distances: how far each step is from the output, -1 at padding.
        alone: what the network is called with for the sequence shown alone, and `output` for that call.
        concerns: findings to show before those of the network.
        evaluate: scores the data looked at, as `evaluate` does; None: their truth is not known.
        network: that is looked into. None: the whole network of the model.
    """

    inputs: tuple[Any, ...]
    words: "Words"
    loss: "Callable[[Any], Tensor] | None" = None
    output: "Callable[[Any], Tensor] | None" = None
    steps: Sequence[int] | None = None
    sequence: int = 0
    reads: str | Sequence[str] = ""
    layers: Sequence[str] | None = None
    follows: Sequence[str] = ()
    distances: "Sequence[Tensor] | None" = None
    alone: "tuple[Sequence[Any], Callable[[Any], Tensor]] | None" = None
    concerns: "Sequence[Finding]" = ()
    evaluate: "Callable[[], Evaluation] | None" = None
    network: "nn.Module | None" = None
