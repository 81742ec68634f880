"""Inference of cells whose units do not mix, some steps at a time."""

import pytest
import torch

import covering
import recurra
from every_cell import CELLS, serving
from recurra.cells import Cell
from recurra.codegen import mixes_units
from recurra.kernels.native import extension, forward, launches

pytestmark = pytest.mark.skipif(not extension.is_installed(), reason="needs the C++ extension")

ELEMENTWISE = [cell for cell in CELLS if "native" in serving(cell) and not mixes_units(cell)]


@covering.parametrize({"cell": ELEMENTWISE, "steps_at_once": [1, 3, 7]}, strength=1)
def test_any_cut_gives_the_same(cell: Cell, steps_at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    batch, hidden = 3, 5
    layer = recurra.Recurrent(cell, 4, hidden, num_layers=2, bidirectional=True, dtype=torch.float64)
    x = torch.randn(7, batch, 4, dtype=torch.float64)
    hx = [torch.rand(4, batch, hidden, dtype=torch.float64) for _ in cell.state]
    state = hx[0] if len(hx) == 1 else tuple(hx)
    calls = []
    launch = launches.launch
    monkeypatch.setattr(launches, "launch", lambda one: (calls.append(one), launch(one)))
    monkeypatch.setattr(forward, "_SEGMENT_BYTES", steps_at_once * batch * len(cell.gates) * hidden * 8)
    before = [part.clone() for part in hx]
    with torch.no_grad():
        found = layer(x, state)
        assert len(calls) == 4 * -(-7 // steps_at_once)
        general = torch.compile(layer, backend="eager")(x, state)
        layer.backend = "reference"
        expected = layer(x, state)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(general, expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(hx, before, rtol=0, atol=0)
