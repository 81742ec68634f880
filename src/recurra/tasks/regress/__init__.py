"""Regression of series: a number for each, beside simple baselines.

Names load on first use.
"""

from typing import TYPE_CHECKING

from recurra.data.labelled.reading import ItemReading
from recurra.lazy_names import lazy_names

if TYPE_CHECKING:
    from recurra.tasks.regress.regressor import Regressor
    from recurra.tasks.regress.results import PredictedNumbers

__all__ = ["ItemReading", "PredictedNumbers", "Regressor"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "recurra.tasks.regress.regressor": ("Regressor",),
        "recurra.tasks.regress.results": ("PredictedNumbers",),
    },
)
