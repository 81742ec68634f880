"""The C compiles without warnings under each compiler, for each processor, and passes the sanitizers."""

import shutil
import subprocess
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from c_models import Regression, compile_with, needs_compiler, needs_extension, next_symbol, small
from torch import nn

from recurra.cells import RGLRU, GRUResetBefore, LayerNormGRU
from recurra.export.c import export_c
from recurra.models import SequenceClassifier

pytestmark = [needs_extension, needs_compiler]

CORTEX_M4 = ["-O2", "-ffp-contract=fast", "-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]
# Between them, all kinds of operations but one or two.
MODELS: dict[str, nn.Module] = {
    "regression": Regression(),
    "text": next_symbol(),
    "pooled": SequenceClassifier(
        GRUResetBefore(), 4, 6, 3, bidirectional=False, pooling=("last", "mean", "max", "attention")
    ),
    "normalised": SequenceClassifier(LayerNormGRU(), 4, 6, 3, bidirectional=False),
    "gated": SequenceClassifier(RGLRU(), 4, 6, 3, num_layers=2, bidirectional=False),
}


@pytest.fixture(scope="module", params=[(name, k % 2, k // 2 % 2) for k, name in enumerate(MODELS)], ids=str)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of each model, in one of the formats."""
    name, rounds, binary = request.param
    folder = tmp_path_factory.mktemp(name)
    model = MODELS[name].eval()
    export_c(model, folder, "m", "int8" if rounds else "float32", "binary" if binary else "source", steps=200)
    return folder


# gcc warns of more the more it optimises; the warnings of clang are the same at each level.
@pytest.mark.parametrize(("compiler", "level"), [("gcc", "-O3"), ("clang", "-O0")])
def test_without_warnings(folder: Path, compiler: str, level: str) -> None:
    compile_with(compiler, [level], folder, ["m.c", "m_check.c"], "check")
    ran = subprocess.run(["./check"], cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("sanitizers", ["address,undefined", "memory"])
def test_sanitizers(folder: Path, compiler: str, sanitizers: str) -> None:
    if sanitizers == "memory" and compiler == "gcc":
        pytest.skip("gcc has no sanitizer of uninitialised memory")
    flags = ["-O1", "-g", f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all"]
    if compiler == "clang" and not any(Path("/usr/lib").glob("llvm*/lib/clang/*/lib/linux/libclang_rt.msan*")):
        pytest.skip("clang's sanitizers are not installed")
    compile_with(compiler, flags, folder, ["m.c", "m_check.c"], "sanitized")
    ran = subprocess.run(["./sanitized"], cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("weights", ["float32", "int8"])
def test_values_that_are_not_finite(tmp_path: Path, weights: Literal["float32", "int8"]) -> None:
    """They are not undefined behaviour, and come out as NaN."""
    export_c(small(), tmp_path, "m", weights, steps=50)
    flags = ["-O1", "-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all"]
    compile_with("gcc", flags, tmp_path, ["m.c", "m_check.c"], "sanitized")
    x = np.zeros((3, 16), np.float32)
    x[1, 2], x[2, 3] = np.nan, np.inf
    ran = subprocess.run(["./sanitized", "run"], cwd=tmp_path, input=x.tobytes(), capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr
    y = np.frombuffer(ran.stdout, np.float32).reshape(3, 16)
    assert np.isfinite(y[0]).all()
    assert np.isnan(y[1:]).all()


def test_cpp_can_call_it(folder: Path) -> None:
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    body = "m_state state; m_reset(&state); return m_state_size() == sizeof state ? 0 : 1;"
    (folder / "main.cpp").write_text(f'#include "m.h"\nint main() {{ {body} }}\n')
    compile_with("gcc", ["-c"], folder, ["m.c"], "m.o")
    warnings = ["-Wall", "-Wextra", "-Werror", "-pedantic"]
    subprocess.run(["g++", "-std=c++17", *warnings, "main.cpp", "m.o", "-o", "main"], cwd=folder, check=True)
    subprocess.run(["./main"], cwd=folder, check=True)


def test_no_library_is_called(folder: Path) -> None:
    """What is undefined are functions that a compiler calls of its own accord."""
    compile_with("gcc", ["-O2", "-c"], folder, ["m.c"], "m.o")
    listed = subprocess.run(["nm", "-u", "m.o"], cwd=folder, capture_output=True, text=True, check=True).stdout
    assert {*listed.replace("U", " ").split()} <= {"memcpy", "memset", "memmove", "__stack_chk_fail"}


def test_fast_maths_is_refused(folder: Path) -> None:
    command = ["gcc", "-std=c99", "-ffast-math", "-c", "m.c"]
    made = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert made.returncode != 0
    assert "compile without -ffast-math" in made.stderr


def test_for_a_cortex_m4(folder: Path) -> None:
    compile_with("arm-none-eabi-gcc", [*CORTEX_M4, "-c"], folder, ["m.c"], "m_arm.o")
    sized = subprocess.run(["arm-none-eabi-size", "m_arm.o"], cwd=folder, capture_output=True, text=True, check=True)
    header, sizes = sized.stdout.splitlines()
    print(f"\n{folder.name} on a Cortex-M4: {dict(zip(header.split(), sizes.split(), strict=True))}")
    text, data, bss = map(int, sizes.split()[:3])
    assert (data, bss) == (0, 0), "no memory of its own"
    assert 0 < text < 30_000


def test_for_webassembly(folder: Path) -> None:
    flags = ["--target=wasm32", "-O2", "-mbulk-memory", "-nostdlib"]
    linked = ["-Wl,--no-entry", "-Wl,--export=m_step", "-Wl,--export=m_reset", "-Wl,--export=__heap_base"]
    if shutil.which("clang") and shutil.which("wasm-ld") is None:
        pytest.skip("wasm-ld (Debian package lld) is not installed")
    compile_with("clang", [*flags, *linked], folder, ["m.c"], "m.wasm")
    assert (folder / "m.wasm").read_bytes()[:4] == b"\0asm"
