"""One step as ONNX and as TorchScript: every kind of operation, as the engine computes it, and a stream of steps."""

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import nn

import recurra
from recurra import cells
from recurra.errors import ExportError
from recurra.export.onnx import export_onnx, export_onnx_step
from recurra.export.onnx.check import open_session
from recurra.export.torch_script import export_torch, export_torch_step
from recurra.export.torch_script.loop import tracing
from recurra.kernels.native import extension
from recurra.layers import Architecture, Recurrent, Stack
from recurra.models import LinearChainCRF, RecurrentLanguageModel, SequenceClassifier, SequenceTagger
from recurra.program import compile_program
from recurra.program.operations import Kind

pytestmark = pytest.mark.skipif(not extension.is_installed(), reason="a step is compared with the engine's")


def models() -> dict[str, nn.Module]:
    torch.manual_seed(1)
    blocks = Architecture.of("gated(conv:3 > rg_lru), attention:3:heads=2:kv_heads=1, mlstm:2, mlp:1")
    poolings = ("mean", "last", "max", "attention")
    decayed = {"elapsed_size": 1, "input_decay": 2, "bidirectional": False}
    made = {
        "stack": Stack("lru:5, qrnn:3, attention:1, attention:5:heads=4:kv_heads=2, norm:2 > silu", 3, 8, norm="layer"),
        "language": RecurrentLanguageModel(blocks, 11, 6, 8),
        "classifier": SequenceClassifier(blocks, 4, 8, 3, bidirectional=False, pooling=poolings),
        "missing values": SequenceClassifier(cells.GRUD(), 5, 6, 3, **decayed),
        "tagger": SequenceTagger(cells.GRUResetBefore(), 9, 5, 8, LinearChainCRF(3), bidirectional=False),
        "layers": nn.Sequential(
            Recurrent(cells.LSTM(), 3, 6, proj_size=4), Recurrent(cells.IndRNN(), 4, 5), Recurrent(cells.SLSTM(), 5, 4)
        ),
    }
    for model in made.values():
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
    return made


def test_every_kind_of_operation(tmp_path: Path) -> None:
    kinds: set[str] = set()
    for model in models().values():
        for export, name in ((export_onnx_step, "a.onnx"), (export_torch_step, "a.pt")):
            made: Any = export(model, tmp_path / name)
            assert all(check.allowed < 1e-4 for check in made.checks)
            assert made.path.is_file()
        kinds |= {operation.kind for operation in compile_program(model).operations}
    assert kinds == {*get_args(Kind)}


def test_a_stream_of_steps_is_the_whole(tmp_path: Path) -> None:
    model = models()["stack"].eval()
    x = torch.randn(9, 2, 3)
    with torch.no_grad():
        expected = model(x)[0]
    onnx = export_onnx_step(model, tmp_path / "stack.onnx", metadata={"labels": ["a"]})
    assert onnx.inputs == {"input": ("batch", 3), "state_0": ("batch", compile_program(model).state_size)}
    session = open_session((tmp_path / "stack.onnx").read_bytes())
    facts = session.get_modelmeta().custom_metadata_map
    assert json.loads(facts["labels"]) == ["a"]
    first = np.tile(np.array(json.loads(facts["recurra.first_state"]), np.float32), (2, 1))
    export_torch_step(model, tmp_path / "stack.pt")
    files = {"recurra.json": ""}
    with tracing():
        script = torch.jit.load(tmp_path / "stack.pt", _extra_files=files)
    assert json.loads(files["recurra.json"])["first_state"] == first[0].tolist()
    state, other = first, torch.from_numpy(first)
    for t, step in enumerate(x):
        y, state = session.run(None, {"input": step.numpy(), "state_0": state})
        assert np.abs(y - expected[t].numpy()).max() < 1e-5
        y, other = script(step, other)
        assert (y - expected[t]).abs().max() < 1e-5


def test_whole_sequences_of_a_stack_are_refused_with_the_way_out(tmp_path: Path) -> None:
    model = models()["language"]
    with pytest.raises(ExportError, match=r"recurrent: a Stack is .* sequences in ONNX here.* export_onnx_step"):
        export_onnx(model, tmp_path / "a.onnx")
    with pytest.raises(ExportError, match=r"sequences in TorchScript here.* export_torch_step"):
        export_torch(model, tmp_path / "a.pt")
    assert not list(tmp_path.iterdir())


def test_a_run_with_a_stack_is_exported_as_a_step(tmp_path: Path) -> None:
    options: dict[str, Any] = {"tokens": "characters", "hidden_size": 4, "max_steps": 1, "device": "cpu"}
    text = {"train": "the quick fox " * 40, "validation": "the quick " * 20}
    model = recurra.LanguageModel(architecture=("rglru", "attention:4"), truncation_length=20, batch_size=4, **options)
    model.fit(text, progress=False)
    for to, names in (("onnx", ["model.onnx"]), ("torch", ["model.pt", "model.json"])):
        written = model.export(to=to).write(tmp_path / to)  # type: ignore[arg-type]
        assert [path.name for path in written] == names
