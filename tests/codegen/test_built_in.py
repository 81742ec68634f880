"""The cells compiled into the package are those of `recurra.cells`, as their equations are now."""

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

import recurra.cells
from every_cell import CELLS, FIRST_USE
from recurra import cells
from recurra.codegen import dependence, differentiate_parts, digest
from recurra.codegen.built_in import built_in, write_built_in
from recurra.codegen.cpp import write_cell
from recurra.codegen.derive import sum_only_gates
from recurra.codegen.differentiate import differentiate
from recurra.codegen.trace import trace
from recurra.kernels.native import extension

HEADER = Path(__file__).parents[2] / "csrc" / "cells.generated.hpp"


EXPORTED = [cell for cell in CELLS if type(cell).__module__.startswith("recurra.")]


def test_every_exported_cell_with_every_option_is_built_in() -> None:
    assert {type(cell).__name__ for cell in EXPORTED} <= set(recurra.cells.__all__)
    digests = [digest(cell) for cell in built_in().values()]
    assert set(digests) == {digest(cell) for cell in EXPORTED}
    assert len(set(digests)) == len(digests)
    assert len({repr(cell) for cell in EXPORTED}) == len(EXPORTED)


def test_a_cell_that_is_compiled_at_first_use_is_not_built_in() -> None:
    assert FIRST_USE
    assert {digest(cell) for cell in FIRST_USE}.isdisjoint(digest(cell) for cell in built_in().values())


def test_a_struct_is_named_after_its_class_and_choices() -> None:
    compiled = built_in()
    for name, cell in compiled.items():
        chosen = [getattr(cell, field.name).title() for field in fields(cell) if "choices" in field.metadata]
        assert name == type(cell).__name__ + "".join(chosen)
    assert {"GRU", "LSTM", "ElmanTanh", "ElmanRelu", "ElmanSigmoid", "IndRNNRelu", "IndRNNTanh", "CfC"} <= {*compiled}
    # The others share these.
    assert not [name for name in compiled if name.startswith(("LayerNorm", "Jordan"))]


def test_cells_of_the_same_update_share_one() -> None:
    same = [
        (cells.LSTM(), cells.LayerNormLSTM()),
        (cells.GRU(), cells.LayerNormGRU()),
        (cells.SLSTM(), cells.SLSTM(4)),
        (cells.Elman("relu"), cells.Jordan("relu", "sigmoid")),
    ]
    assert all(digest(a) == digest(b) for a, b in same)
    # Nothing but the update: not the recurrence, nor what is late, nor a number in an equation.
    others = [cells.GRU(), cells.GRUResetBefore(), cells.Elman("relu"), cells.IndRNN("relu"), cells.CfC(), cells.CfC(2)]
    assert len({digest(cell) for cell in others}) == len(others)


@pytest.mark.skipif(not HEADER.is_file(), reason="the C++ sources are not beside the tests")
def test_the_header_in_the_repository_is_what_the_equations_give(tmp_path: Path) -> None:
    text = HEADER.read_text("utf-8")
    assert text == write_built_in(), "run python -m recurra.codegen.built_in"
    # What was asked of a cell before does not change what is written of it.
    for cell in built_in().values():
        sum_only_gates(trace(cell))
        dependence(cell)
        differentiate_parts(trace(cell))
    assert text == write_built_in()
    made = tmp_path / "cells.hpp"
    subprocess.run([sys.executable, "-m", "recurra.codegen.built_in", made], check=True)
    assert text == made.read_text("utf-8")


@pytest.mark.skipif(not extension.is_installed(), reason="needs the C++ extension")
def test_the_extension_has_them_for_every_instruction_set() -> None:
    native = extension._native
    assert native is not None
    for name in ("baseline", *(name for name in extension.instruction_sets() if name != "neon")):
        entries = native.entries(name)
        assert [cell for cell in EXPORTED if len(entries.get(digest(cell), ())) != 8] == [], name
    assert native.entries("mmx") == {}


def test_the_source_does_not_depend_on_what_was_derived_before() -> None:
    cell = cells.MinGRU()
    trace.cache_clear()
    before = write_cell(cell, "cell")
    trace.cache_clear()
    traced = trace(cell)
    traced.graph.make("add", traced.graph.make("neg", traced.after[0]), 1.0)
    differentiate(traced)
    assert write_cell(cell, "cell") == before
