"""Cells by name."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from recurra import cells
from recurra.cells import NAMES, Cell, Gates, PerUnit, State, find_cell
from recurra.cells.cell import REGISTRY
from recurra.errors import ParameterError


def test_every_exported_cell_has_the_name_of_its_module_and_its_defaults() -> None:
    exported = [getattr(cells, name) for name in cells.__all__]
    kinds = {kind for kind in exported if isinstance(kind, type) and issubclass(kind, Cell) and kind is not Cell}
    assert {*REGISTRY.values()} == kinds
    assert {*REGISTRY} == {*NAMES}
    for name, kind in REGISTRY.items():
        assert find_cell(name) == kind()
        assert kind.__module__ == f"recurra.cells.{name}"
        assert name.replace("_", "") == kind.__name__.lower()


def test_names_are_those_promised() -> None:
    wanted = ("jordan", "gru_reset_before", "layer_norm_lstm", "layer_norm_gru", "indrnn", "mgu", "sru", "min_gru")
    assert {*wanted, "min_lstm", "rg_lru", "fast_grnn", "cfc", "lstm", "gru", "elman", "slstm"} <= {*NAMES}
    assert list(NAMES) == sorted(NAMES)


def test_the_documentation_names_every_cell() -> None:
    page = (Path(__file__).parents[2] / "docs" / "layers.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| `(\w+)` \|$", page, re.MULTILINE))
    assert rows == {name: type(find_cell(name)).__name__ for name in NAMES}


def test_names_are_known_without_torch() -> None:
    code = "import sys; from recurra.cell_names import NAMES; print(*NAMES); assert 'torch' not in sys.modules"
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert tuple(shown.split()) == NAMES


def test_a_class_of_the_package_enters_as_it_is_made_and_others_do_not() -> None:
    def update(self: Cell, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=x.a)

    body = {"gates": ("a",), "state": ("h",), "update": update}
    kind = type("Probe", (Cell,), {**body, "__module__": "recurra.cells.probe"})
    assert REGISTRY.pop("probe") is kind
    type("Probe", (Cell,), {**body, "__module__": "elsewhere.probe"})
    assert "probe" not in REGISTRY


def test_a_cell_of_one_s_own() -> None:
    assert find_cell("recurra.cells:MGU") == cells.MGU()
    assert repr(find_cell("every_cell:Peephole")) == "Peephole()"


@pytest.mark.parametrize(
    "name", ["", "LSTM", "cell", "find", "no_such_module:LSTM", "recurra.cells:Nothing", "recurra.cells:find_cell"]
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ParameterError, match=r"^cell: expected "):
        find_cell(name)
