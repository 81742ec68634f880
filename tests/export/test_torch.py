"""Models as TorchScript: any cell at sizes that were never traced, in Python and in C++."""

import json
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import covering
import recurra
from agreement import assert_agree
from every_cell import CELLS, EVERY_CELL, KINDS, WITH_PRODUCTS, fitting, traits
from recurra import LSTM, Recurrent, RecurrentCell, cells
from recurra.cells import Cell
from recurra.errors import ExportError, ParameterError
from recurra.export.torch_script import export_torch
from recurra.models import (
    CharacterEncoder,
    LinearChainCRF,
    RecurrentLanguageModel,
    SequenceClassifier,
    SequenceTagger,
    Tokens,
)

# torch.jit.load says that it is deprecated; C++ has no other way to load a model whose length varies.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.load` is deprecated:DeprecationWarning")


def load(path: Path) -> Any:
    return torch.jit.load(str(path))


def run_file(path: Path, *tensors: Tensor) -> list[Tensor]:
    with torch.no_grad():
        return list(load(path)(*tensors))


def state_of(layer: Any, *leading: int) -> list[Tensor]:
    sizes = [layer.proj_size or layer.hidden_size, *[layer.hidden_size] * (len(layer.cell.state) - 1)]
    return [torch.randn(*leading, size) for size in sizes]


def as_hx(state: list[Tensor]) -> Any:
    return tuple(state) if len(state) > 1 else state[0]


def parts(state: Any) -> list[Tensor]:
    return list(state) if isinstance(state, tuple) else [state]


@covering.parametrize(
    {
        "cell": CELLS,
        "bidirectional": [False, True],
        "num_layers": [1, 2],
        "bias": [True, False],
        "batch_first": [False, True],
        "with_lengths": [False, True],
        "zoneout": [0.0, 0.25],
    },
    traits={"cell": traits},
)
def test_layers(
    cell: Cell,
    bidirectional: bool,
    num_layers: int,
    bias: bool,
    batch_first: bool,
    with_lengths: bool,
    zoneout: float,
    tmp_path: Path,
) -> None:
    layer = Recurrent(
        cell, 3, fitting(cell, 5), num_layers, bias, batch_first, bidirectional=bidirectional, zoneout=zoneout
    ).eval()
    found = export_torch(layer, tmp_path / "layer.pt", lengths=with_lengths)
    assert found.inputs == ("input", *["lengths"] * with_lengths, *(f"{part}_0" for part in cell.state))
    assert found.outputs == ("output", *(f"{part}_n" for part in cell.state))
    lengths = [torch.tensor([4, 0, 9, 1])] if with_lengths else []
    x = torch.randn(4, 9, 3) if batch_first else torch.randn(9, 4, 3)
    state = state_of(layer, (1 + bidirectional) * num_layers, 4)
    with torch.no_grad():
        expected, final = layer(x, as_hx(state), *lengths)
    assert_agree(run_file(tmp_path / "layer.pt", x, *lengths, *state), [expected, *parts(final)])


@pytest.mark.parametrize("cell", [*EVERY_CELL, *WITH_PRODUCTS], ids=str)
def test_single_steps(cell: Cell, tmp_path: Path) -> None:
    step = RecurrentCell(cell, 3, fitting(cell, 6), zoneout=0.25).eval()
    export_torch(step, tmp_path / "step.pt")
    x, state = torch.randn(4, 3), state_of(step, 4)
    with torch.no_grad():
        after = parts(step(x, as_hx(state)))
    assert_agree(run_file(tmp_path / "step.pt", x, *state), [after[0], *after])


@pytest.mark.parametrize(
    "module", [nn.LSTM(3, 5, 2, bidirectional=True), nn.GRU(3, 5, bias=False), nn.RNN(3, 5), nn.LSTM(3, 5, proj_size=2)]
)
@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")
def test_torch_layers_against_torch_itself(module: Any, tmp_path: Path) -> None:
    export_torch(module, tmp_path / "layer.pt")
    assert type(module) in (nn.LSTM, nn.GRU, nn.RNN)
    count = module.num_layers * (2 if module.bidirectional else 1)
    state = [torch.randn(count, 4, size) for size in (module.proj_size or 5, 5)][: 1 + isinstance(module, nn.LSTM)]
    x = torch.randn(8, 4, 3)
    with torch.no_grad():
        expected, final = module(x, as_hx(state))
    assert_agree(run_file(tmp_path / "layer.pt", x, *state), [expected, *parts(final)])
    graph = str(load(tmp_path / "layer.pt").inlined_graph)
    assert any(f"aten::{name}(" in graph for name in ("lstm", "gru", "rnn_tanh")) == (not module.proj_size)


