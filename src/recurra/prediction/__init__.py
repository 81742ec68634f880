"""Predictions for tables of any size: read piece by piece, in one process or by the workers of Ray.

Names load on first use.
"""

from typing import TYPE_CHECKING

from recurra.lazy_names import lazy_names

if TYPE_CHECKING:
    from recurra.prediction.options import TableOptions
    from recurra.prediction.predict import PredictedFiles, predict_files

__all__ = ["PredictedFiles", "TableOptions", "predict_files"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "recurra.prediction.options": ("TableOptions",),
        "recurra.prediction.predict": ("PredictedFiles", "predict_files"),
    },
)
