"""Recurrent layers and cells as ONNX: any cell, direction, depth, projection, layout, lengths and state."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from onnx_graph import Session, operators, run_file
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import covering
from agreement import assert_agree
from every_cell import CELLS, EVERY_CELL, KINDS, WITH_PRODUCTS, fitting
from recurra import LSTM, Recurrent, RecurrentCell, cells
from recurra.cells import Cell
from recurra.errors import ParameterError
from recurra.export.onnx import export_onnx

STANDARD = {
    cells.LSTM(): "LSTM",
    cells.GRU(): "GRU",
    cells.GRUResetBefore(): "GRU",
    cells.Elman(): "RNN",
    cells.Elman("relu"): "RNN",
    cells.Elman("sigmoid"): "RNN",
}


def projects(cell: Cell) -> bool:
    """Whether the cell can have a `proj_size`."""
    try:
        Recurrent(cell, 2, fitting(cell, 4), proj_size=2)
    except ParameterError:
        return False
    return True


def state_of(layer: Any, *leading: int) -> dict[str, Tensor]:
    """A random initial state by name of the graph's inputs."""
    sizes = [layer.proj_size or layer.hidden_size, *[layer.hidden_size] * (len(layer.cell.state) - 1)]
    return {f"{part}_0": torch.randn(*leading, size) for part, size in zip(layer.cell.state, sizes, strict=True)}


def as_hx(state: dict[str, Tensor]) -> Any:
    parts = list(state.values())
    return tuple(parts) if len(parts) > 1 else parts[0]


@covering.parametrize(
    {
        "cell": CELLS,
        "bidirectional": [False, True],
        "num_layers": [1, 2],
        "projected": [False, True],
        "bias": [True, False],
        "batch_first": [False, True],
        "with_lengths": [True, False],
        "with_states": [True, False],
        "zoneout": [0.0, 0.25],
    },
    where=lambda cell, bidirectional, num_layers, projected, *others: not projected or projects(cell),
)
def test_layers(
    cell: Cell,
    bidirectional: bool,
    num_layers: int,
    projected: bool,
    bias: bool,
    batch_first: bool,
    with_lengths: bool,
    with_states: bool,
    zoneout: float,
    tmp_path: Path,
) -> None:
    layer = Recurrent(
        cell,
        3,
        fitting(cell, 5),
        num_layers,
        bias,
        batch_first,
        bidirectional=bidirectional,
        proj_size=2 * projected,
        zoneout=zoneout,
    ).eval()
    path = tmp_path / "layer.onnx"
    export_onnx(layer, path, lengths=with_lengths, states=with_states)
    lengths = [4, 0, 9, 1] if with_lengths else None
    x = torch.randn(4, 9, 3) if batch_first else torch.randn(9, 4, 3)
    state = state_of(layer, (1 + bidirectional) * num_layers, 4) if with_states else {}
    with torch.no_grad():
        expected, final = layer(x, as_hx(state) if state else None, lengths)
    inputs = {"input": x, **state}
    if lengths is not None:
        inputs["lengths"] = torch.tensor(lengths)
    actual = run_file(path, inputs)
    assert_agree(actual.pop("output"), expected)
    if with_states:
        finals = final if isinstance(final, tuple) else (final,)
        assert_agree([actual.pop(f"{part}_n") for part in cell.state], list(finals))
    assert actual == {}
    standard = cell in STANDARD and not layer.proj_size and not zoneout
    assert ("Scan" in operators(path)) == (not standard)
    assert not standard or operators(path).count(STANDARD[cell]) == num_layers


@pytest.mark.parametrize("cell", WITH_PRODUCTS, ids=str)
def test_products_of_a_cell_s_own(cell: Cell, tmp_path: Path) -> None:
    layer, x = Recurrent(cell, 3, 5, 2, bidirectional=True).eval(), torch.randn(9, 4, 3)
    export_onnx(layer, tmp_path / "layer.onnx", lengths=True, states=False)
    actual = run_file(tmp_path / "layer.onnx", {"input": x, "lengths": torch.tensor([4, 0, 9, 1])})
    with torch.no_grad():
        assert_agree(actual["output"], layer(x, lengths=[4, 0, 9, 1])[0])


