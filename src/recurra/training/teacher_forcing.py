"""The teacher forcing ratio by step: the probability of reading the target, not one's own prediction.

The schedules of scheduled sampling (Bengio et al. 2015, section 2.4), i = step - 1 being their count of batches. They
are pure functions, so that a batch, a function of its step, can carry its ratio to the module.
"""

import math

from recurra.errors import ParameterError
from recurra.shapes import check_positive, check_probability

__all__ = ["constant", "exponential", "inverse_sigmoid", "linear"]


def constant(step: int, ratio: float) -> float:
    """The same ratio, 0 to 1, at every step from 1.

    Raises:
        ParameterError: for a value out of its range.
    """
    check_positive("step", step)
    check_probability("ratio", ratio)
    return ratio


def linear(step: int, steps: int, start: float = 1.0, end: float = 0.0) -> float:
    """A line from `start` at step 1 to `end` at step `steps` + 1, and `end` from there on.

    Args:
        step: from 1.
        steps: over which the ratio changes, at least 1.
        start: 0 to 1.
        end: 0 to 1.

    Raises:
        ParameterError: for a value out of its range.
    """
    check_positive("step", step)
    check_positive("steps", steps)
    check_probability("start", start)
    check_probability("end", end)
    fraction = min((step - 1) / steps, 1.0)
    return (1 - fraction) * start + fraction * end


def exponential(step: int, base: float) -> float:
    """base^i, from 1 at step 1; with a base k = 0.999 half after 693 steps.

    Args:
        step: from 1.
        base: k, 0 to 1.

    Raises:
        ParameterError: for a value out of its range.
    """
    check_positive("step", step)
    check_probability("base", base)
    return base ** (step - 1)


def inverse_sigmoid(step: int, rate: float) -> float:
    """k / (k + exp(i / k)): nearly 1 at first, half after k ln(k) steps, then falling towards 0.

    Args:
        step: from 1.
        rate: k, at least 1.

    Raises:
        ParameterError: for a value out of its range.
    """
    check_positive("step", step)
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 1 <= rate < math.inf:
        raise ParameterError("rate", "a number of at least 1", rate)
    # exp(i / k) / k as one exponential of what is never large and positive.
    power = (step - 1) / rate - math.log(rate)
    return math.exp(-power) / (1 + math.exp(-power)) if power > 0 else 1 / (1 + math.exp(power))
