"""A task that the package does not know: the last number of a row from those before it, in rows of any length."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from recurra.data.batches.batch import Batch
from recurra.data.batches.buckets import collate
from recurra.errors import DataError, ParameterError
from recurra.files import write_text
from recurra.inspection import Words
from recurra.layers import RNN
from recurra.options import Option, Options, Range, option
from recurra.task import Estimator, Evaluation, Fitted, Learned, Objective, Predictions, View, task, verb


class ToyReading(Options):
    separator: str = option(default=",", help="between numbers")


@dataclass(frozen=True)
class Rows:
    source: str
    values: tuple[tuple[float, ...], ...]

    def digest(self) -> str:
        return hashlib.sha256(repr(self.values).encode()).hexdigest()


@dataclass(frozen=True)
class Scale(Learned):
    mean: float


class Sums(Predictions[list[float]]):
    def __init__(self, values: list[float]) -> None:
        self._values = values

    @property
    def values(self) -> list[float]:
        return self._values

    def text(self, color: bool = False) -> Iterator[str]:
        yield from (f"{value:.3f}\n" for value in self._values)

    def write(self, path: str | Path) -> list[Path]:
        write_text(Path(path), "".join(self.text()))
        return [Path(path)]


class ToyNetwork(nn.Module):
    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.recurrent = RNN(1, hidden_size, batch_first=True)
        self.output = nn.Linear(hidden_size, 1)

    def forward(self, inputs: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        rows, lengths = inputs
        _, state = self.recurrent(rows, lengths=lengths)
        return self.output(state[-1]).squeeze(1), state


@task("toy")
class Toy(Estimator[Rows, Scale, ToyNetwork]):
    """A regressor of the last number of each row."""

    noun = "toy"
    Reading = ToyReading
    learned_class = Scale
    hidden_size: int = option(default=4, at_least=1, help="units", main=True, search=Range(2, 8))
    max_steps: int = option(default=20)

    def read(self, source: Any, y: Any, reading: ToyReading, labelled: bool) -> Rows:
        if isinstance(source, Rows):
            return source
        if not isinstance(source, str | Path):
            return Rows("the data", tuple(map(tuple, source)))
        lines = Path(source).read_text().splitlines()
        if not lines:
            raise DataError(f"{source}: the file is empty.")
        return Rows(str(source), tuple(tuple(map(float, line.split(reading.separator))) for line in lines))

    def learn(self, training: Rows, validation: Rows | None) -> Scale:
        return Scale(sum(row[-1] for row in training.values) / len(training.values))

    def network(self, learned: Scale) -> ToyNetwork:
        return ToyNetwork(self.hidden_size)

    def objective(self, fitted: Fitted[Scale, ToyNetwork], training: Rows, validation: Rows | None) -> Objective:
        inputs, target = self._tensors(training, fitted)
        batch = Batch(inputs, target, len(target))
        validate = None
        if validation is not None:
            rows, truth = self._tensors(validation, fitted)
            validate = lambda module: float((module(rows)[0] - truth).square().mean())  # noqa: E731
        return Objective(lambda step: batch, lambda output, target: (output - target).square().mean(), validate)

    @verb("predict the last number of each row")
    def predictions(self, data: Any, *, reading: ToyReading | None = None) -> Sums:
        """Predict the last number of each row."""
        rows = self.data_for(data, None, reading)
        with torch.no_grad():
            return Sums(self.fitted.network(self._tensors(rows, self.fitted)[0])[0].tolist())

    @verb("test a run")
    def evaluate(self, data: Any, *, reading: ToyReading | None = None) -> Evaluation:
        """Compare with the mean."""
        rows = self.data_for(data, None, reading)
        truth, found = torch.tensor([row[-1] for row in rows.values]), torch.tensor(self.predict(rows))
        errors = {"model": found - truth, "mean": self.fitted.learned.mean - truth}
        methods = {name: {"MSE": float(error.square().mean())} for name, error in errors.items()}
        return Evaluation(rows.source, methods, "MSE", formats={"MSE": ".4f"}, losses=frozenset({"MSE"}))

    @verb("see inside a run")
    def view(self, data: Any, *, reading: ToyReading | None = None, row: Annotated[int, Option("a row, from 1")] = 1,
             name: str = "") -> View:  # fmt: skip
        """Inspect."""
        rows = self.data_for(data, None, reading)
        if not 1 <= row <= len(rows.values):
            raise ParameterError("row", f"1 to {len(rows.values)}", row)
        inputs, target = self._tensors(rows, self.fitted)
        words = Words(
            title=name or "toy",
            facts={"data": rows.source, "looked at": f"row {row} of {len(target)}"},
            loss="the squared error",
            output="the predicted number",
            first_step=1,
            labels=[f"{number:g}" for number in rows.values[row - 1][:-1]],
        )
        return View(
            (inputs,),
            words,
            loss=lambda result: (result[0] - target).square().mean(),
            output=lambda result: result[0],
            sequence=row - 1,
            reads="recurrent",
            evaluate=lambda: self.evaluate(rows),
        )

    def _tensors(self, rows: Rows, fitted: Fitted[Scale, ToyNetwork]) -> tuple[tuple[Tensor, Tensor], Tensor]:
        padded, lengths = collate([torch.tensor(row[:-1]).unsqueeze(1) for row in rows.values])
        inputs = padded.to(fitted.device), lengths.to(fitted.device)
        return inputs, torch.tensor([row[-1] for row in rows.values], device=fitted.device)
