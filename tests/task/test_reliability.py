import numpy as np
import pytest

from recurra.task.reliability import reliability


def test_reliability_by_hand() -> None:
    confidence = np.array([0.05, 0.15, 0.19, 0.95, 1.0, 1.0])
    right = np.array([False, True, False, True, True, False])
    found = reliability(confidence, right, bins=10)
    assert found.counts.tolist() == [1, 2, 3]
    assert found.confidence == pytest.approx([0.05, 0.17, 2.95 / 3])
    assert found.accuracy == pytest.approx([0, 1 / 2, 2 / 3])
    expected = (1 * 0.05 + 2 * (0.5 - 0.17) + 3 * (2.95 / 3 - 2 / 3)) / 6
    assert found.expected_calibration_error == pytest.approx(expected)
    two = reliability(confidence, right, bins=2)
    assert two.counts.tolist() == [3, 3]
    assert two.expected_calibration_error == pytest.approx((3 * (1 / 3 - 0.13) + 3 * (2.95 / 3 - 2 / 3)) / 6)


def test_reliability_of_nothing() -> None:
    found = reliability(np.empty(0), np.empty(0, bool))
    assert found.expected_calibration_error == 0
    assert len(found.counts) == 0