@pytest.fixture(scope="module")
def ragged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recurrent, Path]:
    torch.manual_seed(20)
    layer = Recurrent(cells.MGU(), 2, 4, 2, bidirectional=True, batch_first=True).eval()
    path = tmp_path_factory.mktemp("ragged") / "layer.pt"
    export_torch(layer, path, lengths=True)
    return layer, path


@given(lengths=st.lists(st.integers(0, 6), min_size=1, max_size=4), more=st.integers(0, 2))
@settings(max_examples=20)
def test_a_sequence_gets_in_a_batch_what_it_gets_alone(
    ragged: tuple[Recurrent, Path], lengths: list[int], more: int
) -> None:
    layer, path = ragged
    x = torch.randn(len(lengths), max(*lengths, 0) + more, 2)
    for row, length in enumerate(lengths):
        x[row, length:] = torch.nan  # padding is never read
    state = torch.randn(4, len(lengths), 4)
    output, final = run_file(path, x, torch.tensor(lengths), state)
    for row, length in enumerate(lengths):
        assert not output[row, length:].any()
        with torch.no_grad():
            expected, last = layer(x[row : row + 1, :length], state[:, row : row + 1])
        assert_agree([output[row, :length], final[:, row]], [expected[0], last[:, 0]])


@pytest.mark.parametrize("cell", KINDS, ids=str)
def test_chunks_that_pass_the_state_on_are_the_sequence(cell: Cell, tmp_path: Path) -> None:
    layer = Recurrent(cell, 3, fitting(cell, 4), 2).eval()
    export_torch(layer, tmp_path / "layer.pt")
    script = load(tmp_path / "layer.pt")
    x = torch.randn(10, 2, 3)
    state = [torch.zeros_like(part) for part in state_of(layer, 2, 2)]
    outputs = []
    with torch.no_grad():
        for first, last in pairwise([0, 1, 5, 6, 10]):
            output, *state = script(x[first:last], *state)
            outputs.append(output)
        assert_agree(torch.cat(outputs), layer(x)[0])


@pytest.mark.parametrize("options", [{}, {"tied": True}, {"cutoffs": (3, 9)}])
@pytest.mark.parametrize("with_lengths", [False, True])
def test_language_models(options: Any, with_lengths: bool, tmp_path: Path) -> None:
    model = RecurrentLanguageModel(cells.MGU(), 20, 6, 16, **options).eval()
    found = export_torch(model, tmp_path / "lm.pt", lengths=with_lengths)
    assert found.outputs == ("log_probabilities", "recurrent.h_n")
    symbols, state = torch.randint(0, 20, (3, 8)), torch.randn(1, 3, 16)
    lengths = [torch.tensor([8, 8, 8])] * with_lengths
    with torch.no_grad():
        features, final = model(symbols, state)
        expected = model.log_probabilities(features)
    assert_agree(run_file(tmp_path / "lm.pt", symbols, *lengths, state), [expected, final])


@pytest.mark.parametrize("pooling", ["last", ("max", "mean", "attention")])
@pytest.mark.parametrize("with_lengths", [False, True])
@pytest.mark.parametrize("filters", [0, 4])
def test_classifiers(pooling: Any, with_lengths: bool, filters: int, tmp_path: Path) -> None:
    model = SequenceClassifier(cells.GRU(), 4, 5, 3, pooling=pooling, filters=filters, stride=2).eval()
    export_torch(model, tmp_path / "model.pt", example=torch.randn(2, 3, 4), lengths=with_lengths)
    x, zeros = torch.randn(4, 9, 4), torch.zeros(2, 4, 5)
    lengths = [torch.tensor([0, 9, 1, 4])] * with_lengths
    with torch.no_grad():
        expected, final = model(x, *lengths)
    assert_agree(run_file(tmp_path / "model.pt", x, *lengths, zeros), [expected, final])


