"""The comparison at every export: what it says, and that a failed one writes nothing."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from onnx_graph import operators
from torch import nn

from recurra import LSTM, Recurrent, cells
from recurra.errors import ExportError, RunError
from recurra.export.onnx import Check, equations, export_onnx
from recurra.export.onnx import operators as onnx_operators
from recurra.export.onnx.graph import Graph


def test_the_report(tmp_path: Path) -> None:
    found = export_onnx(LSTM(3, 4, 2, batch_first=True), tmp_path / "layer.onnx")
    lines = str(found).splitlines()
    assert lines[0] == f"{tmp_path / 'layer.onnx'}: ONNX opset 17, {(tmp_path / 'layer.onnx').stat().st_size:,} bytes"
    assert lines[1:5] == [
        "  input input (batch, time, 3)",
        "  input lengths (batch)",
        "  input h_0 (2, batch, 4)",
        "  input c_0 (2, batch, 4)",
    ]
    assert lines[5:8] == [
        "  output output (batch, time, 4)",
        "  output h_n (2, batch, 4)",
        "  output c_n (2, batch, 4)",
    ]
    expected = [
        "1 sequence of 7 steps (lengths 7)",
        "5 sequences of 11 steps (lengths 11, 0, 1,",
        "2 sequences of 1 step",
    ]
    for line, words in zip(lines[8:], expected, strict=True):
        assert line.startswith(f"  checked: {words}")
    assert all(check.difference <= check.allowed for check in found.checks)


def test_a_check_in_words() -> None:
    check = Check(2, 1, (), "h_n", 1.23e-7, 2e-5)
    assert str(check) == "2 sequences of 1 step: largest relative difference 1.2e-07 in h_n, allowed 2e-05"


SWAPPED = onnx_operators.Operator("LSTM", (0, 1, 2, 3), {})
WRONG = {
    "the order of the gates": (onnx_operators, "_OPERATORS", {cells.LSTM(): SWAPPED}),
    "an equation": (equations, "_OPERATORS", equations._OPERATORS | {"sigmoid": "Tanh"}),
    "an operator of another kind": (equations, "_OPERATORS", equations._OPERATORS | {"sigmoid": "Det"}),
}


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize("before", [None, b"as it was"])
def test_a_wrong_graph_is_not_written(
    what: str, before: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, name, value = WRONG[what]
    monkeypatch.setattr(module, name, value)
    path = tmp_path / "layer.onnx"
    if before is not None:
        path.write_bytes(before)
    layer = LSTM(3, 4) if module is onnx_operators else Recurrent(cells.MGU(), 3, 4)
    with pytest.raises(ExportError, match=r"nothing is written|shapes that do not fit"):
        export_onnx(layer, path)
    assert (path.read_bytes() if path.exists() else None) == before
    assert len(list(tmp_path.iterdir())) == (before is not None)


def test_states_that_are_not_passed_on_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add = onnx_operators.add_operator

    def forgetful(graph: Graph, operator: Any, directions: Any, inputs: Any, state: Any, lengths: Any) -> Any:
        output, _ = add(graph, operator, directions, inputs, state, lengths)
        return output, list(state)

    monkeypatch.setattr("recurra.export.onnx.recurrent.add_operator", forgetful)
    with pytest.raises(ExportError, match=r"differ: .* in [hc]_n, allowed 2e-05; nothing is written"):
        export_onnx(LSTM(3, 4), tmp_path / "layer.onnx")


def test_a_model_that_fails_by_itself(tmp_path: Path) -> None:
    class Fails(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.GRU(3, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x)[0].view_as_nothing()  # pyright: ignore[reportCallIssue]

    with pytest.raises(ExportError, match="view_as_nothing has no form"):
        export_onnx(Fails(), tmp_path / "model.onnx")


def test_rounding_that_a_network_amplifies_is_allowed(tmp_path: Path) -> None:
    layer = Recurrent(cells.LayerNormLSTM(), 16, 64, 2)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(4)
    found = export_onnx(layer, tmp_path / "layer.onnx")
    assert max(check.allowed for check in found.checks) > 2e-5
    assert all(check.difference < check.allowed <= 1e-2 for check in found.checks)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot be written"):
        export_onnx(nn.GRU(3, 4), tmp_path / "nowhere" / "layer.onnx")


def test_a_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "layer.onnx"
    export_onnx(nn.GRU(3, 4), path)
    export_onnx(nn.LSTM(3, 4), str(path))
    assert "LSTM" in operators(path)
    assert "GRU" not in operators(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_without_the_extra(package: str) -> None:
    script = (
        f"import sys\nsys.modules[{package!r}] = None\n"
        "try:\n    import recurra.export.onnx\nexcept ImportError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "an ONNX export needs onnx and onnxruntime: pip install 'recurra[onnx]'\n", done.stderr
