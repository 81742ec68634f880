"""Classification of texts and of series: one label an item or several, calibrated and explained.

Names load on first use.
"""

from typing import TYPE_CHECKING

from recurra.data.labelled.reading import ItemReading
from recurra.lazy_names import lazy_names

if TYPE_CHECKING:
    from recurra.task.classes import Classes, Prediction
    from recurra.tasks.classify.classifier import Classifier
    from recurra.tasks.classify.explanation import Explanation

__all__ = ["Classes", "Classifier", "Explanation", "ItemReading", "Prediction"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "recurra.tasks.classify.classifier": ("Classifier",),
        "recurra.tasks.classify.explanation": ("Explanation",),
        "recurra.task.classes": ("Classes", "Prediction"),
    },
)
