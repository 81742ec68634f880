from pathlib import Path
from typing import Any

import numpy as np

from recurra.tasks.translate.results import draw_attention


def test_the_axes_of_attention_are_named(tmp_path: Path, drawn: list[Any]) -> None:
    weights = np.array([[0.75, 0.25], [0.5, 0.5]])
    draw_attention([(["ein", "⏎"], ["one", "⏎"], weights)], tmp_path / "a.png")
    ax, bar = drawn[0].axes
    assert (ax.get_xlabel(), ax.get_ylabel(), bar.get_ylabel()) == ("source", "translation", "attention weight")
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["ein", "⏎"]
    np.testing.assert_allclose(ax.images[0].get_array(), weights)
    figure = drawn[0]
    figure.draw_without_rendering()
    box = ax.yaxis.label.get_window_extent()
    assert box.y0 >= 0
    assert box.y1 <= figure.bbox.y1
