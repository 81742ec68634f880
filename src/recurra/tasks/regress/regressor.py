"""The regressor: series in, a number for each out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from recurra.data.labelled.reading import ItemReading
from recurra.options import Option, option
from recurra.task import Estimator, task, verb
from recurra.task.row_predictors import SeriesPredictor
from recurra.task.series_network_options import FEWEST_TO_SPLIT, SeriesNetworkOptions
from recurra.tasks.regress.learned import RegressorLearned, learn

# Modules that need torch are imported inside the hooks: the command line's help does without.
if TYPE_CHECKING:
    import polars as pl
    from torch import nn

    from recurra.data.labelled.series import LabelledSeries
    from recurra.streaming import ItemStream
    from recurra.task import Evaluation, Fitted, Objective, View
    from recurra.tasks.regress.results import PredictedNumbers
    from recurra.tasks.regress.training import RegressorNetwork

__all__ = ["Regressor"]


@task("regress")
class Regressor(
    SeriesNetworkOptions, SeriesPredictor, Estimator["LabelledSeries", RegressorLearned, "RegressorNetwork"]
):
    """A recurrent regressor of series: a number for each, such as the oxygen that a patient takes up.

    Data are a file of series with a number for each, `.ts` with @targetLabel among them; or an array (N, T) or
    (N, T, C), a list of arrays (T, C) or (T,), or a frame of pandas or polars, with the numbers as `y`. The network is
    that of the classifier of series, with one output.

    Example:
        >>> regressor = Regressor().fit("train.ts", validation="validation.ts")
        >>> regressor.predict("test.ts")
        >>> Regressor().fit([[0.1, 0.2, 0.4], [0.9, 0.3]], [0.3, -0.6])
        >>> regressor.save("runs/uptake")
    """

    noun = "regressor"
    Reading = ItemReading
    learned_class = RegressorLearned

    loss: Literal["squared", "huber"] = option(
        default="squared",
        help="of the standardised target: the squared error, or Huber's, which grows linearly beyond a deviation",
        group="training",
    )
    batch_size: int = option(
        default=32, at_least=1, help="series a step", group="training", main=True, search=(16, 32, 64)
    )
    validation_fraction: float | None = option(
        default=None,
        at_least=0,
        at_most=0.5,
        help="fraction of the series held out to choose the best weights by, if there are no validation data; 0: none; "
        "by default 0.1, but none of fewer than 300 series, which cannot be spared",
        group="validation",
    )

    def read(self, source: Any, y: Any, reading: ItemReading, labelled: bool) -> "LabelledSeries":
        from recurra.data.labelled.targets import as_series

        return as_series(source, y, reading, labelled)

    def split(self, data: "LabelledSeries") -> "tuple[LabelledSeries, LabelledSeries | None]":
        from recurra.data.labelled.targets import split

        fraction = self.validation_fraction
        if fraction is None:
            fraction = 0.0 if len(data) < FEWEST_TO_SPLIT else 0.1
        return split(data, fraction, self.seed)

    def describe(self, training: "LabelledSeries", validation: "LabelledSeries | None") -> str:
        from recurra.data.labelled.targets import targets_of

        lengths, targets = [len(one) for one in training.series], targets_of(training)
        steps = f"{min(lengths):,}" if min(lengths) == max(lengths) else f"{min(lengths):,} to {max(lengths):,}"
        channels = "1 channel" if len(training.channels) == 1 else f"{len(training.channels):,} channels"
        validated = "no validation" if validation is None else f"validated on {len(validation):,}"
        return (
            f"{len(training):,} series of {channels} and {steps} steps of {training.source}, targets from "
            f"{targets.min():.4g} to {targets.max():.4g}; {validated}"
        )

    def learn(self, training: "LabelledSeries", validation: "LabelledSeries | None") -> RegressorLearned:
        return learn(training, validation, self.normalization)

    def network(self, learned: RegressorLearned) -> "RegressorNetwork":
        from recurra.tasks.regress.training import make_network

        return make_network(self.get_params(), learned)

    def objective(
        self,
        fitted: "Fitted[RegressorLearned, RegressorNetwork]",
        training: "LabelledSeries",
        validation: "LabelledSeries | None",
    ) -> "Objective":
        from recurra.tasks.regress.training import make_objective

        return make_objective(self.get_params(), fitted, training, validation)

    def open_stream(self, weights: str = "float32", look_ahead: int | None = None) -> "ItemStream":
        """See `Estimator.open_stream`: an item is a step of a series; the prediction is that of all so far."""
        from recurra.tasks.regress.training import open_stream

        return open_stream(self.fitted, weights, look_ahead)

    def export_network(self) -> "tuple[nn.Module, dict[str, Any]]":
        """See `Estimator.export_network`. The output is standardised: times `deviation`, plus `mean`, is the number."""
        learned = self.fitted.learned
        facts = {"mean": learned.mean, "deviation": learned.deviation, "encoding": learned.encoding.to_json()}
        return self.fitted.network.reader, facts

    @verb("predict a number for each series: a table of ids and predictions", endings=(".csv", ".txt"))
    def predictions(self, data: Any, *, reading: ItemReading | None = None) -> "PredictedNumbers":
        """Predict the number of each series.

        Args:
            data: series as for `fit`, with targets or without.
            reading: how a file is read; None: as in training.

        Raises:
            DataError: the data cannot be used.
        """
        from recurra.tasks.regress.results import PredictedNumbers
        from recurra.tasks.regress.training import predicted

        series = self.data_for(data, None, reading)
        values = predicted(self.fitted, self.fitted.learned.encode(series.series, series.source))
        return PredictedNumbers(series.ids, values, Path(data) if isinstance(data, str | Path) else None)

    def series_id(self, reading: ItemReading | None) -> str:
        return (reading or self.later_reading() or ItemReading()).id_column

    def predict_series(self, path: Path, reading: ItemReading | None, as_text: bool, **options: Any) -> "pl.DataFrame":
        reading = (reading or self.later_reading() or ItemReading()).replaced(format="series")
        return self.predictions(path, reading=reading, **options).frame

    @verb("test a trained run beside simple baselines: RMSE, MAE, R2, predictions against targets")
    def evaluate(self, data: Any, y: Any = None, *, reading: ItemReading | None = None) -> "Evaluation":
        """Compare with known numbers, beside the mean of training, the nearest neighbour and a ridge regression.

        Args:
            data: series as for `fit`.
            y: their targets, as for `fit`.
            reading: how a file is read; None: as in training.

        Raises:
            DataError: the data cannot be used.
        """
        from recurra.tasks.regress.results import evaluate

        return evaluate(self.fitted, self.data_for(data, y, reading, True))

    @verb("see inside a trained run: gradients through time, gates, memory, as one page")
    def view(
        self,
        data: Any,
        y: Any = None,
        *,
        row: Annotated[int | None, Option(help="series to show, from 1; by default the first")] = None,
        reading: ItemReading | None = None,
        name: str = "",
    ) -> "View":
        """Inspect how one series is read, and some others spread over the data.

        The loss is the squared error of the standardised target; if targets are not known, it is the standardised
        prediction itself. The output attributed is the prediction in the units of the target; it is attributed to the
        normalised values of steps.

        Args:
            data: series as for `fit`, with targets or without.
            y: their targets, as for `fit`; None: they are not known.
            row: which series to show, from 1; None: the first.
            reading: how a file is read; None: as in training.
            name: of the run, for the page.

        Raises:
            DataError: the data cannot be used.
            ParameterError: there is no such series.
        """
        from recurra.tasks.regress.view import view

        return view(self.fitted, self.data_for(data, y, reading), row, name)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        from sklearn.utils import RegressorTags

        tags.estimator_type, tags.regressor_tags = "regressor", RegressorTags()
        tags.target_tags.required = True
        tags.input_tags.three_d_array = tags.input_tags.allow_nan = True
        return tags
