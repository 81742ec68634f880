"""What a detector learns without gradients."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from recurra.data.series.channel_statistics import ChannelStatistics
from recurra.data.series.row_times import RowTimes
from recurra.task.learned import Learned

# The command line's help imports this module: it does without numpy and torch.
if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from recurra.detection.error_model import ErrorModel
    from recurra.detection.feedback import Feedback
    from recurra.detection.subsequences import Subsequences
    from recurra.detection.two_scales import Scales

__all__ = ["AnomalyLearned"]


@dataclass(frozen=True)
class AnomalyLearned(Learned):
    """Channels and their scales, the period, and models of what is normal.

    Attributes:
        statistics: of the channels: scales and a period.
        step_seconds: the time between rows; None: the rows have no times.
        decimal: the decimal mark of the training file.
        subsequences: the model of windows, a baseline.
        window: rows that an autoencoder reads; 0 if there is none.
        errors: None: training has not ended.
        feedback: what a person said of events. None: nothing.
        scales: which scores raise alarms; see `recurra.detection.two_scales`.
        cool_down: rows after the end of an alarm in which none starts.
    """

    statistics: ChannelStatistics
    step_seconds: float | None
    decimal: str
    subsequences: "Subsequences"
    window: int = 0
    errors: "ErrorModel | None" = None
    feedback: "Feedback | None" = None
    scales: "Scales" = "both"
    cool_down: int = 0

    @property
    def channels(self) -> tuple[str, ...]:
        """The names of the channels."""
        return self.statistics.channels

    @property
    def period(self) -> int:
        """The period of the channels, in steps."""
        return self.statistics.period

    def with_errors(self, errors: "ErrorModel") -> Self:
        """The same, with a model of forecast errors."""
        return replace(self, errors=errors)

    def to_json(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("step_seconds", "decimal", "window", "scales", "cool_down")}
        values = vars(self.statistics) | own | {"length": self.subsequences.length}
        times = self.statistics.times
        values["times"] = None if times is None else vars(times)
        return values | ({} if self.feedback is None else {"feedback": self.feedback.to_json()})

    def tensors(self) -> "dict[str, Tensor]":
        import torch

        arrays = {f"subsequences.{name}": getattr(self.subsequences, name) for name in ("mean", "directions")}
        if self.errors is not None:
            own = {f"errors.{name}": value for name, value in vars(self.errors).items() if name != "members"}
            each = enumerate(self.errors.members)
            arrays |= own | {f"members.{k}.{name}": value for k, one in each for name, value in vars(one).items()}
            arrays = {name: value for name, value in arrays.items() if value is not None}
        return {name: torch.from_numpy(value.copy()) for name, value in arrays.items()}

    @classmethod
    def from_json(cls, values: dict[str, Any], tensors: "dict[str, Tensor]") -> Self:
        from recurra.detection.error_model import ErrorModel, Member
        from recurra.detection.feedback import Feedback
        from recurra.detection.subsequences import Subsequences

        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        parts = _named(arrays, "errors.")
        members = []
        while own := _named(arrays, f"members.{len(members)}."):
            members.append(Member(**own))
        times = None if values.get("times") is None else RowTimes(**values["times"])
        channels, centre, scale = (tuple(values[name]) for name in ("channels", "centre", "scale"))
        covariates = tuple(values.get("covariates", ()))
        return cls(
            ChannelStatistics(channels, centre, scale, values["marks_missing"], values["period"], times, covariates),
            values["step_seconds"],
            values["decimal"],
            Subsequences(values["length"], arrays["subsequences.mean"], arrays["subsequences.directions"]),
            values["window"],
            ErrorModel(tuple(members), **parts) if parts else None,
            Feedback.from_json(values["feedback"]) if "feedback" in values else None,
            values.get("scales", "both"),
            values.get("cool_down", 0),
        )


def _named(arrays: "dict[str, np.ndarray]", prefix: str) -> "dict[str, np.ndarray]":
    """Those whose names have the prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
