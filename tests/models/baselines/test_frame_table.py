import numpy as np
import pytest

from recurra.models.baselines.frame_table import FrameTable


def test_tables_count_how_often_notes_follow_themselves() -> None:
    generator = np.random.default_rng(0)
    # Note 0 alternates; note 1 sounds in every fourth frame, on average.
    roll = np.stack([np.arange(4000) % 2, generator.random(4000) < 0.25], axis=1).astype(np.uint8)
    frequency, last = FrameTable.fit([roll], [()]), FrameTable.fit([roll], [(1,)])
    assert frequency.probabilities[0] == pytest.approx([0.5, 0.25], abs=0.02)
    assert last.probabilities[0] == pytest.approx([1, 0.25], abs=0.03)
    assert last.probabilities[1] == pytest.approx([0, 0.25], abs=0.05)
    both = FrameTable.fit([roll], [(1, 2)])
    assert both.probabilities.shape == (4, 2)
    assert both.probabilities[2, 0] == pytest.approx(1, abs=0.01)  # it sounded two frames back, and not in the last one


def test_surprise_by_hand() -> None:
    table = FrameTable(np.array([[0.5, 0.2], [0.25, 0.9]]))
    roll = np.array([[1, 0], [0, 1], [0, 1]])
    expected = -np.log([0.5 * 0.8, 0.75 * 0.2, 0.5 * 0.9])
    assert table.surprise(roll, (1,)) == pytest.approx(expected)
