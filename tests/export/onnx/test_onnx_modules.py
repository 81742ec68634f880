"""Modules of a user's own as ONNX: what torch.fx traces, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
from onnx_graph import run_file
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import recurra
from agreement import assert_agree
from recurra import cells
from recurra.errors import ExportError, ParameterError
from recurra.export.onnx import export_onnx


class ConvolutionsAndTwoLayers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(3, 6, 3, padding=1)
        self.normalization = nn.BatchNorm1d(6)
        self.backward_too = nn.GRU(6, 5, batch_first=True, bidirectional=True)
        self.second = recurra.Recurrent(cells.SRU(), 10, 4, batch_first=True)
        self.head = nn.Sequential(nn.Linear(14, 8), nn.Dropout(0.5), nn.SiLU(), nn.LayerNorm(8), nn.Linear(8, 3))
        self.scale = nn.Parameter(torch.rand(3))

    def forward(self, x: Tensor, state: Any = None, lengths: Tensor | None = None) -> Any:
        y = torch.relu(self.normalization(self.convolution(x.transpose(1, 2)))).permute(0, 2, 1)
        a, _ = self.backward_too(y)
        b, after = self.second(a, state, lengths=lengths)
        z = self.head(torch.cat([a, b], -1)) * self.scale + 1
        return {"logs": z.log_softmax(-1), "mean": z.mean(1), "last": b[:, -1], "state": after, "first": z[:, None, 0]}


def test_a_module_with_everything(tmp_path: Path) -> None:
    model = ConvolutionsAndTwoLayers().eval()
    found = export_onnx(model, tmp_path / "model.onnx")
    assert list(found.inputs) == ["input", "lengths", "backward_too.h_0", "second.h_0", "second.c_0"]
    x, lengths = torch.randn(4, 6, 3), torch.tensor([6, 0, 2, 6])
    first, h, c = torch.zeros(2, 4, 5), torch.randn(1, 4, 4), torch.randn(1, 4, 4)
    states = {"backward_too.h_0": first, "second.h_0": h, "second.c_0": c}
    actual = run_file(tmp_path / "model.onnx", {"input": x, "lengths": lengths, **states})
    with torch.no_grad():
        expected = model(x, (h, c), lengths)
    names = ["output", "output_1", "output_2", "output_3"]
    assert_agree([actual[name] for name in names], [expected[key] for key in ("logs", "mean", "last", "first")])
    assert_agree([actual["second.h_n"], actual["second.c_n"]], list(expected["state"]))


class EncoderDecoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(9, 4)
        self.encoder = nn.LSTM(4, 5, 2)
        self.decoder = recurra.LSTM(4, 5, 2)
        self.logits = nn.Linear(5, 9)

    def forward(self, symbols: Tensor) -> Tensor:
        embedded = self.embedding(symbols)
        _, state = self.encoder(embedded)
        return self.logits(self.decoder(embedded, state)[0])


def test_a_state_that_the_model_passes_on(tmp_path: Path) -> None:
    model = EncoderDecoder().eval()
    found = export_onnx(model, tmp_path / "model.onnx", lengths=False)
    assert list(found.inputs) == ["input", "encoder.h_0", "encoder.c_0"]
    symbols = torch.randint(0, 9, (7, 2))
    zeros = torch.zeros(2, 2, 5)
    inputs = {"input": symbols, "encoder.h_0": zeros, "encoder.c_0": zeros}
    with torch.no_grad():
        assert_agree(run_file(tmp_path / "model.onnx", inputs)["output"], model(symbols))


class PacksItsInput(nn.Module):
    def __init__(self, batch_first: bool, enforce_sorted: bool) -> None:
        super().__init__()
        self.batch_first = batch_first
        self.enforce_sorted = enforce_sorted
        self.first = nn.GRU(3, 4, 2, batch_first=batch_first, bidirectional=True)
        self.second = recurra.LSTM(8, 4, proj_size=2, batch_first=batch_first)
        self.head = nn.Linear(10, 2)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        packed = pack_padded_sequence(x, lengths.cpu(), self.batch_first, enforce_sorted=self.enforce_sorted)
        first, state = self.first(packed)
        second, _ = self.second(first)
        a, _ = nn.utils.rnn.pad_packed_sequence(first, batch_first=self.batch_first)
        b, _ = pad_packed_sequence(second, self.batch_first)
        return self.head(torch.cat((a, b), 2)), state[-1]


@pytest.mark.parametrize(("batch_first", "enforce_sorted"), [(True, False), (False, True)])
def test_packed_sequences(batch_first: bool, enforce_sorted: bool, tmp_path: Path) -> None:
    model = PacksItsInput(batch_first, enforce_sorted).eval()
    export_onnx(model, tmp_path / "model.onnx", states=False)
    lengths = torch.tensor([7, 4, 2] if enforce_sorted else [2, 7, 4])
    x = torch.randn(3, 7, 3) if batch_first else torch.randn(7, 3, 3)
    with torch.no_grad():
        expected, last = model(x, lengths)
    actual = run_file(tmp_path / "model.onnx", {"input": x, "lengths": lengths})
    assert_agree([actual["output"], actual["output_1"]], [expected, last])


class OneFunction(nn.Module):
    """A layer, and a function of its output (T, B, H)."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.layer = nn.GRU(3, 4)
        self.weight = nn.Parameter(torch.randn(5, 4))
        self._function = function

    def forward(self, x: Tensor) -> Any:
        return self._function(self, self.layer(x)[0])


