"""The cells compiled into the package are those of `recurra.cells`, as their equations are now."""

import subprocess
import sys
from pathlib import Path

import pytest

import recurra.cells
from every_cell import CELLS
from recurra.cells import Cell
from recurra.codegen.built_in import BUILT_IN, write_built_in
from recurra.codegen.derive import is_affine_in_state, sum_only_gates
from recurra.codegen.trace import trace
from recurra.kernels import extension

HEADER = Path(__file__).parents[2] / "csrc" / "cells.generated.hpp"


def test_every_exported_cell_with_every_option_is_built_in() -> None:
    exported = [cell for cell in CELLS if type(cell).__module__.startswith("recurra.")]
    assert {type(cell).__name__ for cell in exported} <= set(recurra.cells.__all__)
    assert set(BUILT_IN.values()) == set(exported)
    assert len({repr(cell) for cell in exported}) == len(exported)


@pytest.mark.skipif(not HEADER.is_file(), reason="the C++ sources are not beside the tests")
def test_the_header_in_the_repository_is_what_the_equations_give(tmp_path: Path) -> None:
    text = HEADER.read_text("utf-8")
    assert text == write_built_in(), "run python -m recurra.codegen.built_in"
    # What was asked of a cell before does not change what is written of it.
    for cell in BUILT_IN.values():
        sum_only_gates(trace(cell))
        is_affine_in_state(trace(cell))
    assert text == write_built_in()
    made = tmp_path / "cells.hpp"
    subprocess.run([sys.executable, "-m", "recurra.codegen.built_in", made], check=True)
    assert text == made.read_text("utf-8")


@pytest.mark.skipif(not extension.is_installed(), reason="needs the C++ extension")
@pytest.mark.parametrize("cell", list(BUILT_IN.values()), ids=str)
def test_the_extension_has_them_for_every_instruction_set(cell: Cell) -> None:
    native = extension._native
    assert native is not None
    for name in ("baseline", *(name for name in extension.instruction_sets() if name != "neon")):
        assert len(native.entries(name)[repr(cell)]) == 4
    assert native.entries("mmx") == {}
