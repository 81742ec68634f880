"""A cell that the package does not know, written and checked in a few lines: its kernel, its gradients, its speed."""

from typing import Any

import pytest
import torch

from agreement import assert_agree, gradients
from recurra import Recurrent
from recurra.cells import Cell, State
from recurra.kernels import Choice, Request, choose
from recurra.kernels.native import extension
from recurra.ops import sigmoid, tanh


class RAN(Cell):
    """Recurrent additive network (Lee et al. 2017)."""

    gates, state = ("i", "f", "g"), ("h", "c")

    def update(self, x: Any, u: Any, s: Any, p: Any) -> State:
        c = sigmoid(x.i + u.i) * x.g + sigmoid(x.f + u.f) * s.c
        return State(h=tanh(c), c=c)


def test_a_new_cell_gets_its_kernel_its_gradients_and_its_speed(caplog: pytest.LogCaptureFixture) -> None:
    if reason := extension.unsupported_reason(RAN()):
        pytest.skip(reason)
    layer, x = Recurrent(RAN(), 3, 17, dtype=torch.float64), torch.randn(6, 5, 3).double()
    fast = layer(x, lengths=[6, 0, 3, 1, 6])
    layer.backend = "reference"
    slow = layer(x, lengths=[6, 0, 3, 1, 6])
    assert_agree(fast, slow)
    assert_agree(gradients(fast, layer.parameters()), gradients(slow, layer.parameters()))
    # Chosen without being asked for, as for a cell of the package, and nothing to warn of.
    assert choose("auto", Request(RAN(), "cpu", "torch.float64")) == Choice("native")
    assert "Recurrence" in type(fast[0].grad_fn).__name__
    assert not caplog.records
