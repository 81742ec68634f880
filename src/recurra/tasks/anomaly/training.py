"""What a detector learns: scales and a period, then a network that forecasts, then the errors that are normal."""

import logging
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recurra.data.batches.batch import Batch
from recurra.data.series.channels import ChannelSet
from recurra.detection.period import period_of
from recurra.detection.smoothing import smoothed
from recurra.detection.subsequences import Subsequences
from recurra.errors import DataError
from recurra.task import Fitted, Objective
from recurra.tasks.anomaly.learned import AnomalyLearned, ErrorModel
from recurra.tasks.anomaly.network import ChannelForecaster
from recurra.tasks.anomaly.scoring import contributions, forecast_errors, warmed
from recurra.training import Mean, evaluate, processes

if TYPE_CHECKING:
    from recurra.tasks.anomaly.detector import AnomalyDetector

__all__ = ["FittedDetector", "check_like", "fit_errors", "learn", "make_objective"]

_log = logging.getLogger("recurra.anomaly")

FittedDetector = Fitted[AnomalyLearned, ChannelForecaster]

_FEWEST_ROWS = 50
_WINDOW = 100  # steps that a sequence of a batch forecasts from
_WARM_UP = 200  # steps before those validated, that the state is made from
_RIDGE = 1e-3  # in units of the squared scale of a channel
_TAILS = 0.005  # of the values of a channel on each side, that its scale is not measured by
_CALIBRATION_ROWS = 500
_CALIBRATION_PERIODS = 5
_FEWEST_SCORES = 20  # that a tail is fitted to
_COLD_STARTS = 100  # windows
_HIGH = 0.9  # the quantile of distances that are compared: the mean is that of a few anomalies


def learn(options: "AnomalyDetector", data: ChannelSet) -> AnomalyLearned:
    """Scales, the period, and the model of subsequences.

    Raises:
        DataError: the rows are too few, or a channel has no value.
    """
    rows, fewest = max(map(len, data)), _FEWEST_ROWS + options.horizon
    if rows < fewest:
        raise DataError(
            f"{data.source}: expected a series of at least {fewest} rows to learn from, {_FEWEST_ROWS} and the "
            f"horizon; the longest has {rows}. Give more rows, or a smaller horizon."
        )
    if _training_rows(rows, options.validation_fraction) <= options.horizon:
        raise DataError(
            f"{data.source}: of the {rows} rows of the longest series too few are left to train with. Set a smaller "
            "validation_fraction or horizon."
        )
    joined = np.concatenate([one.values for one in data])
    for name, column in zip(data.channels, joined.T, strict=True):
        if np.isnan(column).all():
            raise DataError(f"{data.source}: {name} has no value in any row. Leave it out, as with --ignore {name}.")
    scales = [_scale(column[np.isfinite(column)]) for column in joined.T]
    centre, scale = (tuple(column) for column in zip(*scales, strict=True))
    longest = max(data, key=len)
    missing = bool(np.isnan(joined).any())
    none = Subsequences(1, np.zeros(1), np.zeros((1, 1)))
    learned = AnomalyLearned(data.channels, centre, scale, missing, 1, data.step_seconds, none)
    filled = [learned.inputs(learned.standardize(one.values))[:, : len(data.channels)] for one in data]
    period = period_of(filled[data.series.index(longest)][:, 0])
    subsequences = Subsequences.fit(filled, 2 * period)
    return AnomalyLearned(data.channels, centre, scale, missing, period, data.step_seconds, subsequences)


def check_like(learned: AnomalyLearned, data: ChannelSet) -> None:
    """Refuse other channels than those of training. Raises DataError."""
    if data.channels != learned.channels:
        raise DataError(
            f"{data.source}: expected the channels trained on ({', '.join(learned.channels)}), got "
            f"{', '.join(data.channels)}"
        )


def make_objective(
    options: "AnomalyDetector", fitted: FittedDetector, data: ChannelSet, validation_data: ChannelSet | None
) -> Objective:
    """Windows to train with, and what to validate with: the last rows of each series, or validation data."""
    learned, horizon, device = fitted.learned, options.horizon, fitted.device
    standard = [learned.standardize(one.values) for one in data]
    inputs = [torch.from_numpy(learned.inputs(one)).float() for one in standard]
    targets = [_targets(one, horizon) for one in standard]
    ends = [_training_rows(len(one), options.validation_fraction) for one in standard]
    window = max(1, min(_WINDOW, max(ends) - horizon))
    usable = np.array([max(0, end - horizon - window + 1) for end in ends])
    owners, first = np.repeat(np.arange(len(usable)), usable), np.concatenate([[0], np.cumsum(usable)])
    partition = processes().partition

    def batch(step: int) -> Batch:
        chosen = np.random.default_rng([options.seed, step]).integers(len(owners), size=options.batch_size)
        spans = [(int(owners[k]), int(k - first[owners[k]])) for k in partition.of(chosen)]
        rows = torch.stack([inputs[s][at : at + window] for s, at in spans])
        wanted = torch.stack([targets[s][at : at + window] for s, at in spans])
        return Batch(rows.to(device), wanted.to(device), float((~wanted.isnan()).sum()))

    def held_out() -> list[Batch]:
        batches = []
        for rows, wanted, end in zip(inputs, targets, ends, strict=True):
            begin = max(0, end - _WARM_UP)
            scored = wanted[begin:].clone()
            scored[: end - begin] = torch.nan
            weight = float((~scored.isnan()).sum())
            if weight:
                batches.append(Batch(rows[begin:].unsqueeze(0).to(device), scored.unsqueeze(0).to(device), weight))
        return [batches[index] for index in partition.of(np.arange(len(batches)))]

    validation = held_out() if options.validation_fraction else []

    def validate(network: nn.Module) -> Mean:
        return evaluate(network, loss, validation)

    return Objective(
        batch,
        loss,
        validate if validation else None,
        steps_per_epoch=max(1, round(sum(ends) / (window * options.batch_size))),
        unit="Huber loss of the standardised values",
    )


