"""The plan of the engine's forward pass, from Python. Its rules are tested one by one in csrc/tests/plans.hpp."""

import ctypes
from typing import Any

import pytest

from recurra import cells
from recurra.cells import Cell
from recurra.errors import CompilerError, ParameterError
from recurra.kernels.native import extension
from recurra.kernels.native.plan import forward_plan

needs_extension = pytest.mark.skipif(not extension.is_installed(), reason="needs the C++ extension")
THERE = ctypes.addressof(ctypes.c_double())  # an array that is given


def call(steps: int, batch: int, hidden: int, **options: Any) -> extension.Call:
    record = extension.Call(steps=steps, batch=batch, hidden=hidden, size=hidden, heads=1, threads=4)
    for name, value in options.items():
        setattr(record, name, value)
    return record


@needs_extension
@pytest.mark.parametrize(
    ("cell", "record", "expected"),
    [
        (cells.GRU(), call(8, 1, 16), "projected before, unpacked, block by block, 1 threads by rows"),
        (cells.GRU(), call(9, 1, 16), "projected before, packed, block by block, 1 threads by rows"),
        (cells.GRU(), call(100, 32, 64), "projected before, packed, block by block, 4 threads by rows"),
        (cells.GRU(), call(100, 2, 256, norm=THERE), "projected before, packed, whole rows, 2 threads by rows"),
        (
            cells.LSTM(),
            call(100, 1, 1024, inputs=THERE, features=8),
            "fused, packed, block by block, 4 threads by units",
        ),
        (cells.GRUResetBefore(), call(8, 1, 16), "projected before, packed, whole rows, 1 threads by rows"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Cell) else None,
)
def test_plans_in_words(cell: Cell, record: extension.Call, expected: str) -> None:
    assert repr(forward_plan(cell, record, 32)) == expected
    plan = forward_plan(cell, record, 64)
    assert repr(plan) == expected
    assert plan.fused == ("fused" in expected)
    assert plan.unpacked == ("unpacked" in expected)
    assert plan.whole_rows == ("whole rows" in expected)
    assert plan.divides_units == ("by units" in expected)
    assert f"{plan.threads} threads" in expected


@needs_extension
@pytest.mark.parametrize("cell", [cells.LSTM(), cells.Elman()], ids=["four gates", "one gate, two vectors a block"])
@pytest.mark.parametrize("bits", [32, 64])
def test_a_block_is_as_wide_as_this_machines_vectors(cell: Cell, bits: int) -> None:
    lanes = extension.vector_bytes() * 8 // bits
    block = lanes * (2 if len(cell.gates) == 1 else 1)
    # Four threads divide the units if there are four blocks, and so much work that the batch does not matter.
    one_too_few, enough = (call(1000, 1, units, size=10_000) for units in (3 * block, 3 * block + 1))
    assert not forward_plan(cell, one_too_few, bits).divides_units
    assert forward_plan(cell, enough, bits).divides_units


@needs_extension
def test_a_cell_without_a_matrix_product_has_no_plan() -> None:
    with pytest.raises(ParameterError, match="cell"):
        forward_plan(cells.IndRNN(), call(9, 1, 16), 32)


def test_without_the_extension(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extension, "_native", None)
    with pytest.raises(CompilerError, match="RECURRA_NO_EXTENSION"):
        forward_plan(cells.GRU(), call(9, 1, 16), 32)
