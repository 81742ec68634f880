"""A fitted map from confidence to probability."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.models.confidence import ConfidenceMap


def sampled(slope: float, offset: float, count: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Confidences that come true by a known map."""
    generator = np.random.default_rng(0)
    confidence = generator.uniform(0.02, 0.999, count)
    logits = slope * np.log(confidence / (1 - confidence)) + offset
    return confidence, generator.random(count) < 1 / (1 + np.exp(-logits))


@pytest.mark.parametrize(("slope", "offset"), [(1.0, 0.0), (0.4, 0.0), (2.0, -1.5), (0.7, 1.0)])
def test_the_map_is_found_again(slope: float, offset: float) -> None:
    fitted = ConfidenceMap.fit(*sampled(slope, offset))
    assert fitted.slope == pytest.approx(slope, rel=0.1)
    assert fitted.offset == pytest.approx(offset, abs=0.1)


def test_what_says_nothing_becomes_the_rate() -> None:
    confidence = np.array([0.2, 0.4, 0.6, 0.8])
    fitted = ConfidenceMap.fit(confidence, np.array([True, True, False, False]))
    assert fitted.slope == 0
    assert fitted(0.1) == fitted(0.9) == pytest.approx(0.5)


def test_a_few_that_are_all_right_leave_doubt() -> None:
    fitted = ConfidenceMap.fit(np.array([0.9, 0.95, 0.99]), np.ones(3, bool))
    assert 0.5 < fitted(0.95) < 0.99
    assert ConfidenceMap.fit(np.zeros(0), np.zeros(0, bool)) == ConfidenceMap()


@given(
    confidence=st.lists(st.floats(0, 1), min_size=1, max_size=12),
    bits=st.integers(0, 4095),
    pair=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_the_order_stays(confidence: list[float], bits: int, pair: tuple[float, float]) -> None:
    right = np.array([bool(bits >> k & 1) for k in range(len(confidence))])
    fitted = ConfidenceMap.fit(np.array(confidence), right)
    low, high = fitted(min(pair)), fitted(max(pair))
    assert 0 <= low <= high <= 1
