"""Search for good options of an estimator: Optuna samples, the trainings are ordinary ones. Names load on first use."""

from typing import TYPE_CHECKING

from recurra.lazy_names import lazy_names

if TYPE_CHECKING:
    from recurra.tuning.options import TuningOptions
    from recurra.tuning.results import Trial, Tuned
    from recurra.tuning.search import tune

__all__ = ["Trial", "Tuned", "TuningOptions", "tune"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "recurra.tuning.options": ("TuningOptions",),
        "recurra.tuning.results": ("Trial", "Tuned"),
        "recurra.tuning.search": ("tune",),
    },
)
