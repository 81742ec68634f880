"""Cells by name."""

import pytest

from recurra import cells
from recurra.cells import NAMES, Cell, find_cell
from recurra.errors import ParameterError


def test_every_exported_cell_has_one_name_and_its_defaults() -> None:
    exported = [getattr(cells, name) for name in cells.__all__]
    kinds = {kind for kind in exported if isinstance(kind, type) and issubclass(kind, Cell) and kind is not Cell}
    assert {type(cell) for cell in NAMES.values()} == kinds
    assert len(NAMES) == len(kinds)
    for name, cell in NAMES.items():
        assert find_cell(name) == cell == type(cell)()
        assert name == name.lower()


def test_names_are_those_promised() -> None:
    wanted = ("jordan", "gru_reset_before", "layer_norm_lstm", "layer_norm_gru", "indrnn", "mgu", "sru", "min_gru")
    assert {*wanted, "min_lstm", "rg_lru", "fast_grnn", "cfc", "lstm", "gru", "rnn", "slstm"} <= set(NAMES)
    assert find_cell("rnn") == cells.Elman()


def test_a_cell_of_one_s_own() -> None:
    assert find_cell("recurra.cells:MGU") == cells.MGU()
    assert repr(find_cell("every_cell:Peephole")) == "Peephole()"


@pytest.mark.parametrize(
    "name", ["", "LSTM", "no_such_module:LSTM", "recurra.cells:Nothing", "recurra.cells:find_cell"]
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ParameterError, match=r"^cell: expected "):
        find_cell(name)
