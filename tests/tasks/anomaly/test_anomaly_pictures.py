"""The picture of the scores that thresholds follow from."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from made_machines import frame, tiny
from numpy.testing import assert_allclose

from recurra.tasks.anomaly.pictures import tail_picture
from recurra.tasks.anomaly.scoring import two_scales

PROBABILITY = 0.01


@pytest.mark.parametrize("hindsight", [False, True])
def test_bars_tail_and_threshold_are_those_of_the_calibration(drawn: list[Any], hindsight: bool) -> None:
    learned = tiny().fit(frame(), progress=False).fitted.learned
    assert learned.errors is not None
    assert tail_picture(learned, PROBABILITY, hindsight=hindsight).startswith(b"\x89PNG")
    (figure,) = drawn
    scales = two_scales(learned, PROBABILITY, hindsight, adapts=False)
    slow = learned.errors.hindsight_scores if hindsight else learned.errors.scores
    for k, (ax, scores) in enumerate(zip(figure.axes, (slow, learned.errors.fast_scores), strict=True)):
        (bars,) = ax.patches
        counts, edges, _ = bars.get_data()
        assert 0.98 * len(scores) <= counts.sum() <= len(scores)
        assert (counts == np.histogram(scores, edges)[0]).all()
        lines = {str(line.get_label()).partition(" (")[0]: line for line in ax.lines}
        assert lines[f"threshold: one row in {2 / PROBABILITY:.0f}"].get_xdata()[0] == scales.thresholds[k]
        tail = scales.tails[k]
        assert lines["where the tail begins"].get_xdata()[0] == tail.level
        # The curve is the number of rows in each bar beyond the level.
        expected = np.asarray(lines["fitted tail"].get_ydata())
        inside = edges[edges > tail.level]
        beyond = len(scores) * (tail.survival(inside[:1]) - tail.survival(inside[len(expected) : len(expected) + 1]))
        assert_allclose(expected.sum(), beyond[0], rtol=1e-9)
        assert 0 < beyond[0] < 0.07 * len(scores)
        assert ax.get_xscale() == ax.get_yscale() == "log"


def test_scores_that_are_all_0_are_drawn(drawn: list[Any]) -> None:
    learned = tiny().fit(np.full(100, 3.0), progress=False).fitted.learned
    assert learned.errors is not None
    zeros = np.zeros(100)
    flat = replace(learned.errors, scores=zeros, fast_scores=zeros)
    assert tail_picture(learned.with_errors(flat), PROBABILITY).startswith(b"\x89PNG")
    (figure,) = drawn
    assert [ax.texts[0].get_text() for ax in figure.axes] == ["all scores are 0"] * 2
