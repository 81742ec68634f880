"""Which modules were active: of layers in a network, at true steps, and as a picture."""

from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

from recurra import RIM, Stack
from recurra.errors import ParameterError
from recurra.inspection import module_activity, pictures


def test_each_layer_of_a_network_at_true_steps() -> None:
    stack, x = Stack("rim:3:active=1, rim:2:active=1", 4, 6, batch_first=True), torch.randn(2, 5, 4)
    first, second = module_activity(stack, x, lengths=[5, 3], sequence=1)
    assert (first.name, second.name) == ("blocks.0.block", "blocks.1.block")
    assert (first.active.shape, second.active.shape) == ((3, 3), (3, 2))
    np.testing.assert_allclose(first.fractions.sum(), 1)
    layer = RIM(4, 6, 3, 2)
    (found,) = module_activity(layer, x.transpose(0, 1))
    np.testing.assert_array_equal(found.active, layer.activity(x.transpose(0, 1))[:, 0].numpy())
    with pytest.raises(ParameterError, match="sequence: expected from 0 to 1"):
        module_activity(layer, x.transpose(0, 1), sequence=2)
    with pytest.raises(ParameterError, match="module: expected a module with"):
        module_activity(nn.Linear(1, 1), torch.zeros(1, 1))


def test_the_picture_fills_active_steps(tmp_path: Path, drawn: list[Figure]) -> None:
    found = module_activity(Stack("rim:3, rim:6", 4, 12), torch.randn(9, 1, 4))
    picture = pictures.draw_module_activity(found, tmp_path / "a.png", labels=list("abcdefghi"))
    for ax, activity, panel in zip(drawn[0].axes, found, picture.panels, strict=True):
        np.testing.assert_array_equal(np.asarray(ax.images[0].get_array()), activity.active.T)
        assert [text.get_text() for text in ax.texts] == [f"{fraction:.0%}" for fraction in activity.fractions]
        assert [label.get_text() for label in ax.get_xticklabels()] == list("abcdefghi")
        assert len(panel["curves"]) == activity.active.shape[1]
    assert picture.path.stat().st_size > 0
