"""What estimators that give each item one label share."""

from typing import TYPE_CHECKING, Any, cast

from recurra.task.estimator import DataT, Estimator, LearnedT, NetworkT

if TYPE_CHECKING:
    import numpy as np

    from recurra.task.classes import Classes

__all__ = ["LabelEstimator"]


class LabelEstimator(Estimator[DataT, LearnedT, NetworkT]):
    """An estimator whose `predictions` are `Classes`, and whose learned values have `labels`."""

    def predict_proba(self, data: Any) -> "np.ndarray":
        """Calibrated probabilities of labels (N, K), in the order of `classes_`. Raises DataError."""
        return cast("Classes", self.predictions(data)).probabilities

    @property
    def classes_(self) -> "np.ndarray":
        """The labels that training had (K,), by falling frequency."""
        import numpy as np

        learned: Any = self.fitted.learned
        return np.array(learned.labels.names.symbols)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        from sklearn.utils import ClassifierTags

        tags.estimator_type, tags.classifier_tags = "classifier", ClassifierTags()
        tags.target_tags.required = True
        return tags
