"""The Triton kernel compiled for a GPU, which takes none: to machine code, by the assembler that comes with triton."""

from typing import Any

import pytest
from diagonal_cells import DiagonalLSTM

from recurra import cells
from recurra.cells import Cell
from recurra.codegen import TritonForm
from recurra.kernels.triton.load import load

COMPUTE_CAPABILITY = 80  # A100


def compiled(function: Any, real: str, width: int, warps: int, **options: bool) -> dict[str, Any]:
    """What Triton compiles a function to, by stage."""
    triton = pytest.importorskip("triton", reason="triton is not installed: pip install 'recurra[triton]'")
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    values = {"WIDTH": width, "BLOCK": 1 << (width - 1).bit_length(), "REVERSE": True, **options}
    numbers = {"batch": "i32", "units": "i32", "lengths": "*i32"} | dict.fromkeys(values, "constexpr")
    signature = {name: numbers.get(name, f"*{real}") for name in function.arg_names}
    source = ASTSource(function, signature, {(function.arg_names.index(name),): v for name, v in values.items()})
    target = GPUTarget("cuda", COMPUTE_CAPABILITY, 32)
    return triton.compile(source, target=target, options={"num_warps": warps, "enable_fp_fusion": True}).asm


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
def test_it_compiles(
    cell: Cell, form: TritonForm, width: int, real: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("triton", reason="triton is not installed: pip install 'recurra[triton]'")
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    kernel = load(cell, form)
    for function, options in ((kernel.forward, {"SAVES": True}), (kernel.backward, {})):
        stages = compiled(function, real, width, 2, **options)
        assert f".target sm_{COMPUTE_CAPABILITY}" in stages["ptx"]
        assert len(stages["cubin"]) > 1000