@covering.parametrize(
    {
        "cell": [cells.LSTM(), cells.MGU()],
        "kind": ["recurrent", "convolution", None],
        "vectors": [0, 3],
        "joint": [True, False],
        "bidirectional": [True, False],
        "num_layers": [1, 2],
    }
)
def test_taggers(
    cell: Cell, kind: Any, vectors: int, joint: bool, bidirectional: bool, num_layers: int, tmp_path: Path
) -> None:
    characters = None if kind is None else CharacterEncoder(kind, 12, 4, 3, cell)
    tags = LinearChainCRF(5, ~torch.eye(5, dtype=torch.bool)) if joint else 5
    model = SequenceTagger(cell, 30, 5, 6, tags, num_layers, characters, vectors, bidirectional=bidirectional).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    made = export_torch(model, tmp_path / "tagger.pt")
    script = load(tmp_path / "tagger.pt")
    directions = num_layers * (1 + bidirectional)
    for batch, steps, words in ((5, 9, 4), (1, 2, 1), (3, 1, 7)):
        ids = torch.randint(0, 30, (batch, steps))
        inputs = {"words": ids, "lengths": torch.tensor([steps, 0, 1, steps // 2, steps])[:batch]}
        if vectors:
            inputs["vectors"] = torch.randn(batch, steps, vectors)
        if kind is not None:
            inputs["characters"] = torch.randint(0, 12, (words, 6))
            inputs["character_lengths"] = torch.tensor([6, 1, 0, 3, 6, 2, 4])[:words]
            inputs["spellings"] = torch.randint(0, words, (batch, steps))
        states = tuple(f"recurrent.{part}_0" for part in cell.state)
        assert made.inputs == (*inputs, *states)
        assert made.outputs == ("emissions", "tags", *(name.replace("_0", "_n") for name in states))
        zeros = [torch.zeros(directions, batch, 6) for _ in states]
        others = {"characters": ids[:0], "character_lengths": ids[0, :0], "spellings": ids}
        with torch.no_grad():
            emissions, tags, *_ = script(*inputs.values(), *zeros)
            chain, _ = model(Tokens(**{**others, **inputs}))
        assert_agree(emissions, chain.emissions)
        assert tags.tolist() == chain.best().tolist()


class TwoLayers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(9, 3)
        self.first = nn.GRU(3, 4, batch_first=True)
        self.second = recurra.Recurrent(cells.SRU(), 4, 5, batch_first=True)
        self.head = nn.Linear(5, 2)

    def forward(self, ids: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        first, state = self.first(self.embedding(ids))
        second, _ = self.second(first, lengths=lengths)
        return self.head(second).cumsum(1), state


@pytest.mark.parametrize("with_lengths", [False, True])
def test_a_module_of_a_user_s(with_lengths: bool, tmp_path: Path) -> None:
    model = TwoLayers().eval()
    ids = torch.randint(0, 9, (4, 7))
    found = export_torch(model, tmp_path / "model.pt", example=ids[:1, :2], lengths=with_lengths)
    states = ("first.h_0", "second.h_0", "second.c_0")
    assert found.inputs == ("input", *["lengths"] * with_lengths, *states)
    lengths = [torch.tensor([0, 7, 1, 4])] * with_lengths
    zeros = [torch.zeros(1, 4, size) for size in (4, 5, 5)]
    with torch.no_grad():
        expected, state = model(ids, *lengths)
    assert_agree(run_file(tmp_path / "model.pt", ids, *lengths, *zeros)[:2], [expected, state])
    files = {"recurra.json": ""}
    torch.jit.load(str(tmp_path / "model.pt"), _extra_files=files)
    described = json.loads(files["recurra.json"])
    assert described["inputs"] == list(found.inputs)
    assert described["outputs"] == list(found.outputs)
    assert described["states"][0] == {"layer": "first", "input": "first.h_0", "output": "first.h_n"}


def test_the_report(tmp_path: Path) -> None:
    lines = str(export_torch(LSTM(3, 4), tmp_path / "layer.pt", lengths=True)).splitlines()
    assert lines[0].endswith("bytes")
    assert lines[1] == "  forward(input, lengths, h_0, c_0) -> (output, h_n, c_n)"
    assert lines[3].startswith(
        "  checked: 5 sequences of 11 steps (lengths 11, 0, 1, 2, 3): largest relative difference"
    )
    assert len(lines) == 5


class Branches(nn.Module):
    """Reads a size in Python: what was traced holds for that size only."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.GRU(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        output, _ = self.layer(x)
        return output * len(x) + float(x.sum())


class RunsTwice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.GRU(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.layer(x)[0])[0]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Branches(), "the check: TorchScript and the model differ: .*; nothing is written"),
        (RunsTwice(), "layer: it runs twice from an initial state of its own"),
        (nn.Linear(3, 4), "expected a recurrent layer in it, got none"),
        (nn.Sequential(nn.GRU(3, 4), nn.Linear(4, 2)), "torch.jit.trace does not record it"),
    ],
)
@pytest.mark.parametrize("before", [None, b"as it was"])
def test_what_is_refused_is_not_written(model: nn.Module, message: str, before: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    if before is not None:
        path.write_bytes(before)
    with pytest.raises(ExportError, match=message):
        export_torch(model, path, example=torch.randn(4, 2, 3))
    assert (path.read_bytes() if path.exists() else None) == before
    assert len(list(tmp_path.iterdir())) == (before is not None)


def test_wrong_arguments(tmp_path: Path) -> None:
    not_a_module: Any = "model"
    with pytest.raises(ParameterError, match=r"model: expected a torch\.nn\.Module"):
        export_torch(not_a_module, tmp_path / "model.pt")
    with pytest.raises(ParameterError, match="example: expected an input of the model, got None"):
        export_torch(TwoLayers(), tmp_path / "model.pt")
    with pytest.raises(ParameterError, match="example: expected an input of the model with a batch dimension"):
        export_torch(TwoLayers(), tmp_path / "model.pt", example=torch.tensor(3))


PROGRAM = """
#include <torch/script.h>
#include <iostream>
int main(int argc, char** argv) {
  torch::jit::Module model = torch::jit::load(argv[1]);
  torch::NoGradGuard no_gradients;
  torch::Tensor x = torch::arange(7 * 3 * 2).reshape({7, 3, 2}).to(torch::kFloat).div(42), h = torch::zeros({2, 3, 4});
  torch::Tensor lengths = torch::tensor({7, 0, 3}, torch::kLong);
  auto results = model.forward({x, lengths, h}).toTuple();
  std::cout << results->elements()[0].toTensor().sum().item<double>() << " "
            << results->elements()[1].toTensor().sum().item<double>() << std::endl;
}
"""


@pytest.mark.slow
def test_a_program_in_cpp(tmp_path: Path) -> None:
    layer = Recurrent(cells.MGU(), 2, 4, bidirectional=True).eval()
    export_torch(layer, tmp_path / "layer.pt", lengths=True)
    root = Path(torch.__file__).parent
    (tmp_path / "main.cpp").write_text(PROGRAM)
    include = [f"-I{root / 'include'}", f"-I{root / 'include' / 'torch' / 'csrc' / 'api' / 'include'}"]
    libraries = [f"-L{root / 'lib'}", f"-Wl,-rpath,{root / 'lib'}", "-ltorch", "-ltorch_cpu", "-lc10"]
    abi = f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}"
    compile_it = ["g++", "-std=c++20", abi, *include, "main.cpp", *libraries, "-o", "main"]
    subprocess.run(compile_it, cwd=tmp_path, check=True, timeout=280)
    done = subprocess.run(["./main", "layer.pt"], cwd=tmp_path, check=True, timeout=60, capture_output=True, text=True)
    x = torch.arange(42).reshape(7, 3, 2) / 42
    with torch.no_grad():
        output, final = layer(x, None, [7, 0, 3])
    assert [float(word) for word in done.stdout.split()] == pytest.approx(
        [float(output.sum()), float(final.sum())], 1e-4
    )
