from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax

from recurra.models.temperature import fit_temperature


def loss(temperature: float, logits: np.ndarray, target: np.ndarray) -> float:
    """The mean loss, each target being the label but for the doubt of one item more, of which any may be true."""
    scaled, doubt = logits / temperature, 1 / (len(logits) + 1)
    if target.ndim == 2:
        shares = target * (1 - doubt) + doubt / 2
        return float(-(shares * np.log(expit(scaled)) + (1 - shares) * np.log(expit(-scaled))).mean())
    shares = (1 - doubt) * np.eye(logits.shape[1])[target] + doubt / logits.shape[1]
    return float(-(shares * log_softmax(scaled, 1)).sum(1).mean())


def drawn(several: bool, scale: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits that say too much by a factor `scale`, and labels as the true ones say."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(400, 3)) * 2
    if several:
        target = (generator.random(logits.shape) < expit(logits)).astype(np.float32)
    else:
        target = (log_softmax(logits, 1) + generator.gumbel(size=logits.shape)).argmax(1)
    return (logits * scale).astype(np.float32), target


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("scale", [0.3, 1.0, 4.0])
def test_the_temperature_is_that_of_the_least_loss(several: bool, scale: float) -> None:
    logits, target = drawn(several, scale, seed=int(10 * scale))
    found = fit_temperature(logits, target)
    expected: Any = minimize_scalar(
        lambda log: loss(np.exp(log), logits.astype(np.float64), target), bounds=(-3, 3), options={"xatol": 1e-10}
    )
    assert found == pytest.approx(np.exp(expected.x), rel=1e-5)
    assert found == pytest.approx(scale, rel=0.3)
    for other in (0.9 * found, 1.1 * found):
        assert loss(found, logits, target) < loss(other, logits, target)


@pytest.mark.parametrize("several", [False, True])
def test_it_is_kept_in_bounds(several: bool) -> None:
    logits = np.array([[3.0, -3.0], [-2.0, 2.0]], np.float32)
    right = np.array([[1, 0], [0, 1]], np.float32) if several else np.array([0, 1])
    assert fit_temperature(0.001 * logits, right) == 1 / 20
    assert fit_temperature(logits, 1 - right) == 20
    assert fit_temperature(1e4 * logits, 1 - right) == 20


@pytest.mark.parametrize("count", [2, 20, 200])
def test_a_few_items_that_are_all_right_leave_a_doubt(count: int) -> None:
    logits = np.tile(np.array([[3.0, -3.0], [-2.0, 2.0]], np.float32), (count // 2, 1))
    temperature = fit_temperature(logits, np.tile([0, 1], count // 2))
    confidence = 1 / (1 + np.exp(-5 / temperature))  # of a typical item
    assert 1 - 1.5 / count < confidence < 1 - 0.1 / count


def test_of_nothing_it_is_one() -> None:
    assert fit_temperature(np.empty((0, 3), np.float32), np.empty(0, np.int64)) == 1
    assert fit_temperature(np.ones((2, 3), np.float32), np.array([-100, -100])) == 1
    assert fit_temperature(np.empty((0, 3), np.float32), np.empty((0, 3))) == 1
