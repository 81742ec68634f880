"""What a forecaster is, as values."""

from dataclasses import dataclass
from typing import Literal

from recurra.cells import find_cell
from recurra.errors import ParameterError
from recurra.shapes import check_positive, check_probability
from recurra.training import TrainingSettings

__all__ = ["ForecastSettings"]

_DECILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True, kw_only=True)
class ForecastSettings(TrainingSettings):
    """A forecaster: what it forecasts, its network, and, as `TrainingSettings` has it, how it is trained.

    Args:
        horizon: steps to forecast.
        seasons: lengths of the cycles in steps, shortest first; from the frequency where empty.
        context_length: steps that the encoder reads; from the seasons and the horizon where None.
        model: "direct" (an encoder-decoder that forecasts the whole horizon at once) or "recursive" (one step at
            a time from its own samples, DeepAR).
        cell: a name of `recurra.cells.NAMES` (lstm, gru, rnn, slstm ...), or "module:Class" of a cell of your own.
        num_layers: recurrent layers.
        hidden_size: units of each layer.
        dropout: on the outputs of the recurrent layers, while training.
        output: "quantiles" (pinball loss), "normal", "student_t" or "negative_binomial" (counts); "auto" is
            quantiles for the direct model and student_t for the recursive one.
        quantiles: levels forecast, increasing, with 0.5 among them.
        conformal: widen or narrow the intervals to cover as they should on the validation windows (split conformal
            quantile regression, Romano et al. 2019).
        sample_paths: samples from which the quantiles of a recursive model, of student_t and of negative_binomial
            are taken.
        nonnegative: forecasts below zero become zero.
        calendar: use hour, weekday, month and so on, as the frequency allows.
        holidays: code of a country whose public holidays are used, "US" say; needs the extra `forecast`.
        validation_windows: horizons at the end of each series kept from training, for early stopping and
            `conformal`; enough for a steady figure, within a tenth of the data, where None.
        batch_size: windows a step.
        device: "cpu", "cuda", or "auto" for CUDA where there is one.

    Raises:
        ParameterError: for a value out of its range.
    """

    horizon: int
    seasons: tuple[int, ...] = ()
    context_length: int | None = None
    model: Literal["direct", "recursive"] = "direct"
    cell: str = "lstm"
    num_layers: int = 1
    hidden_size: int = 96
    dropout: float = 0.0
    output: Literal["auto", "quantiles", "normal", "student_t", "negative_binomial"] = "auto"
    quantiles: tuple[float, ...] = _DECILES
    conformal: bool = False
    sample_paths: int = 200
    nonnegative: bool = False
    calendar: bool = True
    holidays: str | None = None
    validation_windows: int | None = None
    batch_size: int = 64
    device: str = "auto"
    learning_rate: float = 4e-3
    patience: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("horizon", "num_layers", "hidden_size", "batch_size", "sample_paths"):
            check_positive(name, getattr(self, name))
        if self.validation_windows is not None:
            check_positive("validation_windows", self.validation_windows, at_least=0)
        check_probability("dropout", self.dropout)
        if self.context_length is not None:
            check_positive("context_length", self.context_length, at_least=2)
        for name in ("seasons", "quantiles"):
            numbers = getattr(self, name)
            if not isinstance(numbers, tuple | list) or not all(isinstance(n, int | float) for n in numbers):
                raise ParameterError(name, "a tuple of numbers", numbers)
            object.__setattr__(self, name, tuple(numbers))
        for season in self.seasons:
            check_positive("seasons", season)
        if list(self.seasons) != sorted(set(self.seasons)):
            raise ParameterError("seasons", "increasing lengths, each once", self.seasons)
        self._check_choice("model", ("direct", "recursive"))
        find_cell(self.cell)
        self._check_choice("output", ("auto", "quantiles", "normal", "student_t", "negative_binomial"))
        levels = list(self.quantiles)
        if levels != sorted(set(levels)) or 0.5 not in levels or not 0 < levels[0] <= levels[-1] < 1:
            raise ParameterError("quantiles", "increasing levels between 0 and 1, with 0.5 among them", self.quantiles)
        if self.model == "recursive" and self.output == "quantiles":
            raise ParameterError(
                "output",
                "a distribution to sample from with model='recursive'",
                self.output,
                "Leave it at 'auto'.",
            )
        if self.conformal and self.validation_windows == 0:
            raise ParameterError("validation_windows", "at least 1 with conformal intervals, which are fitted there", 0)
        if self.device not in ("auto", "cpu") and not str(self.device).startswith("cuda"):
            raise ParameterError("device", "'auto', 'cpu' or 'cuda'", self.device)

    @property
    def output_kind(self) -> str:
        """`output`, with "auto" resolved."""
        if self.output != "auto":
            return self.output
        return "quantiles" if self.model == "direct" else "student_t"

    def _check_choice(self, name: str, choices: tuple[str, ...]) -> None:
        if getattr(self, name) not in choices:
            raise ParameterError(name, f"one of {', '.join(choices)}", getattr(self, name))
