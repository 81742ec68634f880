"""The network of a regressor, its batches, loss and validation."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.data.batches.batch import Batch
from recurra.data.batches.buckets import Buckets
from recurra.data.labelled.series import LabelledSeries
from recurra.data.labelled.series_encoding import EncodedSeries, Steps
from recurra.data.labelled.targets import targets_of
from recurra.errors import ParameterError, StreamError
from recurra.models import ClassifierEnsemble, SequenceClassifier
from recurra.models.series_network import check_stride, make_networks, series_defaults
from recurra.models.solved_scores import series_examples, solve_scores
from recurra.streaming import ItemStream, StreamState, stream_of
from recurra.task import Fitted, Objective
from recurra.task.reservoir_options import series_trunk
from recurra.tasks.regress.learned import RegressorLearned
from recurra.training import Mean, processes
from recurra.training.outputs import outputs_of

__all__ = [
    "FittedRegressor",
    "RegressorNetwork",
    "make_network",
    "make_objective",
    "open_stream",
    "predicted",
    "with_defaults",
]


class RegressorNetwork(nn.Module):
    """Reads a batch of series and predicts the standardised target of each.

    Args:
        reader: of the series' steps, with one output.
    """

    def __init__(self, reader: SequenceClassifier | ClassifierEnsemble) -> None:
        super().__init__()
        self.reader = reader

    def forward(self, batch: Steps) -> tuple[Tensor, Any]:
        """The predictions (B,), and the final state of the recurrent layers."""
        outputs, state = self.reader(batch.values, batch.lengths)
        return outputs.squeeze(1), state


FittedRegressor = Fitted[RegressorLearned, RegressorNetwork]


def with_defaults(options: Mapping[str, Any], learned: RegressorLearned) -> dict[str, Any]:
    """The options of a regressor, with the value that the data decide in place of each None.

    Raises:
        ParameterError: a stride has no convolution.
    """
    values = dict(options)
    encoding = learned.encoding
    facts = (encoding.longest, encoding.count, encoding.timed, values["reservoir"])
    defaults = series_defaults(values["filters"], *facts)
    values |= {name: value for name, value in defaults.items() if values[name] is None}
    check_stride(values["stride"], values["filters"])
    return values


def make_network(options: Mapping[str, Any], learned: RegressorLearned) -> RegressorNetwork:
    """The network, its weights sampled from torch's generator.

    Args:
        options: of the regressor, by name.
        learned: from the training data.
    """
    options = with_defaults(options, learned)
    encoding = learned.encoding
    sizes = (encoding.size, options["hidden_size"], 1)
    # A channel of a series cannot be spared: without its only one, a series is nothing but zeros.
    cell = series_trunk(options)
    return RegressorNetwork(
        make_networks(SequenceClassifier, cell, sizes, options, 0.0, encoding.timed, encoding.missing)
    )


def predicted(fitted: FittedRegressor, encoded: EncodedSeries, network: nn.Module | None = None) -> np.ndarray:
    """The predictions (N,) float64 for at least one series, in the units of the targets.

    Args:
        fitted: a regressor.
        encoded: the series.
        network: one with other weights; None: the regressor's own.
    """
    return fitted.learned.restore(outputs_of(fitted.network if network is None else network, encoded, fitted.device))


def open_stream(fitted: FittedRegressor, weights: str, look_ahead: int | None) -> ItemStream:
    """The regressor as a stream of the steps of a series; see `Estimator.open_stream`.

    Raises:
        StreamError: the regressor reads what is to come. The message says what to train instead.
    """
    learned = fitted.learned
    encoding = learned.encoding
    if encoding.normalization == "series":
        raise StreamError("normalization: each series is normalised as a whole. Train with normalization='channel'.")

    def read(item: Any, state: StreamState) -> np.ndarray:
        return encoding.encode_step(item)

    def answer(_: np.ndarray, outputs: np.ndarray) -> dict[str, Any]:
        return {"prediction": float(learned.restore(outputs[-1])[0])}

    words = f"a step of a series: {', '.join(encoding.channels)}"
    reader = fitted.network.reader
    return stream_of(reader, read, answer, words, encoding.example, weights=weights, look_ahead=look_ahead)


def make_objective(
    options: Mapping[str, Any],
    fitted: FittedRegressor,
    training: LabelledSeries,
    validation: LabelledSeries | None,
) -> Objective:
    """Batches, loss and validation.

    Args:
        options: of the regressor, by name.
        fitted: what is to be trained.
        training: series with targets.
        validation: series to choose the best weights by. None: the last weights are used.

    Raises:
        ParameterError: a batch has fewer series than there are processes.
    """
    partition, learned = processes().partition, fitted.learned
    if options["batch_size"] < partition.count:
        raise ParameterError(
            "batch_size", f"at least the number of processes, {partition.count}", options["batch_size"]
        )
    encoded = learned.encode(training.series, training.source)
    targets = torch.from_numpy(learned.standardize(targets_of(training)))
    buckets = Buckets(encoded.lengths, options["batch_size"], seed=options["seed"], partition=partition)

    def batch(step: int) -> Batch:
        indices = buckets(step)
        weight = float(len(indices))
        if not weight:
            # There are more processes than series left: this one takes any series, because all must make the step.
            indices = np.array([0])
        generator = np.random.default_rng((options["seed"], step, partition.rank))
        read = encoded.batch(indices).varied(options["jitter"], options["scaling"], generator)
        return Batch(read.to(fitted.device), targets[indices].to(fitted.device), weight)

    def solve() -> float:
        reader, held = fitted.network.reader, None
        assert isinstance(reader, SequenceClassifier)
        if validation is not None:
            series = learned.encode(validation.series, validation.source)
            wanted = torch.from_numpy(learned.standardize(targets_of(validation)))
            held = series_examples(series, wanted.unsqueeze(1), fitted.device)
        solve_scores(reader, series_examples(encoded, targets.unsqueeze(1), fitted.device), held)
        return _error(fitted, predicted(fitted, encoded), targets_of(training))

    def words(loss: float) -> str:
        return f"RMSE {learned.deviation * loss**0.5:.4g}"

    return Objective(
        batch,
        F.huber_loss if options["loss"] == "huber" else F.mse_loss,
        None if validation is None else _validation(fitted, validation),
        record={"padding_fraction": round(buckets.padding_fraction, 4)},
        steps_per_epoch=buckets.steps_per_epoch,
        unit="squared standard deviations",
        baselines={} if validation is None else _baselines(fitted, validation),
        words=words,
        solve=solve if options["reservoir"] else None,
    )


def _validation(fitted: FittedRegressor, validation: LabelledSeries) -> Callable[[nn.Module], Mean]:
    encoded = fitted.learned.encode(validation.series, validation.source)
    targets = targets_of(validation)
    # The averaged weights are in a network of their own.
    return lambda network: Mean(_error(fitted, predicted(fitted, encoded, network), targets), 1.0)


def _baselines(fitted: FittedRegressor, validation: LabelledSeries) -> dict[str, float]:
    targets = targets_of(validation)
    return {
        name: _error(fitted, numbers, targets) for name, numbers in fitted.learned.baselines(validation.series).items()
    }


def _error(fitted: FittedRegressor, numbers: np.ndarray, targets: np.ndarray) -> float:
    """The mean squared error, in squared standard deviations of training's targets."""
    return float(np.mean(((numbers - targets) / fitted.learned.deviation) ** 2))
