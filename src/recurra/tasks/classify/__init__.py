"""Classification of texts and of series: one label an item or several, calibrated, explained."""

from recurra.tasks.classify.classifier import Classifier, Evaluation, Prediction
from recurra.tasks.classify.explain import Explanation
from recurra.tasks.classify.given import Reading
from recurra.tasks.classify.settings import ClassifySettings

__all__ = ["Classifier", "ClassifySettings", "Evaluation", "Explanation", "Prediction", "Reading"]
