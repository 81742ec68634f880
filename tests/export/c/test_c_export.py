"""What an export to C writes, refuses and says."""

import ctypes
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from c_models import Regression, compile_with, needs_compiler, needs_extension, next_symbol, small
from torch import nn

from recurra.cells import GRU, LSTM
from recurra.errors import CompilerError, ExportError, ParameterError, RunError, ShapeError, StreamError
from recurra.export.c import export, export_c
from recurra.models import (
    EvidenceClassifier,
    LinearChainCRF,
    RecurrentLanguageModel,
    SequenceClassifier,
    SequenceTagger,
)
from recurra.streaming import Stepper

pytestmark = [needs_extension]

FIRST = torch.tensor([True, False, True])  # tags that may come first


def run(folder: Path, *command: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, cwd=folder, input=given, capture_output=True, check=False)


@needs_compiler
def test_files_and_their_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = export_c(small(), tmp_path / "new" / "folder", "tone", steps=300)
    folder = tmp_path / "new" / "folder"
    assert sorted(path.name for path in folder.iterdir()) == ["Makefile", "tone.c", "tone.h", "tone_check.c"]
    assert sorted(made.files) == sorted(folder.iterdir())
    assert made.check.largest < 1e-5
    assert f"tone.c: {made.check}\n" == capsys.readouterr().out
    assert re.fullmatch(r"checked over 300 steps, compiled by .+: largest error .+, 1e-05 allowed", str(made.check))
    assert (made.state_bytes, made.weight_bytes) == (128, 4 * (64 * 32 + 64 + 16 * 16 + 16))


@needs_compiler
@pytest.mark.parametrize("weights_in", ["source", "binary"])
def test_make_checks_recorded_steps(tmp_path: Path, weights_in: str) -> None:
    export_c(small(), tmp_path, "tone", weights_in=weights_in, steps=300)
    made = run(tmp_path, "make", "CFLAGS=-std=c99 -O1")
    assert made.returncode == 0, made.stderr
    assert b"0 of 100 steps are off by more than 1e-05" in made.stdout


