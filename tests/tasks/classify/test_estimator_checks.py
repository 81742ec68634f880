"""scikit-learn's own checks of estimators, on the classifier with series: which fail, and why."""

import pytest
from sklearn.utils.estimator_checks import check_estimator

from recurra.tasks.classify import Classifier

_MESSAGE = "the mistake is refused as a ValueError, in words of the package's own"
_ANY_LENGTH = "items are series, which may have any number of steps, in prediction too"

EXPECTED = {
    "check_classifiers_one_label": "one label alone is refused: there is nothing to learn",
    "check_classifiers_regression_target": "numbers are labels as any others: whether they are too many is not judged",
    "check_classifiers_train": _ANY_LENGTH,
    "check_complex_data": _MESSAGE,
    "check_do_not_raise_errors_in_init_or_set_params": "options are checked as soon as they are set",
    "check_dont_overwrite_parameters": "fit sets training_result, which every estimator of the package has",
    "check_estimators_empty_data_messages": _MESSAGE,
    "check_estimators_unfitted": "RunError is raised, as NotFittedError would need scikit-learn",
    "check_fit2d_1sample": _MESSAGE,
    "check_fit2d_predict1d": _MESSAGE,
    "check_n_features_in": _ANY_LENGTH,
    "check_n_features_in_after_fitting": _ANY_LENGTH,
    "check_requires_y_none": _MESSAGE,
    "check_supervised_y_2d": "a column of labels (N, 1) is refused, not flattened with a warning",
}


# scikit-learn warns of estimators that do not derive from its own class, and its checks call fit in odd ways.
@pytest.mark.filterwarnings("ignore")
def test_the_checks_of_scikit_learn() -> None:
    classifier = Classifier(
        hidden_size=8,
        max_steps=5,
        batch_size=16,
        learning_rate=0.05,
        dropout=0,
        averaging=0,
        filters=0,
        members=1,
        pooling=("last",),
        validation_fraction=0,
        device="cpu",
    )
    results = check_estimator(classifier, expected_failed_checks=EXPECTED, on_skip=None)
    assert {result["check_name"] for result in results if result["status"] == "xfail"} == set(EXPECTED)
    assert sum(result["status"] == "passed" for result in results) >= 35
