"""Triton's kernels compiled for a GPU, which takes none: to machine code, by the assembler that comes with triton."""

from typing import Any

import pytest
from diagonal_cells import DiagonalLSTM

from recurra import cells
from recurra.cells import Cell
from recurra.codegen import TritonForm
from recurra.kernels.triton.load import load, load_scan

COMPUTE_CAPABILITY = 80  # A100


@pytest.fixture(autouse=True)
def compiler(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton compiles, and takes nothing that was compiled before; skips if triton is not installed."""
    pytest.importorskip("triton", reason="triton is not installed: pip install 'recurra[triton]'")
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))


def assert_compiles(function: Any, real: str, warps: int, **constants: Any) -> None:
    """A function, with the values of its `constants`, becomes machine code."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    numbers = {"batch": "i32", "steps": "i32", "units": "i32", "lengths": "*i32"}
    numbers |= dict.fromkeys(constants, "constexpr")
    signature = {name: numbers.get(name, f"*{real}") for name in function.arg_names}
    source = ASTSource(function, signature, {(function.arg_names.index(name),): v for name, v in constants.items()})
    target = GPUTarget("cuda", COMPUTE_CAPABILITY, 32)
    stages = triton.compile(source, target=target, options={"num_warps": warps, "enable_fp_fusion": True}).asm
    assert f".target sm_{COMPUTE_CAPABILITY}" in stages["ptx"]
    assert len(stages["cubin"]) > 1000


@pytest.mark.parametrize(
    ("cell", "form", "width", "real"),
    [
        (cells.IndRNN(), TritonForm("own"), 64, "fp32"),
        *(
            pytest.param(cell, form, width, real, marks=pytest.mark.slow)
            for cell, form, width in (
                (cells.SRU(), TritonForm("none", zoneout=True), 64),
                (cells.RGLRU(), TritonForm("none"), 64),
                (DiagonalLSTM(), TritonForm("own", bias=True, mask=True, zoneout=True), 64),
                (cells.SLSTM(heads=2), TritonForm("head", bias=True, mask=True, zoneout=True), 10),
            )
            for real in ("fp32", "fp64")
        ),
    ],
    ids=str,
)
def test_the_loop_compiles(cell: Cell, form: TritonForm, width: int, real: str) -> None:
    kernel = load(cell, form)
    block = 1 << (width - 1).bit_length()
    for function, options in ((kernel.forward, {"SAVES": True}), (kernel.backward, {})):
        assert_compiles(function, real, 2, WIDTH=width, BLOCK=block, REVERSE=True, **options)


@pytest.mark.parametrize(
    ("parts", "chunk", "real"),
    [
        (1, 64, "fp32"),
        *(
            pytest.param(parts, chunk, real, marks=pytest.mark.slow)
            for parts, chunk in ((1, 64), (2, 16), (4, 4))
            for real in ("fp32", "fp64")
            if (parts, chunk, real) != (1, 64, "fp32")
        ),
    ],
)
def test_the_scan_compiles(parts: int, chunk: int, real: str) -> None:
    for adjoint in (False, True):
        assert_compiles(load_scan(parts), real, 4, CHUNK=chunk, BLOCK=32, ADJOINT=adjoint)


@pytest.mark.slow
def test_the_scan_of_a_single_number_compiles() -> None:
    """Where a size is 1, Triton takes it for a constant."""
    for adjoint in (False, True):
        assert_compiles(load_scan(1), "fp32", 4, CHUNK=1, BLOCK=1, ADJOINT=adjoint, steps=1, units=1)
