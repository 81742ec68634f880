"""What a task minimises."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from recurra.task.results import TRY_NEXT, worse_than

if TYPE_CHECKING:
    from torch import Tensor, nn

    from recurra.data.batches.batch import Batch
    from recurra.task.results import Evaluation
    from recurra.training import Mean, Truncation

__all__ = ["Objective"]

_WHERE = "on the validation data"
_TRY_SOLVED = "another spectral_radius, leak, input_scale or size (hidden_size), or more data"


@dataclass(frozen=True)
class Objective:
    """Batches, loss and validation of a training, and what to call its figures.

    Attributes:
        batches: see `recurra.training.Trainer`.
        loss: see `recurra.training.Trainer`.
        validate: see `recurra.training.Trainer`; None: there is no validation.
        truncation: see `recurra.training.Trainer`.
        record: see `recurra.training.Trainer`.
        steps_per_epoch: the steps in which the training data are read once; 0: they are sampled without end.
        unit: of the loss, such as "nats per word".
        measure: the validation score, such as "accuracy"; empty: validation measures the loss itself.
        error: what 1 - measure is called, if it has a name, such as "word error rate".
        score: from the validation loss to the score as text; by default one minus the loss, in percent.
        baselines: the validation loss of each simple method that the model has to beat, by its name.
        compare: scores the trained network beside simple methods on the validation data, if a simple method has no
            validation loss; called after training.
        files: texts that the run's folder holds beside the log, by the name of their file, such as which rows of the
            data are left out.
        solve: see `recurra.training.Trainer`; None: training is by gradients.
        words: from the best validation loss to a phrase that names it; None: the measure and its score, or the loss.
    """

    batches: "Callable[[int], Batch]"
    loss: "Callable[[Any, Any], Tensor]"
    validate: "Callable[[nn.Module], float | Mean] | None" = None
    truncation: "Truncation | None" = None
    record: Mapping[str, Any] = field(default_factory=dict)
    steps_per_epoch: int = 0
    unit: str = "loss"
    measure: str = ""
    error: str = ""
    score: Callable[[float], str] = lambda loss: f"{100 * (1 - loss):.2f} %"
    baselines: Mapping[str, float] = field(default_factory=dict)
    compare: "Callable[[], Evaluation] | None" = None
    files: Mapping[str, str] = field(default_factory=dict)
    words: Callable[[float], str] | None = None
    solve: "Callable[[], float] | None" = None

    @property
    def validation_name(self) -> str:
        """What a picture calls the validation loss."""
        return f"validation: {self.error or f'1 - {self.measure}'}" if self.measure else "validation"

    def beaten_by(self, loss: float) -> str:
        """A sentence that names the baselines better than the best validation, and what to try; empty if none is."""
        better = [name for name, other in self.baselines.items() if other < loss]
        try_next = TRY_NEXT if self.solve is None else _TRY_SOLVED
        if not better:
            return "" if self.compare is None else self.compare().beaten_by(_WHERE, try_next)
        shown = self.score if self.measure else "{:.4f}".format
        figures = [f"{name} {shown(self.baselines[name])}" for name in better]
        return worse_than(figures, f"{self.measure or 'loss'} {shown(loss)} {_WHERE}", try_next)

    def best(self, loss: float) -> str:
        """The best validation in words."""
        if self.words is not None:
            return self.words(loss)
        return f"{self.measure} {self.score(loss)}" if self.measure else f"loss {loss:.4f} ({self.unit})"