@pytest.mark.parametrize("cell", [*EVERY_CELL, *WITH_PRODUCTS], ids=str)
@pytest.mark.parametrize("zoneout", [0.0, 0.5])
def test_single_steps(cell: Cell, zoneout: float, tmp_path: Path) -> None:
    step = RecurrentCell(cell, 3, fitting(cell, 6), zoneout=zoneout).eval()
    state = state_of(step, 4)
    x = torch.randn(4, 3)
    export_onnx(step, tmp_path / "step.onnx")
    actual = run_file(tmp_path / "step.onnx", {"input": x, **state})
    with torch.no_grad():
        after = step(x, as_hx(state))
    parts = list(after) if isinstance(after, tuple) else [after]
    assert_agree([actual[f"{part}_n"] for part in cell.state], parts)
    assert_agree(actual["output"], parts[0])
    assert "Scan" not in operators(tmp_path / "step.onnx")


@pytest.mark.parametrize(
    "module",
    [
        nn.LSTM(3, 5, 2, bidirectional=True),
        nn.LSTM(3, 5, proj_size=2, bidirectional=True, batch_first=True),
        nn.GRU(3, 5, 2, bias=False, batch_first=True),
        nn.GRU(3, 5, bidirectional=True, dropout=0.5, num_layers=2),
        nn.RNN(3, 5, nonlinearity="relu"),
        nn.RNN(3, 5, bidirectional=True),
    ],
    ids=str,
)
def test_torch_layers_against_torch_itself(module: Any, tmp_path: Path) -> None:
    first = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    export_onnx(module, tmp_path / "layer.onnx")
    assert type(module) in (nn.LSTM, nn.GRU, nn.RNN)
    assert module.training
    assert_agree(list(module.state_dict().values()), list(first.values()))
    count = module.num_layers * (2 if module.bidirectional else 1)
    names = ["h", "c"] if isinstance(module, nn.LSTM) else ["h"]
    sizes = [module.proj_size or module.hidden_size, module.hidden_size]
    state = {f"{name}_0": torch.randn(count, 4, size) for name, size in zip(names, sizes, strict=False)}
    lengths = torch.tensor([8, 1, 3, 5])
    x = torch.randn(4, 8, 3) if module.batch_first else torch.randn(8, 4, 3)
    packed = pack_padded_sequence(x, lengths, module.batch_first, enforce_sorted=False)
    with torch.no_grad():
        output, final = module.eval()(packed, as_hx(state))
    expected, _ = pad_packed_sequence(output, module.batch_first)
    actual = run_file(tmp_path / "layer.onnx", {"input": x, "lengths": lengths, **state})
    assert_agree(actual["output"], expected)
    finals = list(final) if isinstance(final, tuple) else [final]
    assert_agree([actual[f"{name}_n"] for name in names], finals)
    assert "Scan" not in operators(tmp_path / "layer.onnx") or module.proj_size


@pytest.mark.parametrize(
    "module", [nn.LSTMCell(3, 5), nn.GRUCell(3, 5), nn.RNNCell(3, 5, nonlinearity="relu")], ids=str
)
def test_torch_cells_against_torch_itself(module: Any, tmp_path: Path) -> None:
    export_onnx(module, tmp_path / "cell.onnx")
    names = ["h", "c"] if isinstance(module, nn.LSTMCell) else ["h"]
    state = {f"{name}_0": torch.randn(4, 5) for name in names}
    x = torch.randn(4, 3)
    with torch.no_grad():
        after = module(x, as_hx(state))
    actual = run_file(tmp_path / "cell.onnx", {"input": x, **state})
    assert_agree([actual[f"{name}_n"] for name in names], list(after) if isinstance(after, tuple) else [after])


