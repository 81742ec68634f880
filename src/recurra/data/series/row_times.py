"""When rows came: the times between them, the ages of missing values, and how far ahead a forecast looks."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

# A task's learned facts hold these, and the command line's help imports them: this module does without numpy.
if TYPE_CHECKING:
    import numpy as np

    from recurra.data.series.channels import ChannelSet

__all__ = ["RowTimes"]

_SECOND = 1e6  # stamps that are times are microseconds


@dataclass(frozen=True)
class RowTimes:
    """The unit of the times between rows, and the longest.

    Attributes:
        unit: the median time between two rows, in seconds if stamps are times, else in units of the stamps; above 0.
        longest: between two rows of training, in that unit. A longer one is taken for this one.
        are_seconds: whether stamps are times.
        column: of the stamps, by which a stream takes the time since the row before.
    """

    unit: float
    longest: float
    are_seconds: bool
    column: str

    @classmethod
    def of(cls, data: "ChannelSet") -> Self | None:
        """Those of the rows of series. None: the stamps are a count of rows, or no series has two rows."""
        import numpy as np

        column = data.columns.time
        between = [np.diff(one.stamps.astype(np.int64)) for one in data]
        joined = np.concatenate(between) if between else np.empty(0)
        joined = joined[joined > 0]
        if column is None or not len(joined):
            return None
        unit = float(np.median(joined))
        return cls(unit / (_SECOND if data.has_times else 1), float(joined.max()) / unit, data.has_times, column)

    def elapsed(self, stamps: "np.ndarray") -> "np.ndarray":
        """The times (T,) since the row before, in units; 1 at the first row."""
        import numpy as np

        whole = self.unit * (_SECOND if self.are_seconds else 1)
        between = np.diff(stamps.astype(np.int64)) / whole
        return np.concatenate([np.ones(min(1, len(stamps))), np.minimum(between, self.longest)])

    def shortened(self, elapsed: float) -> float:
        """A time since the row before, in seconds or in units of the stamps, in units and at most the longest."""
        return min(elapsed / self.unit, self.longest)

    @staticmethod
    def ages(missing: "np.ndarray", elapsed: "np.ndarray") -> "np.ndarray":
        """How old the last value of each channel is at each row (T, C): 0 if there is one, by flags (T, C) and (T,)."""
        import numpy as np

        ages, age = np.empty(missing.shape), np.zeros(missing.shape[1])
        for row, (absent, passed) in enumerate(zip(missing, elapsed, strict=True)):
            age = np.where(absent, age + passed, 0.0)
            ages[row] = age
        return ages

    @staticmethod
    def ahead(elapsed: "np.ndarray", steps: int) -> "np.ndarray":
        """The times (T, N) from each row to the N that follow; beyond the last row, one unit for each."""
        import numpy as np

        padded = np.concatenate([elapsed[1:], np.ones(steps)])
        return np.lib.stride_tricks.sliding_window_view(padded, steps)[: len(elapsed)].cumsum(axis=1)

    @staticmethod
    def forecast_ages(ages: "np.ndarray", elapsed: "np.ndarray", steps: int) -> "np.ndarray":
        """The ages (T, N, C), at each row, of the values that it was forecast from one row before, two, and so on.

        Args:
            ages: (T, C), how old the last values were at each row.
            elapsed: (T,), since the row before.
            steps: N.
        """
        import numpy as np

        since = elapsed.cumsum()
        result = np.broadcast_to(since[:, None, None], (len(ages), steps, ages.shape[1])).copy()
        for n in range(1, min(steps, len(ages) - 1) + 1):
            result[n:, n - 1] = ages[:-n] + (since[n:] - since[:-n])[:, None]
        return result

    @staticmethod
    def features(
        filled: "np.ndarray", missing: "np.ndarray", ages: "np.ndarray", elapsed: "np.ndarray"
    ) -> "np.ndarray":
        """What a network reads of rows (T, 3 * C + 1).

        Args:
            filled: (T, C), the last value of each channel.
            missing: (T, C), whether it is an earlier one.
            ages: (T, C), how old it is.
            elapsed: (T,), since the row before.
        """
        import numpy as np

        return np.concatenate([filled, missing, np.log1p(ages), np.log1p(elapsed)[:, None]], axis=1)
