from itertools import pairwise
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure

import recurra
from recurra.inspection import pictures, record, unrolled_gradients
from recurra.inspection.pictures.unrolled import columns_of


def _size(path: Path) -> tuple[int, int]:
    header = path.read_bytes()[16:24]
    return int.from_bytes(header[:4], "big"), int.from_bytes(header[4:], "big")


@pytest.mark.parametrize(("steps", "wide"), [(1, 1), (50, 1), (51, 2), (120, 3), (1000, 20)])
def test_columns_stay_readable(steps: int, wide: int) -> None:
    assert columns_of(steps) == wide
    assert -(-steps // wide) <= 50


def test_a_long_bidirectional_sequence_is_one_readable_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda figure, *a, **k: (drawn.append(figure), save(figure, *a, **k)))
    layer = recurra.GRU(2, 3, num_layers=2, bidirectional=True)
    found = unrolled_gradients(record(layer, torch.randn(130, 1, 2)))
    pictures.draw_unrolled(found, tmp_path / "long.png", first_step=1)
    width, height = _size(tmp_path / "long.png")
    assert 800 <= width <= 1800
    assert 400 <= height <= 1200
    (ax,) = drawn[0].axes
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        *("loss", "layer 2 reverse", "layer 2 forward", "layer 1 reverse", "layer 1 forward", "input")
    ]
    assert ax.get_xlabel() == "step; a column stands for 3 steps, from the number below it on"
    boxes = [label.get_window_extent() for label in ax.get_xticklabels()]
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


def test_a_loss_that_reaches_nothing_is_drawn_all_the_same(tmp_path: Path) -> None:
    recording = record(recurra.GRU(2, 3, batch_first=True), torch.randn(1, 4, 2))
    found = unrolled_gradients(recording, lambda output: 0 * output[0].sum())
    assert found.largest == 0
    pictures.draw_unrolled(found, tmp_path / "none.png")
    assert _size(tmp_path / "none.png")[0] > 500