@pytest.fixture(scope="module", params=[cells.LSTM(), cells.GRU(), cells.SLSTM(2), cells.MGU()], ids=str)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Recurrent, Session]:
    torch.manual_seed(20)
    layer = Recurrent(request.param, 2, 4, 2, bidirectional=True, batch_first=True).eval()
    path = tmp_path_factory.mktemp("exported") / "layer.onnx"
    export_onnx(layer, path)
    return layer, Session(path)


@given(lengths=st.lists(st.integers(0, 6), min_size=1, max_size=4), more=st.integers(0, 2))
def test_a_sequence_gets_in_a_batch_what_it_gets_alone(
    exported: tuple[Recurrent, Session], lengths: list[int], more: int
) -> None:
    layer, session = exported
    cell, steps = layer.cell, max(*lengths, 1) + more  # ONNX Runtime's Scan runs one step at least
    x = torch.randn(len(lengths), steps, 2)
    for row, length in enumerate(lengths):
        x[row, length:] = torch.nan  # padding is never read
    state = state_of(layer, 4, len(lengths))
    actual = session({"input": x, "lengths": torch.tensor(lengths), **state})
    for row, length in enumerate(lengths):
        own = {name: part[:, row : row + 1] for name, part in state.items()}
        assert not actual["output"][row, length:].any()
        if not length:
            assert_agree(
                [actual[f"{part}_n"][:, row] for part in cell.state], [own[f"{p}_0"][:, 0] for p in cell.state]
            )
            continue
        with torch.no_grad():
            output, final = layer(x[row : row + 1, :length], as_hx(own))
        assert_agree(actual["output"][row, :length], output[0])
        finals = final if isinstance(final, tuple) else (final,)
        assert_agree([actual[f"{part}_n"][:, row] for part in cell.state], [part[:, 0] for part in finals])


@pytest.mark.parametrize("cell", KINDS, ids=str)
def test_chunks_that_pass_the_state_on_are_the_sequence(cell: Cell, tmp_path: Path) -> None:
    layer = Recurrent(cell, 3, fitting(cell, 4), 2).eval()
    export_onnx(layer, tmp_path / "layer.onnx", lengths=False)
    session = Session(tmp_path / "layer.onnx")
    x = torch.randn(10, 2, 3)
    state = {name: torch.zeros_like(part) for name, part in state_of(layer, 2, 2).items()}
    outputs = []
    for first, last in pairwise([0, 1, 5, 6, 10]):
        found = session({"input": x[first:last], **state})
        outputs.append(found["output"])
        state = {f"{part}_0": found[f"{part}_n"] for part in cell.state}
    with torch.no_grad():
        assert_agree(torch.cat(outputs), layer(x)[0])


def test_equal_constants_are_stored_once(tmp_path: Path) -> None:
    layer = LSTM(16, 16, proj_size=8)
    small = export_onnx(layer, tmp_path / "small.onnx").size
    twice = LSTM(16, 16, proj_size=8, bidirectional=True)
    twice.load_state_dict({name: layer.state_dict()[name.removesuffix("_reverse")] for name in twice.state_dict()})
    assert export_onnx(twice, tmp_path / "twice.onnx").size < 1.6 * small


def test_half_precision_is_written_as_float32(tmp_path: Path) -> None:
    layer = LSTM(3, 4, dtype=torch.bfloat16)
    export_onnx(layer, tmp_path / "layer.onnx", states=False, lengths=False)
    x = torch.randn(5, 2, 3)
    with torch.no_grad():
        expected = LSTM(3, 4)
        expected.load_state_dict(layer.state_dict())
        assert_agree(run_file(tmp_path / "layer.onnx", {"input": x})["output"], expected(x)[0])
    assert layer.weight_ih_l0.dtype == torch.bfloat16