FUNCTIONS: dict[str, Any] = {
    "arithmetic": lambda m, y: (1 - y) * y / 2 + -y - torch.exp(y) * y.abs(),
    "add": lambda m, y: torch.add(y, y).mul(y).sub(1.0).div(2.0),
    "sqrt": lambda m, y: torch.sqrt(y.sigmoid()) + functional.softplus(y).log(),
    "silu": lambda m, y: functional.silu(y) + functional.relu(y) + functional.dropout(y, training=False),
    "softmax": lambda m, y: functional.softmax(y, dim=0) + torch.log_softmax(y, 1) + y.softmax(dim=-1),
    "sum": lambda m, y: y.sum(0) + y.sum(dim=0, keepdim=True)[0] + torch.amax(y, 0) + y.amin(dim=0),
    "mean": lambda m, y: y.mean(dim=-1, keepdim=True),
    "matmul": lambda m, y: y @ m.weight.transpose(0, 1) + functional.linear(y, m.weight, m.weight[:, 0]),
    "bmm": lambda m, y: torch.bmm(y, y.transpose(-1, -2)),
    "cat": lambda m, y: torch.cat([y[:1], y, y[-2:-1]]),
    "stack": lambda m, y: torch.stack([y, y * 2], dim=1).flatten(2),
    "index": lambda m, y: (y[-1, ..., 1:3], y[..., None, 0], y[::2, 0], y[1:, :, -1:]),
    "squeeze": lambda m, y: y[:, :, :1].squeeze(-1).unsqueeze(0) + y[:1, :, 2:].sum(-1).squeeze(1),
    "zeros": lambda m, y: torch.zeros_like(y) + y.contiguous().clone(),
    "flatten": lambda m, y: (y.flatten(), torch.flatten(y, 0, 1)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str, tmp_path: Path) -> None:
    model = OneFunction(FUNCTIONS[name]).eval()
    export_onnx(model, tmp_path / "model.onnx", states=False)
    x = torch.randn(6, 3, 3)
    with torch.no_grad():
        expected = model(x)
    expected = list(expected) if isinstance(expected, tuple) else [expected]
    actual = run_file(tmp_path / "model.onnx", {"input": x})
    assert_agree(list(actual.values()), expected)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda m, y: torch.cumsum(y, 0), "cumsum has no form in ONNX here. Known are recurrent layers"),
        (lambda m, y: y.mean(), "mean without one dimension `dim` has no form"),
        (lambda m, y: y[y > 0], "gt has no form"),
        (lambda m, y: y if y.sum() > 0 else -y, "OneFunction.forward: torch.fx cannot trace it"),
        (lambda m, y: y.squeeze(), "squeeze without `dim`"),
        (lambda m, y: m.layer(y[..., :3])[0], "layer: it runs twice from an initial state of its own"),
        (lambda m, y: m.layer(y)[0], r"layer: expected \(B, T, I\) or \(T, B, I\) with I = 3"),
        (lambda m, y: torch.cat([y, y[0]]), "Concat: shapes that do not fit"),
        (lambda m, y: None, "the model: expected a tensor as its result"),
    ],
)
def test_what_has_no_form(function: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=message):
        export_onnx(OneFunction(function), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_layer_that_runs_twice_from_zeros(tmp_path: Path) -> None:
    model = OneFunction(lambda m, y: m.layer(y[..., :3])[0]).eval()
    export_onnx(model, tmp_path / "model.onnx", states=False)
    x = torch.randn(6, 3, 3)
    with torch.no_grad():
        assert_agree(run_file(tmp_path / "model.onnx", {"input": x})["output"], model(x))


class ScalesFirst(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.GRU(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(torch.cat([x, x * 2], dim=2))[0][-1]


def test_the_features_of_an_input_that_no_module_reads(tmp_path: Path) -> None:
    found = export_onnx(ScalesFirst(), tmp_path / "model.onnx", input_size=3)
    assert found.inputs["input"] == ("time", "batch", 3)
    with pytest.raises(ExportError, match="with I = 6"):
        export_onnx(ScalesFirst(), tmp_path / "other.onnx")


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Sequential(nn.Linear(3, 4), nn.Tanh()), "expected a recurrent layer in it, got none"),
        (nn.Sequential(nn.GRU(3, 4), nn.Linear(4, 2)), "1: expected a tensor, got a"),
    ],
)
def test_modules_that_are_refused(module: nn.Module, message: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=message):
        export_onnx(module, tmp_path / "model.onnx")


def test_wrong_arguments(tmp_path: Path) -> None:
    layer = nn.LSTM(3, 4)
    not_a_module: Any = "model"
    with pytest.raises(ParameterError, match=r"model: expected a torch\.nn\.Module"):
        export_onnx(not_a_module, tmp_path / "model.onnx")
    with pytest.raises(ParameterError, match="input_size: expected 3"):
        export_onnx(layer, tmp_path / "model.onnx", input_size=4)
    with pytest.raises(ParameterError, match=r"metadata: expected names that do not begin with 'recurra\.'"):
        export_onnx(layer, tmp_path / "model.onnx", metadata={"recurra.states": 1})
    with pytest.raises(ParameterError, match="metadata: expected what JSON holds for 'labels'"):
        export_onnx(layer, tmp_path / "model.onnx", metadata={"labels": {1, 2}})
    assert not list(tmp_path.iterdir())
