"""The step of every cell in C, from its equations, is that of the model."""

from pathlib import Path

import pytest
from c_models import layer_of, needs_compiler, needs_extension

import covering
from every_cell import CELLS, FIRST_USE, ThreeParts, traits
from recurra import Recurrent
from recurra.cells import GRU, LSTM, SLSTM, Cell, GRUResetBefore, LayerNormLSTM
from recurra.errors import ParameterError
from recurra.export.c import export_c

pytestmark = [needs_extension, needs_compiler]


@covering.parametrize(
    {
        "cell": CELLS,
        "hidden": [1, 16, 19],
        "bias": [True, False],
        "zoneout": [0.0, 0.25],
        "weights": ["float32", "int8"],
        "weights_in": ["source", "binary"],
    },
    strength=1,
)
def test_every_cell(
    tmp_path: Path, cell: Cell, hidden: int, bias: bool, zoneout: float, weights: str, weights_in: str
) -> None:
    layer = layer_of(cell, hidden, bias=bias, zoneout=zoneout)
    check = export_c(layer, tmp_path, "cell", weights, weights_in, steps=200).check
    assert check.compiler
    assert check.steps == 200


@pytest.mark.slow
@pytest.mark.parametrize("cell", FIRST_USE, ids=str)
def test_cells_that_are_compiled_at_first_use(tmp_path: Path, cell: Cell) -> None:
    assert export_c(layer_of(cell, 19), tmp_path, "cell", steps=200).check.compiler


def can_project(cell: Cell) -> bool:
    try:
        Recurrent(cell, 5, 17, proj_size=3)
    except ParameterError:
        return False
    return True


@covering.parametrize(
    {"cell": [cell for cell in CELLS if can_project(cell)], "weights": ["float32", "int8"], "zoneout": [0.0, 0.25]},
    strength=1,
    traits={"cell": traits},
)
def test_projected_outputs_and_layers(tmp_path: Path, cell: Cell, weights: str, zoneout: float) -> None:
    layer = layer_of(cell, 17, proj_size=3, num_layers=2, zoneout=zoneout)
    assert export_c(layer, tmp_path, "cell", weights, steps=200).check.compiler


@pytest.mark.parametrize(
    "cell", [LSTM(), GRU(), GRUResetBefore(), LayerNormLSTM(), SLSTM(heads=2), ThreeParts()], ids=str
)
def test_ten_thousand_steps(tmp_path: Path, cell: Cell) -> None:
    check = export_c(layer_of(cell, 16), tmp_path, "cell").check
    assert check.steps == 10_000
    assert check.largest <= 1e-5


def test_equations_stay_readable(tmp_path: Path) -> None:
    export_c(layer_of(LSTM(), 16), tmp_path, "cell", steps=10)
    text = (tmp_path / "cell.c").read_text()
    assert "const float after_c = s_c * sigmoid(u_f) + sigmoid(u_i) * tanh_of(u_g);" in text
    assert "lstm_update(16, v0, state->h_l0, state->c_l0);" in text
    assert "softplus" not in text, "a function that is not used is not written"


def test_layers_of_one_cell_share_its_function(tmp_path: Path) -> None:
    export_c(layer_of(GRU(), 16, num_layers=3), tmp_path, "cell", steps=10)
    text = (tmp_path / "cell.c").read_text()
    assert text.count("static inline void gru_update") == 1
    assert text.count("    gru_update(16, ") == 3
