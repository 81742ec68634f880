"""The forecaster: its options, and what it does with series."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from recurra.errors import ParameterError
from recurra.options import Option, Options, Range, option
from recurra.task import Estimator, task, verb
from recurra.task.architecture import ArchitectureOptions
from recurra.task.checks import check_cell
from recurra.task.reservoir_options import ReservoirOptions, series_trunk
from recurra.task.row_predictors import SeriesPredictor
from recurra.tasks.forecast.learned import ForecastLearned

# Modules that need torch, numpy or polars are imported inside the hooks: the command line's help does without.
if TYPE_CHECKING:
    import polars as pl
    from torch import nn

    from recurra.data.series.series_set import Columns, SeriesSet
    from recurra.streaming import ItemStream
    from recurra.task import Evaluation, Fitted, Objective, View
    from recurra.tasks.forecast.results import Forecasts

__all__ = ["ForecastReading", "Forecaster"]

_DECILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_SERIES_PLOTTED = 4


def _check_seasons(name: str, value: tuple[int, ...]) -> None:
    if list(value) != sorted(set(value)):
        raise ParameterError(name, "increasing lengths, each once", value)


def _check_levels(name: str, value: tuple[float, ...]) -> None:
    if list(value) != sorted(set(value)) or 0.5 not in value or not 0 < value[0] <= value[-1] < 1:
        raise ParameterError(name, "increasing levels between 0 and 1, with 0.5 among them", value)


def _check_frequency(name: str, value: str) -> None:
    from recurra.data.series.frequency import Frequency

    Frequency.parse(value)


class ForecastReading(Options):
    """The columns of a long table, the form of its numbers and dates, and the frequency of its time stamps.

    Wide tables with a row a series and .tsf files have no named columns.
    """

    id_column: str | None = option(default="unique_id", help="which series a row belongs to")
    time_column: str = option(default="ds", help="date, time or step")
    target_column: str = option(default="y", help="what to forecast")
    past: tuple[str, ...] = option(default=(), help="covariates that are known up to the present only", main=True)
    known: tuple[str, ...] = option(default=(), help="covariates that are known for the future too", main=True)
    static: tuple[str, ...] = option(default=(), help="attributes that do not vary within a series")
    frequency: str | None = option(
        default=None,
        check=_check_frequency,
        help="such as 15m, 1h, 1d, 1w, 1mo or BME (pandas' business month end); inferred by default",
    )
    decimal: Literal[".", ","] | None = option(
        default=None, help="decimal mark of numbers in text; recognised by default"
    )
    date_format: str | None = option(
        default=None, help="form of dates in text, such as %d.%m.%Y; ISO and what is not ambiguous by default"
    )
    header: bool = option(default=True, help="whether the first line of a text file names its columns")
    unit: str = option(default="", help="unit of what is forecast, such as kWh, which pictures name")

    @property
    def columns(self) -> "Columns":
        """The columns and the form of their text. Raises ParameterError if a column has two roles."""
        from recurra.data.series.series_set import Columns

        return Columns(
            self.id_column,
            self.time_column,
            self.target_column,
            self.past,
            self.known,
            self.static,
            self.decimal,
            self.date_format,
            self.header,
            self.unit,
        )


@task("forecast")
class Forecaster(
    ReservoirOptions, ArchitectureOptions, SeriesPredictor, Estimator["SeriesSet", ForecastLearned, "nn.Module"]
):
    """A recurrent forecaster of time series with intervals, global over all series of its training data.

    Data are a long frame (polars or pandas, as Nixtla's tools take them), the path of a file (CSV, TSV, Parquet, wide
    as in M4, .tsf), the name of a bundled sample (air_passengers, weather), or a `SeriesSet`. The last `folds` horizons
    of each series are held out for `evaluate`; without validation data, the last horizons before these choose the best
    weights.

    Example:
        >>> forecaster = Forecaster(horizon=28).fit(frame)
        >>> forecaster.predict()
        >>> forecaster.save("runs/sales")
    """

    noun = "forecaster"
    Reading = ForecastReading
    learned_class = ForecastLearned
    not_exported: ClassVar[dict[str, str]] = {
        "c": "the units of a window, its level and its seasonal change, change with every observation, so that a "
        "forecaster reads its window anew each time and has no step.",
        "torch": "the features of a window are written for ONNX only.",
    }

    horizon: int | None = option(
        default=None,
        at_least=1,
        help="steps to forecast; by default the @horizon of a .tsf file",
        group="forecaster",
        main=True,
    )
    folds: int = option(
        default=2,
        at_least=0,
        help="horizons at the end of each series that are held out for evaluation; 0: learn from everything",
        group="forecaster",
        main=True,
    )
    seasons: tuple[int, ...] = option(
        default=(),
        at_least=1,
        check=_check_seasons,
        help="lengths of the cycles in steps, shortest first; from the frequency by default",
        group="forecaster",
    )
    context_length: int | None = option(
        default=None,
        at_least=2,
        help="steps that the encoder reads; from the seasons and the horizon by default",
        group="forecaster",
    )
    model: Literal["direct", "recursive"] = option(
        default="direct",
        help="an encoder-decoder that forecasts the whole horizon at once, or one step at a time from its own samples "
        "(DeepAR, Salinas et al. 2020)",
        group="network",
        main=True,
    )
    cell: str | None = option(
        default=None,
        check=check_cell,
        help="name of a cell, or module:Class of your own; by default lstm, or elman in a reservoir",
        group="network",
    )
    num_layers: int = option(default=1, at_least=1, help="recurrent layers", group="network", search=Range(1, 2))
    hidden_size: int | None = option(
        default=None,
        at_least=1,
        help="units of each layer; by default 96, or 300 in a reservoir",
        group="network",
        main=True,
        search=Range(32, 256, step=32),
    )
    dropout: float = option(
        default=0.0,
        at_least=0,
        at_most=1,
        help="dropout on the outputs of the recurrent layers",
        group="regularization",
        main=True,
        search=Range(0, 0.4),
    )
    output: Literal["auto", "quantiles", "normal", "student_t", "negative_binomial"] = option(
        default="auto",
        help="quantiles (pinball loss) or the distribution to fit, negative_binomial for counts; auto is quantiles for "
        "the direct model, student_t for the recursive one and normal for a reservoir",
        group="output",
    )
    quantiles: tuple[float, ...] = option(
        default=_DECILES,
        check=_check_levels,
        help="levels of the quantiles to forecast, increasing, with 0.5 among them",
        group="output",
    )
    conformal: bool = option(
        default=True,
        help="move the intervals to cover as they should on the validation windows and on what has come since "
        "(conformalized quantile regression, Romano et al. 2019)",
        group="output",
        main=True,
    )
    sample_paths: int = option(
        default=200,
        at_least=1,
        help="samples from which the quantiles of the recursive model, of student_t and of negative_binomial are taken",
        group="output",
    )
    nonnegative: bool = option(default=False, help="raise forecasts below zero to zero", group="output")
    calendar: bool = option(
        default=True, help="use hour, weekday, month and so on, as the frequency allows", group="data"
    )
    holidays: str | None = option(
        default=None,
        help="code of a country whose public holidays are used, such as US; needs the extra forecast",
        group="data",
    )
    map_above: int = option(
        default=100,
        at_least=0,
        help="megabytes of a table above which its series are not held in memory but mapped from a file in the user's "
        "cache folder",
        group="data",
    )
    validation_windows: int | None = option(
        default=None,
        at_least=0,
        help="horizons at the end of each series to validate with; by default enough for a steady figure, within a "
        "tenth of the data",
        group="validation",
    )
    batch_size: int = option(default=64, at_least=1, help="windows of a step", group="training", search=(32, 64, 128))
    learning_rate: float = option(default=4e-3)
    patience: int = option(default=5)

    def check(self) -> None:
        if self.reservoir and self.model != "direct":
            raise ParameterError("model", "'direct' with a reservoir", self.model)
        if self.reservoir and self.output not in ("auto", "normal"):
            raise ParameterError("output", "'auto' or 'normal' with a reservoir", self.output)
        if self.model == "recursive" and self.output == "quantiles":
            expected = "a distribution to sample from with model='recursive'"
            raise ParameterError("output", expected, self.output, "Leave it at 'auto'.")

    def read(self, source: Any, y: Any, reading: ForecastReading, labelled: bool) -> "SeriesSet":
        from recurra.data import samples
        from recurra.data.files.text_file import check_file
        from recurra.data.series.frame import series_from_frame
        from recurra.data.series.frequency import Frequency
        from recurra.data.series.read import read_series
        from recurra.data.series.series_set import SeriesSet
        from recurra.data.series.stored_series import stored_series

        if y is not None:
            raise ParameterError("y", "None, as the target is a column of the data", type(y).__name__)
        if isinstance(source, SeriesSet):
            return source
        frequency = Frequency.parse(reading.frequency) if reading.frequency else None
        if isinstance(source, str | Path):
            path = samples.path(source) if isinstance(source, str) and source in samples.names() else source
            if check_file(path).stat().st_size > 1_000_000 * self.map_above:
                return stored_series(path, reading.columns, frequency)
            return read_series(path, reading.columns, frequency)
        return series_from_frame(source, reading.columns, frequency)

    def complete(self, reading: ForecastReading, data: "SeriesSet") -> ForecastReading:
        # A run of a single series without an id also reads files that have one.
        columns = data.columns
        return ForecastReading(
            id_column=columns.id or ForecastReading().id_column,
            time_column=columns.time,
            target_column=columns.target,
            past=columns.past,
            known=columns.known,
            static=columns.static,
            frequency=str(data.frequency),
            decimal=reading.decimal,
            date_format=columns.date_format,
            header=reading.header,
        )

    def describe(self, training: "SeriesSet", validation: "SeriesSet | None") -> str:
        from recurra.tasks.forecast.training import horizon_of, window_shape

        horizon = horizon_of(self, training)
        shortest, longest = int(training.lengths.min()), int(training.lengths.max())
        size = f"{longest:,}" if shortest == longest else f"{shortest:,} to {longest:,}"
        held = f"; the last {self.folds * horizon} of each are held out for evaluation" if self.folds else ""
        stated = f"; the horizon is the file's, {horizon} steps" if self.horizon is None else ""
        seasons = window_shape(self, training).seasons
        cycles = f"season{'s' if len(seasons) > 1 else ''} {', '.join(map(str, seasons))}"
        if seasons == (1,):
            cycles = "no season (--seasons gives one)"
        count = "1 series" if len(training) == 1 else f"{len(training):,} series"
        return f"{count} of {size} steps, frequency {training.frequency}, {cycles}{stated}{held}"

    def learn(self, training: "SeriesSet", validation: "SeriesSet | None") -> ForecastLearned:
        from recurra.tasks.forecast.training import learn

        return learn(self, training)

    def network(self, learned: ForecastLearned) -> "nn.Module":
        from recurra.models.forecasting.heads import make_head
        from recurra.models.forecasting.network import make_network
        from recurra.tasks.forecast.model import output_of, with_defaults

        options = with_defaults(self.get_params())
        return make_network(
            self.model,
            series_trunk(options),
            shape=learned.shape,
            sizes=learned.sizes,
            cardinalities=learned.encoding.cardinalities,
            hidden_size=options["hidden_size"],
            num_layers=self.num_layers,
            dropout=self.dropout,
            output_size=make_head(output_of(options), self.quantiles).size,
        )

    def objective(
        self,
        fitted: "Fitted[ForecastLearned, nn.Module]",
        training: "SeriesSet",
        validation: "SeriesSet | None",
    ) -> "Objective":
        from recurra.tasks.forecast.training import make_objective

        return make_objective(self, fitted, validation)

    def finish(
        self,
        fitted: "Fitted[ForecastLearned, nn.Module]",
        training: "SeriesSet",
        validation: "SeriesSet | None",
    ) -> ForecastLearned:
        from recurra.tasks.forecast.training import fit_calibration

        return fit_calibration(self, fitted, validation) if self.conformal else fitted.learned

    def next_command(self, folder: Path) -> str:
        if self.folds:
            return super().next_command(folder)
        return f"recurra predict {folder} (nothing was held out to evaluate on: that needs --refit, --test or --data)"

    def open_stream(self, weights: str = "float32", look_ahead: int | None = None) -> "ItemStream":
        """See `Estimator.open_stream`: an item is an observation, and the result the forecast of the horizon after it.

        The network reads its window anew at each step, in float32 whatever `weights` says: the units of a window change
        with every observation.
        """
        from recurra.tasks.forecast.model import open_stream
        from recurra.tasks.forecast.training import model_of

        self.refuse_look_ahead(look_ahead)
        return open_stream(model_of(self))

    def export_network(self) -> "tuple[nn.Module, dict[str, Any]]":
        """See `Estimator.export_network`: raw values in, quantiles in the units of the series out.

        Intervals are moved by the scores of the validation windows alone, as in a stream.
        """
        from recurra.tasks.forecast.model import export_network
        from recurra.tasks.forecast.training import model_of

        return export_network(model_of(self))

    @verb("forecast the horizon after the end of each series", endings=(".csv", ".parquet"))
    def predictions(
        self,
        data: Any = None,
        *,
        reading: ForecastReading | None = None,
        future: Annotated[Any, Option(help="file of the known covariates after the end of each series")] = None,
        picture: Annotated[Any, Option(help="PNG file that shows the forecasts")] = None,
        series: Annotated[tuple[str, ...], Option(help="ids of the series in the picture; the first by default")] = (),
    ) -> "Forecasts":
        """Forecast the horizon after the end of each series.

        `predict` returns a long frame of the kind that came in: id, stamp, `forecast` (the median) and a column a
        quantile, such as `q0.1`.

        Args:
            data: newer observations or other series, anything that `fit` takes; None: the series of `fit`.
            reading: how a file or frame is read; None: as in training.
            future: the known covariates after the end of each series, as a long frame or a file. They are needed if
                there are any, unless `data` has them in rows without a target.
            picture: a PNG file to plot forecasts into.
            series: ids of the series to plot; empty: the first four.

        Raises:
            DataError: data or future covariates do not fit.
        """
        from recurra.tasks.forecast.results import make_forecasts
        from recurra.tasks.forecast.training import model_of

        model = model_of(self)
        forecasts = make_forecasts(model, self._series(data, reading), future)
        plotted = [forecasts.series[one].id for one in series] or forecasts.series.ids[:_SERIES_PLOTTED]
        if picture is not None:
            forecasts.plot(picture, plotted)
        return forecasts

    def series_id(self, reading: ForecastReading | None) -> str | None:
        return (reading or self.later_reading()).id_column

    def predict_series(
        self, path: Path, reading: ForecastReading | None, as_text: bool, **options: Any
    ) -> "pl.DataFrame":
        forecasts = self.predictions(path, reading=reading, **options)
        return forecasts.written if as_text else forecasts.frame

    @verb("test a trained run beside simple baselines")
    def evaluate(
        self,
        data: Any = None,
        *,
        reading: ForecastReading | None = None,
        folds: Annotated[
            int | None, Option(help="forecasts of each series; as many as were held out by default", at_least=1)
        ] = None,
        step: Annotated[int | None, Option(help="steps between origins; the horizon by default", at_least=1)] = None,
        refit: Annotated[bool, Option(help="train anew before each fold, on what is before it")] = False,
        test: Annotated[Any, Option(help="file with what followed the training data, such as M4's test files")] = None,
        series: Annotated[
            tuple[str, ...], Option(help="ids of the series in the picture; by default from the best to the worst")
        ] = (),
        progress: bool | None = None,
    ) -> "Evaluation":
        """Backtest from rolling origins, beside naive and seasonal naive.

        sMAPE and MASE are means over forecasts; the other measures take all steps together.

        Args:
            data: other series or newer observations, anything that `fit` takes; None: the series of `fit`.
            reading: how a file or frame is read; None: as in training.
            folds: forecasts of each series; the last one ends with the series. None: as many as `fit` held out, or one.
            step: steps between their origins; None: the horizon.
            refit: train anew before each fold on what is before it, which needs no `fit`. Without it the forecaster as
                fitted is tested, which must then not have seen what it is to forecast.
            test: a file with what followed the series of `fit`, such as M4's test files.
            series: ids of the series in the picture; empty: four, spread from the best forecast to the worst.
            progress: show progress of each training of `refit`; None: the trainer decides by the terminal.

        Raises:
            DataError: no series is long enough, or the forecaster has seen what it is to forecast.
            RunError: it is not fitted, or training held nothing out.
        """
        from recurra.tasks.forecast.results import make_evaluation
        from recurra.tasks.forecast.training import model_of, refitted

        if test is not None:
            if any(value is not None for value in (data, folds, step)) or refit:
                raise ParameterError("test", "no folds, step, refit or data beside it", str(test))
            return make_evaluation(model_of(self).continued(test), series)
        if refit:
            options = self if self._fitted is None else self.replaced(horizon=self._fitted.learned.shape.horizon)
            if data is not None and self._fitted is None:
                read = self.read(data, None, reading or ForecastReading(), True)
            else:
                read = self._series(data, reading)
            return make_evaluation(refitted(options, read, folds or self.folds or 1, step, progress), series)
        model = model_of(self)
        folds = model.folds_to_test(folds, data is not None)
        return make_evaluation(model.rolling(self._series(data, reading), folds, step or model.shape.horizon), series)

    @verb("see inside a trained run: gradients through time, gates, memory, as one page")
    def view(
        self,
        data: Any = None,
        *,
        reading: ForecastReading | None = None,
        series: Annotated[str | None, Option(help="id of the series; by default all, the first plotted")] = None,
        name: str = "",
    ) -> "View":
        """Inspect the network on windows of the series, the steps held out included.

        The loss is that of training at the last step of the horizon; the output attributed is the centre of the
        forecast there. The first window is the one that is plotted: the last of its series.

        Args:
            data: other series, anything that `fit` takes; None: the series of `fit`.
            reading: how a file or frame is read; None: as in training.
            series: id of the series to show; None: all of them, the first plotted.
            name: of the run, for the page.

        Raises:
            DataError: there is no such series, or none is long enough.
        """
        from recurra.tasks.forecast.training import model_of
        from recurra.tasks.forecast.view import view

        looked_at = view(model_of(self), self._series(data, reading), series, name)
        held_out = data is None and self.fitted.learned.held_out > 0
        return replace(looked_at, evaluate=self.evaluate) if held_out else looked_at

    def _series(self, data: Any, reading: ForecastReading | None) -> "SeriesSet":
        """Series for a verb. Raises DataError if frequency or covariates are others than those of training."""
        learned = self.fitted.learned
        if data is None:
            return learned.data
        if reading is not None and reading.frequency is None:
            reading = reading.replaced(frequency=str(learned.data.frequency))
        series = self.data_for(data, None, reading)
        learned.check_like(series)
        return series
