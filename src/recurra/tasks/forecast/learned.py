"""What a forecaster learns without gradients, and the series that it forecasts."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from recurra.errors import DataError
from recurra.task.learned import Learned

# The command line's help imports this module: it does without numpy and torch.
if TYPE_CHECKING:
    from torch import Tensor

    from recurra.data.series.covariates import CovariateEncoding
    from recurra.data.series.series_set import SeriesSet
    from recurra.data.series.windows import WindowShape
    from recurra.models.forecasting.conformal import Calibration

__all__ = ["ForecastLearned"]


@dataclass(frozen=True)
class ForecastLearned(Learned):
    """What a forecast needs beside the options and the weights.

    Attributes:
        data: all series of `fit`, the steps held out included: they are forecast if no others are. Of a large table
            the run holds how they are found again.
        held_out: steps at the end of each series that training does not see.
        encoding: of the covariates.
        shape: of the windows.
        sizes: features of each part of a window.
        trained_until: by series, the last stamp that training sees, in microseconds or steps.
        latest: the last stamp of the first series as it is shown, and the value there.
        calibration: of conformal intervals; None: there is none, or training has not ended.
    """

    data: "SeriesSet"
    held_out: int
    encoding: "CovariateEncoding"
    shape: "WindowShape"
    sizes: dict[str, int]
    trained_until: dict[str, int]
    latest: tuple[str, float]
    calibration: "Calibration | None" = None

    def seen(self) -> "SeriesSet":
        """The series without the steps held out."""
        return self.data.until(self.held_out)

    def check_like(self, series: "SeriesSet") -> None:
        """Refuse series of another frequency, or with other covariates, than the training series. Raises DataError."""
        if series.frequency != self.data.frequency:
            raise DataError(
                f"{series.source}: expected the frequency trained on, {self.data.frequency}, got {series.frequency}"
            )
        for role in ("past", "known", "static"):
            expected, got = tuple(getattr(self.data.columns, role)), tuple(getattr(series.columns, role))
            if expected != got:
                raise DataError(
                    f"{series.source}: expected the {role} covariates trained on ({', '.join(expected) or 'none'}), "
                    f"got {', '.join(got) or 'none'}"
                )

    def to_json(self) -> dict[str, Any]:
        from recurra.data.series.series_set import StoredSeries
        from recurra.data.series.store import set_values

        series = self.data.series
        if isinstance(series, StoredSeries):
            data = {"series": series.values, "stored": {"about": series.about, "digest": series.digest}}
        else:
            data = {"series": set_values(self.data)}
        return data | {
            "held_out": self.held_out,
            "encoding": self.encoding.to_json(),
            "shape": asdict(self.shape),
            "sizes": self.sizes,
            "trained_until": self.trained_until,
            "latest": list(self.latest),
            "calibration": None if self.calibration is None else self.calibration.to_json(),
        }

    def tensors(self) -> "dict[str, Tensor]":
        import torch

        from recurra.data.series.series_set import StoredSeries
        from recurra.data.series.store import series_to_arrays

        if isinstance(self.data.series, StoredSeries):
            return {}
        return {name: torch.from_numpy(array) for name, array in series_to_arrays(self.data).items()}

    @classmethod
    def from_json(cls, values: dict[str, Any], tensors: "dict[str, Tensor]") -> Self:
        from recurra.data.series.covariates import CovariateEncoding
        from recurra.data.series.store import series_from_arrays, set_of
        from recurra.data.series.stored_series import series_stored_before
        from recurra.data.series.windows import WindowShape
        from recurra.models.forecasting.conformal import Calibration

        shape, calibration = values["shape"], values["calibration"]
        if "stored" in values:
            data = set_of(values["series"], series_stored_before(values["series"], **values["stored"]))
        else:
            arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
            data = series_from_arrays(values["series"], arrays)
        latest = values.get("latest") or (data.form.shown(data.last_stamp(data.series[0])), data.series[0].y[-1])
        return cls(
            data,
            values["held_out"],
            CovariateEncoding.from_json(values["encoding"]),
            WindowShape(tuple(shape["seasons"]), shape["context"], shape["horizon"]),
            values["sizes"],
            values["trained_until"],
            (latest[0], float(latest[1])),
            None if calibration is None else Calibration.from_json(calibration),
        )

    def rows(self) -> dict[str, list[Any]]:
        named = [names for names in self.encoding.categories if names is not None]
        return {f"embedding.tables.{k}.weight": [None, *names] for k, names in enumerate(named)}
