"""The detector: its options, and what it does with rows of measurements."""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from recurra.errors import ParameterError, StreamError
from recurra.options import Option, Options, Range, option
from recurra.task import Estimator, task, verb
from recurra.task.architecture import ArchitectureOptions
from recurra.task.checks import check_cell, check_ending
from recurra.task.retraining import retraining_command
from recurra.task.row_predictors import SeriesPredictor
from recurra.tasks.anomaly.learned import AnomalyLearned

# Modules that need torch, numpy or polars are imported inside the hooks: the command line's help does without.
if TYPE_CHECKING:
    import polars as pl
    from torch import nn

    from recurra.data.series.channels import ChannelColumns, ChannelSet
    from recurra.models.detector_ensemble import DetectorEnsemble
    from recurra.models.detector_errors import Network
    from recurra.streaming import ItemStream
    from recurra.task import Evaluation, Fitted, Objective, View
    from recurra.tasks.anomaly.events import UpdatedDetector
    from recurra.tasks.anomaly.results import Detections, LiveDetections

__all__ = ["AnomalyDetector", "AnomalyReading"]

_FEWEST_STEPS, _MOST_STEPS, _EPOCHS = 300, 5000, 20


def _check_budget(name: str, value: str) -> None:
    from recurra.detection.budget import probability_of_budget

    # The time of a step is known with the data alone: any that is short enough for every budget.
    probability_of_budget(value, 1e-9)


class AnomalyReading(Options):
    """The columns of a table of measurements, and the form of its numbers and dates."""

    id_column: str | None = option(default="unique_id", help="which series a row belongs to")
    time_column: str | None = option(
        default=None, help="date, time or step; one called ds, timestamp, datetime, date or time by default"
    )
    channels: tuple[str, ...] = option(
        default=(), help="columns to watch; all others that hold numbers by default", main=True
    )
    covariates: tuple[str, ...] = option(
        default=(),
        help="columns that the network reads beside the channels and that raise no alarm, such as commands",
        main=True,
    )
    ignore: tuple[str, ...] = option(default=(), help="columns that are left out", main=True)
    label_column: str | None = option(
        default=None,
        help="column that is 1 for anomalous rows and 0 for others, for evaluation; one called label, anomaly or "
        "outlier by default",
        main=True,
    )
    decimal: Literal[".", ","] | None = option(
        default=None, help="decimal mark of numbers in text; recognised by default"
    )
    date_format: str | None = option(
        default=None, help="form of dates in text, such as %d.%m.%Y; ISO and what is not ambiguous by default"
    )

    @property
    def columns(self) -> "ChannelColumns":
        """The columns and the form of their text."""
        from recurra.data.series.channels import ChannelColumns

        return ChannelColumns(
            self.id_column,
            self.time_column,
            self.channels,
            self.ignore,
            self.label_column,
            self.decimal,
            self.date_format,
            self.covariates,
        )


