"""What a forecaster learns from series: first without gradients, then with them."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from recurra.data.series.covariates import CovariateEncoding
from recurra.data.series.gathered_windows import windows_of
from recurra.data.series.series_set import SeriesSet
from recurra.data.series.windows import Window, Windows, WindowSampler, WindowShape, input_sizes
from recurra.errors import DataError, ParameterError
from recurra.models.forecasting.conformal import Calibration
from recurra.models.forecasting.network import mean_loss
from recurra.models.forecasting.normalization import Normalization, normalize
from recurra.models.forecasting.reservoir import ReservoirNetwork, solve_forecast
from recurra.task.objective import Objective
from recurra.tasks.forecast.backtest import Backtest, Folds, plan_folds, run_backtest
from recurra.tasks.forecast.learned import ForecastLearned
from recurra.tasks.forecast.model import ForecastModel, output_of
from recurra.training import Batch, Mean, evaluate, processes

if TYPE_CHECKING:
    from recurra.task import Evaluation, Fitted
    from recurra.tasks.forecast.forecaster import Forecaster

__all__ = [
    "Validation",
    "fit_calibration",
    "horizon_of",
    "learn",
    "make_objective",
    "model_of",
    "plan_validation",
    "refitted",
    "window_shape",
]

_log = logging.getLogger("recurra.forecast")
_MOST_VALIDATION_WINDOWS = 1024
_ENOUGH_VALIDATION_WINDOWS = 64
_MOST_COMPARED = 128  # validation windows
_STEPS_AT_ONCE = 1 << 18  # of which counts are checked
_MOST_SOLVED_WINDOWS = 8192  # of training that a reservoir is fitted to


@dataclass(frozen=True)
class Validation:
    """The windows to validate with, and what they leave of the training series.

    Attributes:
        data: the series that the windows are cut from.
        rows: series of each validation window (N,).
        origins: its origin (N,).
        ends: steps of each training series that training may see.
    """

    data: SeriesSet
    rows: np.ndarray
    origins: np.ndarray
    ends: np.ndarray


def horizon_of(options: "Forecaster", data: SeriesSet) -> int:
    """The steps to forecast: what the options say, else what the data's file says.

    Raises:
        ParameterError: neither says so.
    """
    horizon = options.horizon or data.horizon
    if horizon is None:
        way_out = "Say how many steps to forecast: Forecaster(horizon=24), or --horizon 24."
        raise ParameterError("horizon", "a whole number of at least 1", "nothing", way_out)
    return horizon


def window_shape(options: "Forecaster", data: SeriesSet) -> WindowShape:
    """The sizes of the windows: what the options say, else what follows from the frequency; see also `horizon_of`.

    A season longer than half of the longest series has not been seen twice, and is left out.
    """
    longest, horizon = int(data.lengths.max()), horizon_of(options, data)
    seasons = options.seasons or tuple(s for s in data.frequency.seasons if 2 * s <= longest) or (1,)
    context = options.context_length or max(3 * seasons[0], horizon, 8)
    return WindowShape(seasons, context, horizon)


def learn(options: "Forecaster", data: SeriesSet) -> ForecastLearned:
    """What is learned without gradients: the encoding of covariates, and the sizes of windows and inputs.

    Raises:
        DataError: no series is long enough, or counts are asked for and a value is not a count.
    """
    held_out = options.folds * horizon_of(options, data)
    _check_held_out(data, held_out, options.folds)
    seen = data.until(held_out)
    shape = window_shape(options, seen)
    _check_lengths(seen, shape, options.folds)
    if output_of(options.get_params()) == "negative_binomial":
        _check_counts(seen)
    encoding = CovariateEncoding.fit(seen, options.calendar, options.holidays)
    one = windows_of(replace(seen, series=seen.series[:1]), encoding, shape)
    until = {series.id: int(seen.last_stamp(series).astype(np.int64)) for series in seen}
    sizes = input_sizes(one.cut(np.array([0]), np.array([0])))
    first = data.series[0]
    latest = data.form.shown(data.last_stamp(first)), float(first.y[-1])
    return ForecastLearned(data, held_out, encoding, shape, sizes, until, latest)


def plan_validation(options: "Forecaster", learned: ForecastLearned, held: SeriesSet | None) -> Validation:
    """Which windows validate.

    Args:
        options: of the forecaster.
        learned: from the training series.
        held: validation data; None: the last horizons of the training series, which training does not see then.

    Raises:
        DataError: no series is long enough, and windows are needed.
    """
    seen, shape = learned.seen(), learned.shape
    data = seen if held is None else held
    count = _validation_windows(data, options, shape.horizon)
    validation_steps, lengths = count * shape.horizon, data.lengths
    # A training series has to keep a window to learn from before those that validate.
    to_learn_from = shape.horizon if held is None else 0
    validated = lengths - validation_steps - to_learn_from >= shape.least_origin
    ends = np.where(validated, lengths - validation_steps, lengths) if held is None else seen.lengths
    back = np.arange(1, count + 1) * shape.horizon
    rows = np.repeat(np.flatnonzero(validated), len(back))
    origins = (lengths[validated][:, None] - back).ravel()
    if len(rows) > _MOST_VALIDATION_WINDOWS:
        chosen = np.random.default_rng(options.seed).permutation(len(rows))[:_MOST_VALIDATION_WINDOWS]
        rows, origins = rows[np.sort(chosen)], origins[np.sort(chosen)]
    if not len(rows) and held is not None:
        raise DataError(
            f"{data.source}: no series is long enough to leave {validation_steps} steps for validation windows; the "
            f"longest has {data.lengths.max()} steps, {validation_steps + to_learn_from + shape.least_origin} are "
            "needed. Shorten the horizon."
        )
    return Validation(data, rows, origins, ends)


def make_objective(
    options: "Forecaster", fitted: "Fitted[ForecastLearned, nn.Module]", held: SeriesSet | None
) -> Objective:
    """Windows to train and validate with, and their loss."""
    model, validation = ForecastModel(fitted), plan_validation(options, fitted.learned, held)
    windows, device, context = model.windows(fitted.learned.seen()), fitted.device, model.shape.context
    validation_windows = windows if held is None else model.windows(validation.data)
    partition = processes().partition
    if options.batch_size < partition.count:
        raise ParameterError("batch_size", f"at least the number of processes, {partition.count}", options.batch_size)
    sampler = WindowSampler(windows, validation.ends, options.batch_size, options.seed, partition)
    rows, origins = partition.of(validation.rows), partition.of(validation.origins)
    counts = output_of(options.get_params()) == "negative_binomial"

    def batch(window: Window) -> Batch:
        # The recursive network also learns from each step of the context.
        steps = [window.target] if options.model == "direct" else [window.history[:, -context:], window.target]
        target = torch.cat(steps, dim=1)
        if not counts:
            # A window of zeros has no unit to measure errors in.
            target = target.masked_fill(normalize(window.history, 1).level == 0, torch.nan)
        observed = float((~target.isnan()).sum())
        return Batch(window.to(device), target.to(device), observed)

    def loss(output: tuple[Tensor, Normalization], target: Tensor) -> Tensor:
        return mean_loss(model.head, output, target)

    def batches(windows: Windows, rows: np.ndarray, origins: np.ndarray) -> Iterator[Batch]:
        parts = (slice(start, start + 256) for start in range(0, len(rows), 256))
        return (batch(windows.cut(rows[part], origins[part])) for part in parts)

    def validate(network: nn.Module) -> Mean:
        return evaluate(network, loss, batches(validation_windows, rows, origins))

    def solve() -> float:
        assert isinstance(fitted.network, ReservoirNetwork)
        # All windows in every process, each of which finds the same weights.
        chosen, validated = sampler.spread(_MOST_SOLVED_WINDOWS), (validation.rows, validation.origins)
        solve_forecast(
            fitted.network,
            lambda: (one.inputs for one in batches(windows, *chosen)),
            lambda: (one.inputs for one in batches(validation_windows, *validated)),
        )
        mean = evaluate(fitted.network.eval(), loss, batches(windows, *chosen))
        return mean.total / mean.weight

    measurable = any(one.weight for one in batches(validation_windows, validation.rows, validation.origins))
    if not measurable:
        _say_without_windows(validation, options)

    def compare() -> "Evaluation":
        from recurra.tasks.forecast.results import make_evaluation

        count = len(validation.rows)
        chosen = np.linspace(0, count - 1, min(count, _MOST_COMPARED)).round().astype(int)
        folds = Folds(validation.rows[chosen], validation.origins[chosen], np.zeros(len(chosen), int), {})
        return make_evaluation(ForecastModel(fitted).backtest(validation.data, folds))

    return Objective(
        lambda step: batch(sampler(step)),
        loss,
        validate if measurable else None,
        words=lambda value: f"loss {value:.4f}",
        compare=compare,
        solve=solve if options.reservoir else None,
    )


def fit_calibration(
    options: "Forecaster", fitted: "Fitted[ForecastLearned, nn.Module]", held: SeriesSet | None
) -> ForecastLearned:
    """What was learned, with the scores of the validation windows, by which conformal intervals are moved."""
    validation = plan_validation(options, fitted.learned, held)
    scores = ForecastModel(fitted).interval_scores(validation.data, validation.rows, validation.origins)
    return replace(fitted.learned, calibration=Calibration.of(scores))


def model_of(options: "Forecaster") -> ForecastModel:
    """The model of a fitted forecaster.

    If training was interrupted before conformal intervals were calibrated, they are calibrated first, unless that needs
    validation data, which the run does not hold.

    Raises:
        RunError: it is not fitted.
    """
    fitted = options.fitted
    if options.conformal and fitted.learned.calibration is None:
        if fitted.data["validation_digest"] is not None:
            _log.warning("training was interrupted before conformal intervals were calibrated; resume it to have them")
            return ForecastModel(fitted)
        fitted.learned = fit_calibration(options, fitted, None)
    return ForecastModel(fitted)


def refitted(options: "Forecaster", data: SeriesSet, folds: int, step: int | None, progress: bool | None) -> Backtest:
    """A rolling-origin backtest for which the forecaster is trained anew before each fold.

    Args:
        options: of the forecaster.
        data: the series.
        folds: forecasts of each series.
        step: steps between origins; None: the horizon.
        progress: show progress of each training; None: the trainer decides by the terminal.

    Raises:
        DataError: no series is long enough.
    """
    horizon = horizon_of(options, data)
    step = horizon if step is None else step
    first = data.until((folds - 1) * step + horizon)
    if not len(first):
        raise DataError(f"{data.source}: no series is long enough for {folds} folds that begin {step} steps apart")
    shape = learn(options.replaced(folds=0), first).shape
    plan = plan_folds(data, horizon, folds, step, shape.least_origin)

    def forecast(rows: np.ndarray, origins: np.ndarray) -> np.ndarray:
        quantiles = np.empty((len(rows), horizon, len(options.quantiles)))
        for fold in range(folds):
            windows = np.flatnonzero(plan.indices == fold)
            if len(windows):
                seen = data.until((folds - 1 - fold) * step + horizon)
                trained = model_of(options.replaced(folds=0).fit(seen, progress=progress))
                quantiles[windows] = trained.quantiles(data, rows[windows], origins[windows])
        return quantiles

    return run_backtest(data, plan, forecast, horizon, shape.seasons[0], options.quantiles)


def _validation_windows(data: SeriesSet, options: "Forecaster", horizon: int) -> int:
    """Horizons of each series to validate on: if there are few series, one window each would give a noisy figure."""
    if options.validation_windows is not None:
        return options.validation_windows
    wanted = -(-_ENOUGH_VALIDATION_WINDOWS // len(data))
    affordable = int(np.median(data.lengths)) // (10 * horizon)
    return max(1, min(wanted, affordable))


def _say_without_windows(validation: Validation, options: "Forecaster") -> None:
    data = validation.data
    consequence = "training stops at max_steps, and intervals are not calibrated"
    if len(validation.rows):
        _log.warning(
            "%s: the validation windows hold nothing but zeros or missing values; %s", data.source, consequence
        )
    elif options.validation_windows == 0:
        _log.info("without validation windows (validation_windows=0) %s", consequence)
    else:
        _log.warning("%s: no series is long enough for validation windows; %s", data.source, consequence)


def _check_held_out(data: SeriesSet, held_out: int, folds: int) -> None:
    """Name the series of which holding out leaves nothing; they are not learned from, but can still be forecast."""
    gone = [one.id for one in data if len(one) <= held_out]
    if not gone:
        return
    more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
    message = (
        f"{data.source}: series {gone[0]!r}{more}: no steps are left to learn from with {held_out} steps held out for "
        f"evaluation (folds={folds}). Hold out fewer (folds=0 holds out none; --folds 0), or shorten the horizon."
    )
    if len(gone) == len(data):
        raise DataError(message)
    _log.warning("%s", message)


def _check_lengths(data: SeriesSet, shape: WindowShape, folds: int) -> None:
    needed = shape.least_origin + shape.horizon
    short = [series for series in data if len(series) < needed]
    if not short:
        return
    shown = ", ".join(f"{series.id!r} ({len(series)})" for series in short[:5]) + (", ..." if len(short) > 5 else "")
    reason = f"a season of {shape.seasons[0]}, a step and a horizon of {shape.horizon} need {needed} steps"
    if len(short) == len(data):
        held = f" beside the {folds * shape.horizon} held out for evaluation" if folds else ""
        way_out = "Hold out none (folds=0; --folds 0), shorten" if folds else "Shorten"
        raise DataError(
            f"{data.source}: every series is too short to learn from: {reason}{held}; got {shown}. {way_out} the "
            "horizon, or give a shorter season."
        )
    _log.warning(
        "%s: %d of %d series are too short to learn from (%s) and are left out of training: %s; "
        "they can still be forecast",
        data.source,
        len(short),
        len(data),
        reason,
        shown,
    )


def _check_counts(data: SeriesSet) -> None:
    for series in data:
        for start in range(0, len(series), _STEPS_AT_ONCE):
            y = series.y[start : start + _STEPS_AT_ONCE]
            bad = np.flatnonzero((y < 0) | (y != np.floor(y)) & np.isfinite(y))
            if len(bad):
                stamp: Any = data.stamps_at(series, start + bad)[0]
                raise DataError(
                    f"{data.source}: series {series.id!r} at {data.form.shown(stamp)}: expected a count for "
                    f"output='negative_binomial', got {y[bad[0]]:g}. Use another output."
                )
