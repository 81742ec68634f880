"""The regressor: series in, a number for each out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from recurra.data.labelled.reading import ItemReading
from recurra.errors import ParameterError
from recurra.options import Option, option
from recurra.task import Estimator, task, verb
from recurra.task.checks import check_cell
from recurra.tasks.regress.learned import RegressorLearned, learn

# Modules that need torch are imported inside the hooks: the command line's help does without.
if TYPE_CHECKING:
    from recurra.data.labelled.series import LabelledSeries
    from recurra.task import Evaluation, Fitted, Objective, View
    from recurra.tasks.regress.results import PredictedNumbers
    from recurra.tasks.regress.training import RegressorNetwork

__all__ = ["Regressor"]

_FEWEST_TO_SPLIT = 300  # series
_MOST_MEMBERS = 16


def _check_pooling(name: str, value: tuple[str, ...]) -> None:
    from recurra.models import POOLINGS

    if not value or len(set(value)) < len(value) or not set(value) <= set(POOLINGS):
        raise ParameterError(name, f"one or more of {', '.join(POOLINGS)}, each once", value)


def _check_odd(name: str, value: tuple[int, ...]) -> None:
    if not value or not all(size % 2 for size in value):
        raise ParameterError(name, "one or more odd numbers", value)


@task("regress")
class Regressor(Estimator["LabelledSeries", RegressorLearned, "RegressorNetwork"]):
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

    cell: str = option(
        default="lstm", check=check_cell, help="name of a cell, or module:Class of your own", group="network"
    )
    num_layers: int = option(default=1, at_least=1, help="recurrent layers", group="network", main=True)
    hidden_size: int | None = option(
        default=None,
        at_least=1,
        help="units of each direction of a layer; by default 32",
        group="network",
        main=True,
    )
    bidirectional: bool = option(default=True, help="whether sequences are also read backward", group="network")
    pooling: tuple[str, ...] = option(
        default=("mean", "max"),
        check=_check_pooling,
        help="how all steps become one vector: one or more of last, mean, max, attention, side by side",
        group="network",
    )
    filters: int | None = option(
        default=None,
        at_least=0,
        help="filters of the convolutions before the recurrence; 0: no convolution; by default 32",
        group="network",
    )
    kernel_sizes: tuple[int, ...] = option(
        default=(7, 5, 3),
        at_least=1,
        check=_check_odd,
        help="a convolution for each: steps that its filters see, odd numbers",
        group="network",
    )
    stride: int | None = option(
        default=None,
        at_least=1,
        help="steps that the convolutions make one step of: 4 makes a long series four times as short; by default such "
        "that the longest series of training has at most 64 steps then",
        group="network",
    )
    members: int | None = option(
        default=None,
        at_least=1,
        at_most=_MOST_MEMBERS,
        help="networks whose predictions are averaged, and which share out each training batch among them; by default "
        "4 for fewer than 1,000 series, else 1",
        group="network",
    )
    dropout: float | None = option(
        default=None,
        at_least=0,
        at_most=1,
        help="dropout of features, between the layers and on the pooled vector; by default 0.4",
        group="regularization",
        main=True,
    )
    recurrent_dropout: float = option(
        default=0.0,
        at_least=0,
        at_most=1,
        help="dropout on what the recurrent weights read, the same at every step of a sequence",
        group="regularization",
    )
    normalization: Literal["channel", "series", "none"] = option(
        default="channel",
        help="series to mean 0 and deviation 1: by channel as in training, each series by itself, or none",
        group="series",
    )
    jitter: float = option(
        default=0.05,
        at_least=0,
        help="deviation of the noise that training adds to each value of a series, after normalisation",
        group="series",
    )
    scaling: float = option(
        default=0.1,
        at_least=0,
        help="deviation of the factor, about 1, by which training multiplies each channel of a series",
        group="series",
    )
    loss: Literal["squared", "huber"] = option(
        default="squared",
        help="of the standardised target: the squared error, or Huber's, which grows linearly beyond a deviation",
        group="training",
    )
    batch_size: int = option(default=32, at_least=1, help="series a step", group="training", main=True)
    validation_fraction: float | None = option(
        default=None,
        at_least=0,
        at_most=0.5,
        help="fraction of the series held out to choose the best weights by, if there are no validation data; 0: none; "
        "by default 0.1, but none of fewer than 300 series, which cannot be spared",
        group="validation",
    )

    def check(self) -> None:
        from recurra.models.series_network import check_stride

        check_stride(self.stride, self.filters)

    def read(self, source: Any, y: Any, reading: ItemReading, labelled: bool) -> "LabelledSeries":
        from recurra.data.labelled.targets import as_series

        return as_series(source, y, reading, labelled)

    def split(self, data: "LabelledSeries") -> "tuple[LabelledSeries, LabelledSeries | None]":
        from recurra.data.labelled.targets import split

        fraction = self.validation_fraction
        if fraction is None:
            # From a few series one could not choose, and training misses them.
            fraction = 0.0 if len(data) < _FEWEST_TO_SPLIT else 0.1
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
