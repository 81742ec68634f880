"""The C as WebAssembly, run by Node.js, against the model."""

import base64
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from c_models import Regression, needs_extension, next_symbol, small
from torch import nn

from recurra.errors import CompilerError, ParameterError
from recurra.export.c import WebAssembly, compile_web_assembly, export_c, has_web_assembly_compiler
from recurra.program import compile_program
from recurra.streaming import Stepper

pytestmark = [
    needs_extension,
    pytest.mark.skipif(not has_web_assembly_compiler(), reason="clang or wasm-ld (Debian package lld) is missing"),
]

# Reads {code, weights, inputs, outputs, ids} and prints the outputs of all steps, from the first state.
_RUN = """
const { code, weights, steps, outputs, ids } = JSON.parse(require("fs").readFileSync(0));
WebAssembly.instantiate(Buffer.from(code, "base64")).then(({ instance }) => {
  const { memory, __heap_base, m_reset, m_step, m_weights_of, m_state_size } = instance.exports;
  const held = Buffer.from(weights, "base64"), base = (__heap_base.value + 15) & ~15;
  const state = base + ((held.length + 15) & ~15), input = state + ((m_state_size() + 15) & ~15);
  const output = input + 4 * (ids ? 4 : steps[0].length), end = output + 4 * outputs;
  memory.grow(Math.max(0, Math.ceil((end - memory.buffer.byteLength) / 65536)));
  new Uint8Array(memory.buffer).set(held, base);
  const first = held.length ? [m_weights_of(base, held.length)] : [];
  m_reset(state);
  console.log(JSON.stringify(steps.map((one) => {
    if (!ids) new Float32Array(memory.buffer, input).set(one);
    m_step(...first, state, ids ? one : input, output);
    return [...new Float32Array(memory.buffer, output, outputs)];
  })));
});
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _check(model: nn.Module, made: WebAssembly) -> None:
    if shutil.which("node") is None:
        pytest.skip("Node.js is not installed")
    program = compile_program(model)
    generator, ids = np.random.default_rng(0), program.vocabulary_size > 0
    x = generator.integers(program.vocabulary_size, size=20) if ids else None
    x = generator.standard_normal((20, program.input_size), dtype=np.float32) if x is None else x
    asked = {"code": base64.b64encode(made.code).decode(), "weights": base64.b64encode(made.weights).decode()}
    asked |= {"steps": x.tolist(), "outputs": program.output_size, "ids": ids}
    ran = subprocess.run(["node", "-e", _RUN], input=json.dumps(asked), capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    expected, _ = Stepper(program)(x[:, None], None)
    np.testing.assert_allclose(np.array(json.loads(ran.stdout)), expected[:, 0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("model", [small(), next_symbol(), Regression()], ids=["lstm", "symbols", "regression"])
def test_it_computes_what_the_model_does(model: nn.Module) -> None:
    _check(model.eval(), compile_web_assembly(model.eval(), "m"))


def test_scratch_memory_of_more_than_a_page() -> None:
    """More than the stack that the linker gives of its own accord."""
    model = nn.Sequential(nn.LSTM(3, 4), nn.Linear(4, 30_000), nn.Tanh(), nn.Linear(30_000, 2)).eval()
    _check(model, compile_web_assembly(model, "m"))


def test_it_is_compiled_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = small()
    made = compile_web_assembly(model, "m")
    (file,) = cache.iterdir()
    assert file.read_bytes() == made.code
    with monkeypatch.context() as patched:
        patched.setattr("recurra.export.c.web_assembly._run", lambda *_: pytest.fail("it was compiled again"))
        assert compile_web_assembly(model, "m") == made
    compile_web_assembly(small(8), "m")
    assert len(list(cache.iterdir())) == 2


def test_the_weights_are_those_of_the_export(tmp_path: Path) -> None:
    model = small()
    export_c(model, tmp_path / "c", "m", weights_in="binary", steps=10)
    assert compile_web_assembly(model, "m").weights == (tmp_path / "c" / "m.bin").read_bytes()


def test_make_wasm(tmp_path: Path) -> None:
    export_c(small(), tmp_path, "m", steps=10)
    made = subprocess.run(["make", "wasm"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "m.wasm").read_bytes()[:4] == b"\0asm"


def test_what_cannot_be_compiled_says_so(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ParameterError, match="name"):
        compile_web_assembly(small(), "not-a-name")
    cache.write_text("no folder")
    with pytest.raises(CompilerError, match="RECURRA_CACHE"):
        compile_web_assembly(small(), "m")
    monkeypatch.setattr("recurra.export.c.web_assembly.WARNING_FLAGS", ("-no-such-flag",))
    monkeypatch.setenv("RECURRA_CACHE", str(cache.parent))
    with pytest.raises(CompilerError, match=r"could not compile m\.c"):
        compile_web_assembly(small(), "m")
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(CompilerError, match="apt install clang lld"):
        compile_web_assembly(small(), "m")