@task("anomaly")
class AnomalyDetector(
    ArchitectureOptions, SeriesPredictor, Estimator["ChannelSet", AnomalyLearned, "Network | DetectorEnsemble"]
):
    """A recurrent detector of anomalies in series of one or many channels (LSTM-AD, Malhotra et al. 2015).

    The network forecasts the next steps of every channel. A Gaussian over the errors of all these forecasts together
    says how unlikely a row is; the distance is smoothed over the period of the data. Or the network is an autoencoder,
    which writes the window that ends with a row again (EncDec-AD, Malhotra et al. 2016). Beside this slow score, a fast
    one sees single rows. The score of a row uses nothing after it. The tail of the scores of normal rows, generalised
    Pareto, gives the probability of a score, and the threshold that keeps false alarms within a budget.

    Data are a long frame (polars or pandas), the path of a file (CSV, TSV, Parquet) with a row for each stamp, an array
    (T,) or (T, C), or a list of arrays, one a series. Labels are used by `evaluate` alone.

    Example:
        >>> detector = AnomalyDetector(budget="1 a week").fit("pump.csv")
        >>> detector.predict("today.csv")
    """

    noun = "detector"
    Reading = AnomalyReading
    learned_class = AnomalyLearned
    not_exported: ClassVar[dict[str, str]] = {
        "onnx": "the scores are written step by step, as C.",
        "torch": "the scores are written step by step, as C.",
    }

    budget: str = option(
        default="1 in 2000",
        check=_check_budget,
        help="false alarms that are accepted, such as '1 a week', '2 per day' or '1 in 10000' rows",
        group="detector",
        main=True,
    )
    contamination: float = option(
        default=0.0,
        at_least=0,
        below=0.5,
        help="fraction of the training rows that may be anomalous; the least likely are set aside",
        group="detector",
        main=True,
    )
    detector: Literal["forecast", "reconstruction", "both"] = option(
        default="forecast",
        help="what tells anomalous rows: the errors of forecasts, what an autoencoder cannot write again of the "
        "window that ends with the row, or both",
        group="detector",
        main=True,
    )
    scales: Literal["both", "slow", "fast"] = option(
        default="both",
        help="which scores raise alarms: the slow one, smoothed, that sees stretches; the fast one, that sees single "
        "rows and where they begin; or both, each with half of the budget",
        group="detector",
    )
    cool_down: int = option(default=0, at_least=0, help="rows after an alarm in which none starts", group="detector")
    horizon: int = option(default=4, at_least=1, help="steps ahead that are forecast at every step", group="detector")
    cell: str = option(
        default="lstm", check=check_cell, help="name of a cell, or module:Class of your own", group="network"
    )
    code_size: int = option(
        default=8, at_least=1, help="numbers that an autoencoder writes a window from", group="network"
    )
    num_layers: int = option(default=1, at_least=1, help="recurrent layers", group="network", search=Range(1, 2))
    members: int = option(
        default=1,
        at_least=1,
        help="networks of a kind, which differ by their initial weights; their scores are averaged",
        group="network",
        main=True,
    )
    hidden_size: int = option(
        default=48, at_least=1, help="units of each layer", group="network", main=True, search=Range(16, 128, step=16)
    )
    times: bool = option(
        default=False,
        help="whether the network reads when rows come, from the column of times, for rows that are on no grid",
        group="network",
        main=True,
    )
    dropout: float = option(
        default=0.0,
        at_least=0,
        at_most=1,
        help="dropout between recurrent layers",
        group="regularization",
        main=True,
        search=Range(0, 0.4),
    )
    validation_fraction: float = option(
        default=0.1,
        at_least=0,
        below=0.9,
        help="last rows of each series to validate with, and to calibrate the threshold with if they are enough",
        group="validation",
    )
    batch_size: int = option(default=16, at_least=1, help="windows of a step", group="training", search=(8, 16, 32))
    learning_rate: float = option(default=1e-2)
    validate_every: int = option(default=50)

    def check(self) -> None:
        if self.times and self.detector != "forecast":
            expected = "'forecast' with times, as an autoencoder takes rows for those of a grid"
            raise ParameterError("detector", expected, self.detector)
        if self.times and self.members != 1:
            raise ParameterError("members", "1 with times", self.members)

    def read(self, source: Any, y: Any, reading: AnomalyReading, labelled: bool) -> "ChannelSet":
        import numpy as np

        from recurra.data.series.channels import ChannelSet, channels_from_arrays, read_channels

        if isinstance(source, ChannelSet):
            return source
        if isinstance(source, list | tuple | np.ndarray):
            return channels_from_arrays(source, reading.channels, y, reading.covariates)
        if y is not None:
            raise ParameterError("y", "None, as labels are a column of the data", type(y).__name__)
        return read_channels(source, reading.columns)

    def complete(self, reading: AnomalyReading, data: "ChannelSet") -> AnomalyReading:
        columns = data.columns
        return reading.replaced(
            time_column=columns.time,
            channels=data.channels,
            label_column=columns.label,
            date_format=columns.date_format,
        )

    def describe(self, training: "ChannelSet", validation: "ChannelSet | None") -> str:
        series = "1 series" if len(training) == 1 else f"{len(training):,} series"
        count = len(training.channels)
        channels = f"channel {training.channels[0]}" if count == 1 else f"{count} channels"
        if training.covariates:
            others = len(training.covariates)
            channels += f", {others} covariate{'' if others == 1 else 's'}"
        time = training.describe_time()
        could_read_times = not self.times and self.detector == "forecast" and self.members == 1
        if time and could_read_times and not training.is_on_grid:
            time += "; with --times the network would read when rows come"
        return f"{series} of {training.count_in_words()}, {channels}{f'; {time}' if time else ''}"

    def learn(self, training: "ChannelSet", validation: "ChannelSet | None") -> AnomalyLearned:
        from recurra.tasks.anomaly.training import learn

        # Refuses a budget that the data cannot keep before the training, and not after it.
        self._probability(training.step_seconds)
        return learn(self, training)

    def network(self, learned: AnomalyLearned) -> "Network | DetectorEnsemble":
        from recurra.tasks.anomaly.training import make_network

        return make_network(self, learned)

    def objective(
        self,
        fitted: "Fitted[AnomalyLearned, Network | DetectorEnsemble]",
        training: "ChannelSet",
        validation: "ChannelSet | None",
    ) -> "Objective":
        from recurra.tasks.anomaly.training import make_objective

        return make_objective(self, fitted, training, validation)

    def standard_steps(self, steps_per_epoch: int) -> int:
        return min(max(_FEWEST_STEPS, _EPOCHS * steps_per_epoch), _MOST_STEPS)

    def finish(
        self,
        fitted: "Fitted[AnomalyLearned, Network | DetectorEnsemble]",
        training: "ChannelSet",
        validation: "ChannelSet | None",
    ) -> AnomalyLearned:
        from recurra.tasks.anomaly.training import fit_errors

        return fit_errors(self, fitted, training, validation)

    def pictures(self) -> Mapping[str, Callable[[Path], object]]:
        from recurra.tasks.anomaly.pictures import plot_tails

        return {"tail": partial(plot_tails, self.trained().learned, self._allowed(None))}

    def next_command(self, folder: Path) -> str:
        return f"recurra predict {folder} --data FILE"

    def export_network(self) -> "tuple[nn.Module, dict[str, Any]]":
        from recurra.tasks.anomaly.scoring import error_scores, two_scales

        learned = self.trained().learned
        errors = learned.errors
        assert errors is not None
        if learned.statistics.times is not None:
            raise StreamError(
                "times: the errors of rows on no grid are computed beside the network. Train without --times to export."
            )
        thresholds = two_scales(learned, self._allowed(None), adapts=False).thresholds
        facts = {
            "inputs": "by channel, then by covariate the standardised value, (value - centre) / scale within -10 and "
            "10, or 0 if it is missing; then by channel and covariate 1, or 0 if it is missing; then by channel what "
            "was cut off beyond -10 and 10; then zeros",
            "outputs": "by channel what it adds to the slow score; then by channel the standardised value expected; "
            "then by channel what it adds to the square of the fast score; then the short mean. It is an alarm if the "
            "slow score is above its threshold and the short mean above usual, or if the fast score is above its own",
            "usual": float(errors.usual),
            "threshold": thresholds[0],
            "fast_threshold": thresholds[1],
            **{name: list(getattr(learned.statistics, name)) for name in ("channels", "covariates", "centre", "scale")},
        }
        return error_scores(self.fitted), facts

    def open_stream(self, weights: str = "float32", look_ahead: int | None = None) -> "ItemStream":
        """See `Estimator.open_stream`: an item is a row, and the result its score, probability and alarm.

        Scores are those of `predictions` within rounding. Their tail is that of training: unlike `predictions`, a
        stream does not adapt it. An alarm has the number of its `event`, from 1; while errors drift, `drift` says by
        what factor and since how many rows. The item `{"feedback": {"event": 3, "verdict": "normal"}}` raises the
        thresholds of the stream above the event, as `feedback` does those of a run; "anomaly" takes that back.
        """
        from recurra.tasks.anomaly.scoring import open_session_stream

        self.refuse_look_ahead(look_ahead)
        fitted = self.trained()
        return open_session_stream(fitted, self._allowed(None), weights)

    @verb("score rows, and say which are anomalous, in which channel, and what was expected", endings=(".csv",))
    def predictions(
        self,
        data: Any,
        *,
        reading: AnomalyReading | None = None,
        budget: Annotated[
            str | None, Option(help="false alarms that are accepted; that of training by default", main=True)
        ] = None,
        hindsight: Annotated[
            bool, Option(help="smooth scores in both directions, for data that are complete", main=True)
        ] = False,
        picture: Annotated[
            Any, Option(help="PNG file that shows series, scores and alarms", check=check_ending(".png"))
        ] = None,
        page: Annotated[
            Any,
            Option(
                help="HTML file to look through the events; NAME.events.html beside the rows by default",
                check=check_ending(".html"),
            ),
        ] = None,
    ) -> "Detections | LiveDetections":
        """Score rows, and find the events among them.

        `predict` returns a frame, of pandas if the data are one, else of polars, with a row for each that came: the id
        if there are several series, the stamp, `score` (about 1 for normal rows), `probability` (that a normal row has
        such a score), `alarm`, `event` (that the alarm belongs to, from 1; else 0), and of the channel that adds most
        to the score its name, `value` and what was `expected`. If the column of ids or stamps has one of these names,
        an underscore follows here.

        Args:
            data: anything that `fit` takes, with the channels of training; "-": rows of CSV from standard input, judged
                as they come, with an alarm for each row and no events.
            reading: how a file or frame is read; None: as in training.
            budget: false alarms that are accepted; None: that of training.
            hindsight: smooth scores in both directions: better, but only for data that are complete, as the score of a
                row then uses what comes after it.
            picture: a PNG file to plot the series, their scores and the alarms into.
            page: an HTML file to look through the events; see `Detections.write_page`.

        Raises:
            DataError: the data do not fit.
            ParameterError: the budget needs the time of a step, which the data do not have.
        """
        from recurra.data.files.standard_input import is_standard_input
        from recurra.tasks.anomaly.results import LiveDetections, make_detections

        if is_standard_input(data):
            if hindsight or picture is not None or page is not None:
                raise ParameterError("data", "a file with hindsight, a picture or a page, which need all rows", data)
            read = reading or self.later_reading()
            return LiveDetections(self.trained(), self._allowed(None, budget), read, retraining_command(self, "FILE"))
        rows = self.data_for(data, None, reading)
        retrain = retraining_command(self, rows.source)
        detections = make_detections(self.trained(), rows, self._allowed(rows, budget), hindsight, retrain)
        if self.folder is not None and detections.read_from is not None:
            words = ["recurra", "feedback", str(self.folder), "--data", rows.source, "--events", "verdicts.csv"]
            detections = replace(detections, feedback=shlex.join(words))
        if picture is not None:
            detections.plot(picture)
        if page is not None:
            detections.write_page(page)
        return detections

    def series_id(self, reading: AnomalyReading | None) -> str | None:
        return (reading or self.later_reading()).id_column

    def predict_series(
        self, path: Path, reading: AnomalyReading | None, as_text: bool, **options: Any
    ) -> "pl.DataFrame":
        from recurra.tasks.anomaly.results import Detections

        detections = self.predictions(path, reading=reading, **options)
        assert isinstance(detections, Detections)
        return detections.with_ids(detections.written if as_text else detections.frame)

    @verb("test a run on labelled rows, beside simple detectors")
    def evaluate(
        self,
        data: Any,
        y: Any = None,
        *,
        reading: AnomalyReading | None = None,
        windows: Annotated[
            Any, Option(help="file of anomalies: a CSV of start,end or NAB's JSON; else the label column", main=True)
        ] = None,
        hindsight: Annotated[
            bool, Option(help="smooth scores in both directions, for data that are complete", main=True)
        ] = False,
        point_adjustment: Annotated[
            bool,
            Option(help="also scores with point adjustment, which inflates them, to compare with figures published so"),
        ] = False,
    ) -> "Evaluation":
        """Compare scores and alarms with labels, beside simple detectors.

        VUS-PR and AUC-PR are means over the series with anomalies, and need no threshold. Events are counted over all
        series: an event of the labels is detected if an alarm overlaps it, and an alarm that overlaps none is false.
        A second table has range-based precision and recall, and NAB's score with its three profiles.

        Args:
            data: anything that `fit` takes, with the channels of training.
            y: labels of arrays: (T,), or a list of them.
            reading: how a file or frame is read; None: as in training.
            windows: a file of anomalies, a CSV of start and end or NAB's JSON, instead of a column of labels.
            hindsight: see `predictions`.
            point_adjustment: also scores after point adjustment, which inflates them; see
                `recurra.detection.metrics.events.point_adjusted`.

        Raises:
            DataError: the data do not fit, or have no labels.
        """
        from recurra.data.series.labels import with_windows
        from recurra.tasks.anomaly.results import evaluate

        rows = self.data_for(data, y, reading)
        if windows is not None:
            rows = with_windows(rows, windows)
        return evaluate(self.trained(), rows, self._allowed(rows), hindsight, point_adjustment)

    @verb("teach a run which events were normal, and which were anomalies")
    def feedback(
        self,
        data: Any = None,
        *,
        reading: AnomalyReading | None = None,
        events: Annotated[
            Any, Option(help="CSV file with start, end and verdict (normal or anomaly), such as an event page saves")
        ] = None,
        undo: Annotated[bool, Option(help="forget all verdicts: thresholds are those of training")] = False,
    ) -> "UpdatedDetector":
        """Take a person's verdicts on events, so that harmless ones raise no alarm again.

        The thresholds rise to a fifth above the highest scores of what was called normal, and no further. If something
        that was called an anomaly then raises no alarm, a line says so. Scores, tail and calibration stay those of
        training: `undo` brings its thresholds back, and `--out` leaves the run as it is and writes another.

        Args:
            data: that the events were in: anything that `fit` takes, with the channels of training.
            reading: how a file or frame is read; None: as in training.
            events: the file of verdicts.
            undo: forget all verdicts.

        Raises:
            DataError: the data do not fit, or the file of verdicts has a fault.
            ParameterError: data or events are missing.
        """
        from recurra.tasks.anomaly.events import forget_verdicts, take_verdicts

        probability = self._allowed(None)
        if undo:
            if events is not None:
                raise ParameterError("undo", "no events beside it", events)
            return forget_verdicts(self)
        for name, value in (("data", data), ("events", events)):
            if value is None:
                raise ParameterError(name, "a file", "nothing", f"As in: --{name} FILE")
        rows = self.data_for(data, None, reading)
        return take_verdicts(self, rows, events, probability, self._allowed(rows))

    @verb("see inside a trained run: gradients through time, gates, memory, as one page")
    def view(
        self,
        data: Any,
        *,
        reading: AnomalyReading | None = None,
        row: Annotated[
            int | None, Option(help="row to look at, from 1; the least likely by default", at_least=1)
        ] = None,
        name: str = "",
    ) -> "View":
        """Inspect the network on the rows up to one, by default that of the first series with the largest errors.

        Args:
            data: anything that `fit` takes, with the channels of training.
            reading: how a file or frame is read; None: as in training.
            row: of the first series, from 1; None: the least likely.
            name: of the run, for the page.

        Raises:
            DataError: the data do not fit.
            ParameterError: there is no such row, or none before it.
        """
        from recurra.tasks.anomaly.view import view

        rows = self.data_for(data, None, reading)
        looked_at = view(self.trained(), rows, row, name)
        labelled = any(one.labels is not None and one.labels.any() for one in rows)
        return replace(looked_at, evaluate=lambda: self.evaluate(rows)) if labelled else looked_at

    def trained(self) -> "Fitted[AnomalyLearned, Network | DetectorEnsemble]":
        """The fitted model, whose errors are known. Raises RunError if training was interrupted before that."""
        from recurra.errors import RunError

        if self.fitted.learned.errors is None:
            raise RunError(
                "the detector was interrupted before the errors of normal rows were measured; resume its training "
                "(--resume)"
            )
        return self.fitted

    def _allowed(self, rows: "ChannelSet | None", budget: str | None = None) -> float:
        """The probability of a false alarm, a row: the step is that of these rows, or that of training."""
        seconds = None if rows is None else rows.step_seconds
        return self._probability(seconds or self.trained().learned.step_seconds, budget)

    def _probability(self, step_seconds: float | None, budget: str | None = None) -> float:
        from recurra.detection.budget import probability_of_budget

        return probability_of_budget(self.budget if budget is None else budget, step_seconds)
