"""What a detector learns without gradients."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from recurra.task.learned import Learned

# The command line's help imports this module: it does without numpy and torch.
if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from recurra.detection.error_gaussian import ErrorGaussian
    from recurra.detection.feedback import Feedback
    from recurra.detection.subsequences import Subsequences

__all__ = ["AnomalyLearned", "ErrorModel", "Member"]

_CLIP = 10.0
_FARTHEST = 1e6  # the squares of huge deviations are infinite in single precision


@dataclass(frozen=True)
class Member:
    """The errors of one network on normal rows, and what they count in the scores.

    Attributes:
        mean: (N * C,) of the errors, the next step's first; of an autoencoder, N is 1.
        precision: (N * C, N * C), the inverse of their covariance.
        warm_up: first rows of a series that are not judged, because the network has no past yet; an int64 scalar.
        weights: (2,) of its squared distances, slow and fast, in the scores; of one network alone both are 1.
    """

    mean: "np.ndarray"
    precision: "np.ndarray"
    warm_up: "np.ndarray"
    weights: "np.ndarray"

    @property
    def gaussian(self) -> "ErrorGaussian":
        """That of the errors."""
        from recurra.detection.error_gaussian import ErrorGaussian

        return ErrorGaussian(self.mean, self.precision)


@dataclass(frozen=True)
class ErrorModel:
    """The errors of normal rows, and the scores that follow from them.

    Attributes:
        members: of each network.
        scores: (S,) smoothed scores of rows that the network was not trained on, or of all if these are few.
        hindsight_scores: (S,) of the same rows, smoothed in both directions.
        fast_scores: (S,) of the same rows, not smoothed.
        usual: a float64 scalar, which nine of ten short means of normal rows are below; an alarm ends below it.
        baselines: (2, M, S) what simple detectors say of the training rows, causal and in hindsight.
    """

    members: tuple[Member, ...]
    scores: "np.ndarray"
    hindsight_scores: "np.ndarray"
    fast_scores: "np.ndarray"
    usual: "np.ndarray"
    baselines: "np.ndarray"


@dataclass(frozen=True)
class AnomalyLearned(Learned):
    """Channels and their scales, the period, and models of what is normal.

    Attributes:
        channels: the names of the C channels.
        centre: of each.
        scale: of each, above 0.
        marks_missing: whether the network also reads which values are missing.
        period: steps.
        step_seconds: the time between rows; None: the rows have no times.
        decimal: the decimal mark of the training file.
        subsequences: the model of windows, a baseline.
        window: rows that an autoencoder reads; 0 if there is none.
        errors: None: training has not ended.
        feedback: what a person said of events. None: nothing.
    """

    channels: tuple[str, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    marks_missing: bool
    period: int
    step_seconds: float | None
    decimal: str
    subsequences: "Subsequences"
    window: int = 0
    errors: ErrorModel | None = None
    feedback: "Feedback | None" = None

    @property
    def short(self) -> float:
        """The time constant of the mean that tells when an alarm ends, in steps."""
        return max(1.0, self.period / 8)

    @property
    def input_size(self) -> int:
        """The features of a step that the network reads."""
        return len(self.channels) * (1 + self.marks_missing)

    def standardize(self, values: "np.ndarray") -> "np.ndarray":
        """Values (T, C) in units of their channel, within 10 of its centre; missing ones stay NaN."""
        import numpy as np

        with np.errstate(over="ignore"):  # infinite, and clipped as well
            return np.clip((values - np.array(self.centre)) / np.array(self.scale), -_CLIP, _CLIP)

    def beyond(self, values: "np.ndarray") -> "np.ndarray":
        """How far values (T, C) lie beyond what `standardize` leaves of them, in its units; 0 for missing ones."""
        import numpy as np

        with np.errstate(over="ignore"):
            standard = (values - np.array(self.centre)) / np.array(self.scale)
        return np.nan_to_num(np.clip(standard, -_FARTHEST, _FARTHEST) - np.clip(standard, -_CLIP, _CLIP))

    def restore(self, standard: "np.ndarray") -> "np.ndarray":
        """The values (..., C) of which these are the standardised ones."""
        import numpy as np

        return standard * np.array(self.scale) + np.array(self.centre)

    def inputs(self, standard: "np.ndarray") -> "np.ndarray":
        """What the network reads (T, I) of standardised values (T, C); see `filled`."""
        import numpy as np

        filled = self.filled(standard)
        return np.concatenate([filled, np.isnan(standard)], axis=1) if self.marks_missing else filled

    def filled(self, standard: "np.ndarray") -> "np.ndarray":
        """Standardised values (T, C), in which a missing one is the last that came before, 0 if there is none."""
        import numpy as np

        at = np.where(np.isfinite(standard), np.arange(len(standard))[:, None], 0)
        last = np.maximum.accumulate(at, axis=0)
        return np.nan_to_num(np.take_along_axis(standard, last, axis=0))

    def with_errors(self, errors: ErrorModel) -> Self:
        """The same, with a model of forecast errors."""
        return replace(self, errors=errors)

    def to_json(self) -> dict[str, Any]:
        names = ("channels", "centre", "scale", "marks_missing", "period", "step_seconds", "decimal", "window")
        values = {name: getattr(self, name) for name in names} | {"length": self.subsequences.length}
        return values | ({} if self.feedback is None else {"feedback": self.feedback.to_json()})

    def tensors(self) -> "dict[str, Tensor]":
        import torch

        arrays = {f"subsequences.{name}": getattr(self.subsequences, name) for name in ("mean", "directions")}
        if self.errors is not None:
            own = {f"errors.{name}": value for name, value in vars(self.errors).items() if name != "members"}
            each = enumerate(self.errors.members)
            arrays |= own | {f"members.{k}.{name}": value for k, one in each for name, value in vars(one).items()}
        return {name: torch.from_numpy(value.copy()) for name, value in arrays.items()}

    @classmethod
    def from_json(cls, values: dict[str, Any], tensors: "dict[str, Tensor]") -> Self:
        from recurra.detection.feedback import Feedback
        from recurra.detection.subsequences import Subsequences

        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        parts = _named(arrays, "errors.")
        members = []
        while own := _named(arrays, f"members.{len(members)}."):
            members.append(Member(**own))
        return cls(
            tuple(values["channels"]),
            tuple(values["centre"]),
            tuple(values["scale"]),
            values["marks_missing"],
            values["period"],
            values["step_seconds"],
            values["decimal"],
            Subsequences(values["length"], arrays["subsequences.mean"], arrays["subsequences.directions"]),
            values["window"],
            ErrorModel(tuple(members), **parts) if parts else None,
            Feedback.from_json(values["feedback"]) if "feedback" in values else None,
        )


def _named(arrays: "dict[str, np.ndarray]", prefix: str) -> "dict[str, np.ndarray]":
    """Those whose names have the prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
