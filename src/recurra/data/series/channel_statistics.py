"""Channels as training measured them: their scales, their period, and what a network reads of their rows."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from recurra.data.series.row_times import RowTimes
from recurra.errors import DataError, ParameterError

# A task's learned facts hold these, and the command line's help imports them: this module does without numpy.
if TYPE_CHECKING:
    import numpy as np

    from recurra.data.series.channels import ChannelSeries, ChannelSet

__all__ = ["ChannelStatistics"]

_CLIP = 10.0
_FARTHEST = 1e6  # the squares of huge deviations are infinite in single precision
_TAILS = 0.005  # of the values of a channel on each side, that its scale is not measured by


@dataclass(frozen=True)
class ChannelStatistics:
    """The scales and the period of C channels, and the scales of D covariates.

    Values of rows (T, C + D) have the channels first.

    Attributes:
        channels: their names.
        centre: of each channel and covariate.
        scale: of each, above 0.
        marks_missing: whether a network also reads which values are missing.
        period: steps; 1: there is none, or it is not known.
        times: of the rows, which a network reads. None: it does not, as if rows were on a grid.
        covariates: the names of what a network reads beside the channels, and does not forecast.
    """

    channels: tuple[str, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    marks_missing: bool
    period: int = 1
    times: RowTimes | None = None
    covariates: tuple[str, ...] = ()

    @classmethod
    def of(cls, data: "ChannelSet") -> Self:
        """The scales of channels and covariates, without their most extreme values. The period is left at 1.

        Raises:
            DataError: one has no value.
        """
        import numpy as np

        joined = np.concatenate([one.values for one in data])
        for name, column in zip((*data.channels, *data.covariates), joined.T, strict=True):
            if np.isnan(column).all():
                message = f"{data.source}: {name} has no value in any row. Leave it out, as with --ignore {name}."
                raise DataError(message)
        scales = [_scale(column[np.isfinite(column)]) for column in joined.T]
        centre, scale = (tuple(column) for column in zip(*scales, strict=True))
        return cls(data.channels, centre, scale, bool(np.isnan(joined).any()), covariates=data.covariates)

    def with_period(self, period: int) -> Self:
        """The same, with a period."""
        return replace(self, period=period)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the values of a row: the channels, then the covariates."""
        return (*self.channels, *self.covariates)

    def watched(self, values: "np.ndarray") -> "np.ndarray":
        """Of values (..., C + D) those of the channels (..., C)."""
        return values[..., : len(self.channels)]

    @property
    def short(self) -> float:
        """The time constant of the mean that tells when an alarm ends, in steps."""
        return max(1.0, self.period / 8)

    @property
    def input_size(self) -> int:
        """The features of a step that a network reads."""
        if self.times is not None:
            return 3 * len(self.names) + 1
        return len(self.names) * (1 + self.marks_missing)

    def elapsed(self, series: "ChannelSeries") -> "np.ndarray | None":
        """The times (T,) since the row before; None if a network does not read them. See `RowTimes.elapsed`."""
        return None if self.times is None else self.times.elapsed(series.stamps)

    def check_like(self, data: "ChannelSet") -> None:
        """Refuse other channels or covariates than these. Raises DataError."""
        for kind, own, others in (
            ("channels", self.channels, data.channels),
            ("covariates", self.covariates, data.covariates),
        ):
            if others != own:
                raise DataError(
                    f"{data.source}: expected the {kind} trained on ({', '.join(own) or 'none'}), got "
                    f"{', '.join(others) or 'none'}"
                )

    def standardize(self, values: "np.ndarray") -> "np.ndarray":
        """Values (T, C + D) in units of their column, within 10 of its centre; missing ones stay NaN."""
        import numpy as np

        with np.errstate(over="ignore"):  # infinite, and clipped as well
            return np.clip((values - np.array(self.centre)) / np.array(self.scale), -_CLIP, _CLIP)

    def beyond(self, values: "np.ndarray") -> "np.ndarray":
        """How far channels (T, C) lie beyond what `standardize` leaves of values (T, C + D); 0 for missing ones."""
        import numpy as np

        with np.errstate(over="ignore"):
            standard = self.watched((values - np.array(self.centre)) / np.array(self.scale))
        beyond = np.clip(standard, -_FARTHEST, _FARTHEST) - np.clip(standard, -_CLIP, _CLIP)
        return np.where(np.isnan(beyond), 0, beyond)

    def restore(self, standard: "np.ndarray") -> "np.ndarray":
        """The values of channels (..., C) of which these are the standardised ones."""
        import numpy as np

        return standard * self.watched(np.array(self.scale)) + self.watched(np.array(self.centre))

    def inputs(self, standard: "np.ndarray", elapsed: "np.ndarray | None" = None, horizon: int = 0) -> "np.ndarray":
        """What a network reads (T, I) of standardised values (T, C + D); see `filled`.

        Args:
            standard: NaN if missing.
            elapsed: (T,), since the row before, for a network that reads times; see
                `recurra.models.timed_forecaster.TimedForecaster`.
            horizon: N, the rows ahead that such a network forecasts.
        """
        import numpy as np

        filled = self.filled(standard)
        if self.times is not None:
            if elapsed is None:
                raise ParameterError("elapsed", "the times between rows, which the network reads", None)
            missing = np.isnan(standard)
            ages = self.times.ages(missing, elapsed)
            features = self.times.features(filled, missing, ages, elapsed)
            return np.concatenate([features, elapsed[:, None], self.times.ahead(elapsed, horizon)], axis=1)
        return np.concatenate([filled, np.isnan(standard)], axis=1) if self.marks_missing else filled

    def filled(self, standard: "np.ndarray") -> "np.ndarray":
        """Standardised values (T, C + D), in which a missing one is the last that came before, 0 if there is none."""
        import numpy as np

        at = np.where(np.isfinite(standard), np.arange(len(standard))[:, None], 0)
        last = np.maximum.accumulate(at, axis=0)
        return np.nan_to_num(np.take_along_axis(standard, last, axis=0))


def _scale(values: "np.ndarray") -> tuple[float, float]:
    """The mean and the standard deviation of the values (V,) of a channel, without the most extreme ones."""
    import numpy as np

    unit = float(abs(values).max()) or 1.0
    values = values / unit  # the squares of huge values are infinite
    low, high = np.quantile(values, [_TAILS, 1 - _TAILS])
    middle = values[(values >= low) & (values <= high)]
    centre, deviation = float(middle.mean()), float(middle.std())
    if deviation <= 1e-9:
        # Constant but for rare values: in these, or in the level itself, a change is measured.
        deviation = float(values.std()) or abs(centre) or 1.0
    return centre * unit, deviation * unit