def loss(forecasts: Tensor, targets: Tensor) -> Tensor:
    """The mean Huber loss over what came; targets are NaN where nothing did."""
    came = ~targets.isnan()
    return nn.functional.smooth_l1_loss(forecasts[came], targets[came])


def fit_errors(options: "AnomalyDetector", fitted: FittedDetector, data: ChannelSet) -> AnomalyLearned:
    """What was learned, with the Gaussian of the forecast errors, and the scores that calibrate the threshold.

    With a `contamination` this is done twice, the second time without that fraction of the rows, the least likely.
    """
    learned, horizon = fitted.learned, options.horizon
    standard = [learned.standardize(one.values) for one in data]
    errors = [forecast_errors(fitted, one)[0].reshape(len(one), -1) for one in standard]
    rows = [np.arange(len(one)) >= horizon for one in errors]
    model = _gaussian(np.concatenate([e[normal] for e, normal in zip(errors, rows, strict=True)]))
    if options.contamination:
        raw = [contributions(one, *model, len(learned.channels)).sum(axis=1) for one in errors]
        limit = np.quantile(np.concatenate(raw), 1 - options.contamination)
        rows = [normal & (one <= limit) for normal, one in zip(rows, raw, strict=True)]
        model = _gaussian(np.concatenate([e[normal] for e, normal in zip(errors, rows, strict=True)]))
    cold_start = _cold_start(fitted, standard, model, np.concatenate(errors))
    held, settled, every = [], [], []
    for one, normal in zip(errors, rows, strict=True):
        parts = warmed(contributions(one, *model, len(learned.channels)), cold_start)
        if normal.any():
            # What is set aside does not raise the scores of the rows after it either.
            parts[~normal] = parts[normal].mean(axis=0)
        both = [smoothed(parts, learned.period, hindsight).sum(axis=1) for hindsight in (False, True)]
        scores = np.where(normal, both, np.nan)
        every.append(scores)
        settled.append(scores[:, min(learned.period, len(one) // 2) :])
        held.append(scores[:, _training_rows(len(one), options.validation_fraction) :])
    enough = max(_CALIBRATION_ROWS, _CALIBRATION_PERIODS * learned.period)
    clean = _clean(held if sum(one.shape[1] for one in held) >= enough else settled)
    if clean.shape[1] < _FEWEST_SCORES:
        clean = _clean(every)
    return learned.with_errors(ErrorModel(*model, cold_start, *clean))


def _cold_start(
    fitted: FittedDetector,
    standard: list[NDArray[np.float64]],
    model: tuple[NDArray[np.float64], NDArray[np.float64]],
    errors: NDArray[np.float64],
) -> NDArray[np.float64]:
    """How many times larger than others the distances of the first rows are, from windows of the training rows."""
    channels = standard[0].shape[1]
    steps = min(_WINDOW, max(map(len, standard)) // 2)
    starts = [(one, at) for one in standard for at in range(len(one) - steps + 1)]
    chosen = starts[:: max(1, len(starts) // _COLD_STARTS)]
    cold = []
    for one, at in chosen:
        own = forecast_errors(fitted, one[at : at + steps])[0].reshape(steps, -1)
        cold.append(contributions(own, *model, channels).sum(axis=1))
    usual = np.quantile(contributions(errors, *model, channels).sum(axis=1), _HIGH)
    return np.maximum(np.quantile(cold, _HIGH, axis=0) / max(usual, 1e-300), 1.0)


def _clean(scores: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Scores of several series, both kinds (2, T) of each, of the rows that are learned from."""
    joined = np.concatenate(scores, axis=1)
    return joined[:, np.isfinite(joined).all(axis=0)]


def _scale(values: NDArray[np.float64]) -> tuple[float, float]:
    """The mean and the standard deviation of a channel, without its most extreme values."""
    unit = float(abs(values).max()) or 1.0
    values = values / unit  # the squares of huge values are infinite
    low, high = np.quantile(values, [_TAILS, 1 - _TAILS])
    middle = values[(values >= low) & (values <= high)]
    centre, deviation = float(middle.mean()), float(middle.std())
    if deviation <= 1e-9:
        # Constant but for rare values: in these, or in the level itself, a change is measured.
        deviation = float(values.std()) or abs(centre) or 1.0
    return centre * unit, deviation * unit


def _training_rows(rows: int, validation_fraction: float) -> int:
    return rows - int(rows * validation_fraction)


def _targets(standard: NDArray[np.float64], horizon: int) -> Tensor:
    """What comes after each row: (T, N * C), NaN beyond the end."""
    padded = np.concatenate([standard, np.full((horizon, standard.shape[1]), np.nan)])
    ahead = [padded[step : step + len(standard)] for step in range(1, horizon + 1)]
    return torch.from_numpy(np.concatenate(ahead, axis=1)).float()


def _gaussian(errors: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean and the precision of errors (T, E), in which missing ones count as 0."""
    filled = np.nan_to_num(errors)
    mean, size = filled.mean(axis=0), filled.shape[1]
    covariance = (filled - mean).T @ (filled - mean) / max(1, len(filled) - 1)
    return mean, np.linalg.inv(covariance + _RIDGE * np.eye(size))