@needs_compiler
@pytest.mark.parametrize(
    ("model", "steps"),
    [
        (Regression(), 10_000),
        (next_symbol(), 10_000),
        (next_symbol(1), 10),
        (nn.LSTMCell(3, 5), 200),
        (SequenceClassifier(GRU(), 4, 6, 3, bidirectional=False, pooling=("last", "mean", "max", "attention")), 200),
        (EvidenceClassifier(LSTM(), 10, 5, 3, 2, bidirectional=False), 200),
        (RecurrentLanguageModel(LSTM(), 30, 8, 9, num_layers=2), 200),
        (SequenceTagger(LSTM(), 12, 4, 5, 3, bidirectional=False), 200),
        (SequenceTagger(GRU(), 12, 4, 5, LinearChainCRF(3, starts=FIRST), bidirectional=False), 200),
        (nn.Sequential(nn.Linear(3, 2), nn.ReLU()), 200),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
@pytest.mark.parametrize("weights", ["float32", "int8"])
def test_models(tmp_path: Path, model: nn.Module, steps: int, weights: str) -> None:
    assert export_c(model.eval(), tmp_path, "m", weights, steps=steps).check.steps == steps


@needs_compiler
def test_the_state_is_that_of_a_stepper(tmp_path: Path) -> None:
    """Both have the same numbers in the same order: a stream moves from one to the other."""
    model = small(8, 3, 2)
    export_c(model, tmp_path, "tone", steps=10)
    compile_with("cc", ["-O1", "-shared", "-fPIC"], tmp_path, ["tone.c"], "tone.so")
    c = ctypes.CDLL(str(tmp_path / "tone.so"))
    stepper = Stepper(model)
    x = np.random.default_rng(3).standard_normal((20, 3), dtype=np.float32)
    state, y = stepper.new_state(), np.empty(2, np.float32)
    for one in x[:10]:
        stepper(one, state)
    assert c.tone_state_size() == state.values.nbytes
    other = state.values[0].copy()
    for one in x[10:]:
        expected, _ = stepper(one, state)
        c.tone_step(other.ctypes, one.ctypes, y.ctypes)
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
    c.tone_reset(other.ctypes)
    np.testing.assert_array_equal(other, 0)


@needs_compiler
def test_an_id_out_of_range_changes_nothing(tmp_path: Path) -> None:
    export_c(next_symbol(11), tmp_path, "text", steps=10)
    compile_with("cc", ["-O1", "-shared", "-fPIC"], tmp_path, ["text.c"], "text.so")
    c = ctypes.CDLL(str(tmp_path / "text.so"))
    state, y = np.zeros(9, np.float32), np.zeros(11, np.float32)
    assert [c.text_step(state.ctypes, symbol, y.ctypes) for symbol in (-1, 11, 2**31 - 1)] == [-1] * 3
    assert not y.any()
    assert not state.any()
    assert c.text_step(state.ctypes, 10, y.ctypes) == 0
    assert state.all()


@needs_compiler
def test_a_file_of_weights_is_checked(tmp_path: Path) -> None:
    export_c(small(), tmp_path, "tone", weights_in="binary", steps=10)
    compile_with("cc", ["-O1", "-shared", "-fPIC"], tmp_path, ["tone.c"], "tone.so")
    c = ctypes.CDLL(str(tmp_path / "tone.so"))
    c.tone_weights_of.restype = ctypes.c_void_p
    c.tone_weights_of.argtypes = [ctypes.c_void_p, ctypes.c_size_t]

    def accepted(content: bytes, shift: int = 0) -> bool:
        held = np.zeros(len(content) + 8, np.uint8)
        held[shift : shift + len(content)] = np.frombuffer(content, np.uint8)
        at = held.ctypes.data + shift
        return c.tone_weights_of(at, len(content)) == at

    good = (tmp_path / "tone.bin").read_bytes()
    assert accepted(good)
    assert not accepted(good, shift=1)
    assert not accepted(good[:-4])
    assert not accepted(b"X" + good[1:])
    assert not accepted(good[:8] + good[11:7:-1] + good[12:]), "numbers with the other order of bytes"
    export_c(small(), tmp_path / "other", "tone", weights_in="binary", steps=10)
    assert not accepted((tmp_path / "other" / "tone.bin").read_bytes()), "of another model with the same sizes"
    (tmp_path / "tone.bin").write_bytes(good[:-4])
    assert b"tone.bin" in run(tmp_path, "make").stderr


@needs_compiler
def test_nothing_is_written_if_the_outputs_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = export.source
    monkeypatch.setattr(export, "source", lambda d: source(d).replace("12582912.0f;", "12582913.0f;", 1))
    with pytest.raises(ExportError, match=r"tone: the compiled step differs .* in \d+ of 100 steps, first at step 0"):
        export_c(small(), tmp_path / "out", "tone", steps=100)
    with pytest.raises(ExportError, match="nothing was written"):
        export_c(small(), tmp_path / "out", "tone", "int8", steps=100)
    assert not (tmp_path / "out").exists()


@needs_compiler
def test_a_gate_in_the_place_of_another_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = export.source
    swapped = lambda d: source(d).replace("u[units + k]", "u[2 * units + k]")  # noqa: E731
    monkeypatch.setattr(export, "source", swapped)
    for weights in ("float32", "int8"):
        with pytest.raises(ExportError, match="nothing was written"):
            export_c(small(), tmp_path, "tone", weights, steps=100)


@needs_compiler
def test_a_sensitive_model_is_compared_step_by_step(tmp_path: Path) -> None:
    """The last bits of a chaotic network's parameters change all its outputs: no two computations of them agree."""
    model = nn.RNN(4, 32)
    with torch.no_grad():
        dict(model.named_parameters())["weight_hh_l0"].mul_(20)
    check = export_c(model, tmp_path, "chaos", steps=500).check
    assert not check.alone
    assert check.largest < 1e-4
    assert "each from the model's own state" in str(check)


@needs_compiler
def test_inputs_of_the_check(tmp_path: Path) -> None:
    x = np.full((3, 16), 0.5)
    assert export_c(small(), tmp_path, "tone", inputs=x, steps=7).check.steps == 7
    assert "{0.5f, 0.5f" in (tmp_path / "tone_check.c").read_text()
    with pytest.raises(ShapeError, match="inputs: expected shape"):
        export_c(small(), tmp_path, "tone", inputs=x[:, :2])
    text = tmp_path / "text"
    export_c(next_symbol(), text, "text", inputs=np.array([4, 4]), steps=7)
    with pytest.raises(ShapeError, match="ids of shape"):
        export_c(next_symbol(), text, "text", inputs=x)
    with pytest.raises(ParameterError, match="ids from 0 to 10"):
        export_c(next_symbol(), text, "text", inputs=np.array([4, 11]), steps=7)


def test_without_a_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    check = export_c(small(), tmp_path / "out", "tone", steps=10).check
    assert (check.compiler, check.steps) == ("", 0)
    assert "tone.c: not checked: this machine has no C compiler" in capsys.readouterr().out
    assert (tmp_path / "out" / "tone.c").exists()


def test_a_compiler_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\necho 'tone.c:1: error: no' >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    with pytest.raises(CompilerError, match=r"could not compile tone\.c: tone\.c:1: error: no"):
        export_c(small(), tmp_path / "out", "tone", steps=10)
    compiler.write_text("not a program")
    with pytest.raises(CompilerError, match="set CC to a C compiler"):
        export_c(small(), tmp_path / "out", "tone", steps=10)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "Tone"}, "name: expected a name in C"),
        ({"name": "int"}, "name: expected a name in C"),
        ({"name": "2nd"}, "name: expected a name in C"),
        ({"name": "a/b"}, "name: expected a name in C"),
        ({"weights": "bfloat16"}, "weights: expected one of float32, int8, got 'bfloat16'"),
        ({"weights_in": "flash"}, "weights_in: expected one of source, binary, got 'flash'"),
        ({"steps": 0}, "steps: expected a whole number of at least 1"),
    ],
)
def test_parameters(tmp_path: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        export_c(small(), tmp_path, **{"name": "tone", **options})  # type: ignore[arg-type]


def test_a_model_that_has_no_step(tmp_path: Path) -> None:
    with pytest.raises(StreamError, match="bidirectional"):
        export_c(nn.LSTM(3, 4, bidirectional=True), tmp_path, "tone")
    model = small()
    with torch.no_grad():
        next(model.parameters())[0, 0] = torch.inf
    with pytest.raises(StreamError, match="not finite"):
        export_c(model, tmp_path, "tone")


@needs_compiler
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        export_c(small(), tmp_path / "file", "tone", steps=10)


@needs_compiler
def test_a_makefile_of_another_is_spared(tmp_path: Path) -> None:
    for _ in range(2):
        export_c(small(), tmp_path, "tone", steps=10)
    with pytest.raises(ParameterError, match="folder: expected a folder for the files of 'other' alone"):
        export_c(small(), tmp_path, "other", steps=10)
    (tmp_path / "Makefile").write_text("all:\n")
    with pytest.raises(ParameterError, match="has a Makefile of something else"):
        export_c(small(), tmp_path, "tone", steps=10)
    assert (tmp_path / "Makefile").read_text() == "all:\n"
