import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

import recurra
from recurra.inspection import Edges, UnrolledGradients, UnrolledRow, pictures, record, unrolled_gradients
from recurra.inspection.pictures.style import label_steps, panels
from recurra.inspection.pictures.unrolled import columns_of


def _size(path: Path) -> tuple[int, int]:
    header = path.read_bytes()[16:24]
    return int.from_bytes(header[:4], "big"), int.from_bytes(header[4:], "big")


@pytest.mark.parametrize(("steps", "wide"), [(1, 1), (50, 1), (51, 2), (120, 3), (1000, 20)])
def test_columns_stay_readable(steps: int, wide: int) -> None:
    assert columns_of(steps) == wide
    assert -(-steps // wide) <= 50


def test_a_long_bidirectional_sequence_is_one_readable_picture(tmp_path: Path, drawn: list[Figure]) -> None:
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
    assert re.match("step; .* 3 steps", ax.get_xlabel())
    boxes = [label.get_window_extent() for label in ax.get_xticklabels()]
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


@pytest.mark.parametrize(
    ("labels", "drawn"),
    [
        ([*"$ab$"], True),
        (["a", "_", "^", "a rather long word of it"], True),
        (["\u4e00", "b", "c", "d"], False),  # not in the font
        ([], False),
    ],
)
def test_steps_are_called_by_their_labels(labels: list[str], drawn: bool) -> None:
    figure, (ax,) = panels(1)
    assert label_steps(ax, np.arange(4), labels, 8.0) == drawn
    figure.draw_without_rendering()
    if drawn:
        assert [tick.get_text()[:4] for tick in ax.get_xticklabels()] == [label[:4] for label in labels]
        assert all(len(tick.get_text()) <= 16 for tick in ax.get_xticklabels())


def test_labels_are_drawn_where_there_is_room_for_all() -> None:
    _, (ax,) = panels(1)
    assert not label_steps(ax, np.arange(300), ["word"] * 300, 8.0)
    assert label_steps(ax, np.arange(100), ["word"] * 100, 12.0)
    assert {tick.get_rotation() for tick in ax.get_xticklabels()} == {90.0}
    assert label_steps(ax, np.arange(100), ["w"] * 100, 12.0)
    assert {tick.get_rotation() for tick in ax.get_xticklabels()} == {0.0}


@pytest.mark.parametrize(("label", "joined"), [("a", True), ("word", False)])
def test_columns_of_several_steps_are_called_by_all_their_labels(
    label: str, joined: bool, tmp_path: Path, drawn: list[Figure]
) -> None:
    found = unrolled_gradients(record(recurra.GRU(2, 3), torch.randn(99, 1, 2)))
    pictures.draw_unrolled(found, tmp_path / "long.png", 1, "letter", [label] * 99)
    (ax,) = drawn[0].axes
    if joined:
        assert [tick.get_text() for tick in ax.get_xticklabels()] == ["aa"] * 49 + ["a"]
    assert re.match("letter; .* 2 steps", ax.get_xlabel())
    # Which step the label of a column is of is said where it is not all of them.
    assert ("number" in ax.get_xlabel()) == (not joined)


def test_a_decoder_begins_with_a_column_of_its_own(tmp_path: Path, drawn: list[Figure]) -> None:
    row = UnrolledRow("encoder", False, np.ones(41), (0,), ("encoder",))
    other = UnrolledRow("decoder", False, np.ones(20), (0,), ("decoder",), first=41)
    edges = (Edges(None, 0, np.ones(41)), Edges(1, None, np.ones(20)))
    pictures.draw_unrolled(UnrolledGradients((row, other), edges, 61, 0, 1.0), tmp_path / "two.png", 1, "", "a" * 61)
    (ax,) = drawn[0].axes
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["aa"] * 20 + ["a"] + ["aa"] * 10
    encoder, decoder = (np.asarray(nodes.get_offsets())[:, 0].tolist() for nodes in ax.collections)
    assert (encoder, decoder) == (list(range(21)), list(range(21, 31)))
    (line,) = [line for line in ax.lines if line.get_linestyle() == "--"]
    assert set(np.asarray(line.get_xdata())) == {20.5}


def test_a_loss_that_reaches_nothing_is_drawn_all_the_same(tmp_path: Path, drawn: list[Figure]) -> None:
    recording = record(recurra.GRU(2, 3, batch_first=True), torch.randn(1, 4, 2))
    found = unrolled_gradients(recording, lambda output: 0 * output[0].sum())
    assert found.largest == 0
    pictures.draw_unrolled(found, tmp_path / "none.png")
    (ax,) = drawn[0].axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["loss", "layer 1", "input"]
    # The steps are there, and no arrow between them.
    (nodes,) = ax.collections
    assert np.asarray(nodes.get_offsets()).shape == (4, 2)
    assert not ax.patches
