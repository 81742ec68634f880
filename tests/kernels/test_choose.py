"""The choice of a kernel: a pure function, and what is said of a fall back."""

import logging
import sys
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from agreement import assert_agree
from every_cell import CELLS, Peephole, draw_state, draw_weights
from recurra import Recurrent, cells, kernels
from recurra.cells import Cell, Gates, PerUnit, State
from recurra.errors import BackendError, ParameterError
from recurra.kernels import BACKENDS, Choice, Request, choose
from recurra.kernels.native import extension
from recurra.ops import tanh

FLOAT = "torch.float32"
DOUBLE = "torch.float64"
UNCOMPILED = "no compiler"


@dataclass(frozen=True)
class OtherLSTM(cells.LSTM):
    """Equal to the LSTM in its fields, not in its equations."""

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=tanh(x.i + u.o), c=s.c)


@dataclass(frozen=True)
class Untraceable(Cell):
    """Equations in torch's functions, which cannot be compiled."""

    gates = ("h",)
    state = ("h",)

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=torch.erf(x.h + u.h))


@pytest.mark.parametrize(
    ("backend", "request_", "chosen", "reason"),
    [
        ("auto", Request(cells.LSTM(), "cpu", FLOAT), "native", ""),
        ("auto", Request(cells.LSTM(), "cpu", FLOAT, uncompiled=UNCOMPILED), "aten", UNCOMPILED),
        ("auto", Request(cells.LSTM(), "cpu", "torch.bfloat16"), "aten", ""),
        ("auto", Request(cells.GRU(), "cuda", "torch.float16"), "aten", ""),
        ("auto", Request(cells.Elman("relu"), "cpu", "torch.float64"), "native", ""),
        ("auto", Request(cells.LSTM(), "cpu", FLOAT, projected=True), "native", ""),
        ("auto", Request(cells.LSTM(), "cpu", FLOAT, projected=True, uncompiled=UNCOMPILED), "aten", UNCOMPILED),
        ("auto", Request(cells.MGU(), "cpu", "torch.bfloat16", projected=True), "reference", "projected output"),
        ("auto", Request(Peephole(), "cpu", FLOAT), "native", ""),
        ("auto", Request(Peephole(), "cpu", FLOAT, uncompiled=UNCOMPILED), "reference", "Peephole()"),
        ("auto", Request(Peephole(), "cuda", FLOAT), "reference", "cuda"),
        ("auto", Request(OtherLSTM(), "cpu", FLOAT, uncompiled=UNCOMPILED), "reference", UNCOMPILED),
        ("native", Request(Peephole(), "cpu", FLOAT), "native", ""),
        ("native", Request(Peephole(), "cpu", FLOAT, uncompiled=UNCOMPILED), None, UNCOMPILED),
        ("native", Request(cells.GRU(), "cuda", FLOAT), None, "cuda"),
        ("aten", Request(cells.LSTM(), "cpu", FLOAT), "aten", ""),
        ("aten", Request(Peephole(), "cpu", FLOAT), None, "Peephole()"),
        ("aten", Request(OtherLSTM(), "cpu", FLOAT), None, "OtherLSTM()"),
        ("aten", Request(cells.Elman(), "cpu", FLOAT, projected=True), None, "projected output"),
        ("reference", Request(cells.LSTM(), "cpu", FLOAT), "reference", ""),
        # Parallel in time.
        ("auto", Request(cells.MinGRU(), "cpu", FLOAT, long=True), "native", ""),
        ("auto", Request(cells.MinGRU(), "cpu", FLOAT, long=True, uncompiled=UNCOMPILED), "scan", UNCOMPILED),
        ("auto", Request(cells.MinGRU(), "cpu", FLOAT, uncompiled=UNCOMPILED), "reference", UNCOMPILED),
        ("auto", Request(cells.MinGRU(), "cuda", FLOAT, long=True), "scan", ""),
        ("auto", Request(cells.MinGRU(), "cpu", "torch.bfloat16", long=True, transformed=True), "scan", ""),
        ("auto", Request(cells.MinGRU(), "cuda", FLOAT, long=True, forward_mode=True), "reference", "cuda"),
        ("auto", Request(cells.IndRNN(), "cuda", FLOAT, long=True), "reference", "cuda"),
        ("scan", Request(cells.RGLRU(), "cpu", DOUBLE, captured=True, zoneout=True), "scan", ""),
        ("scan", Request(cells.IndRNN(), "cpu", FLOAT), None, "not affine"),
        ("scan", Request(cells.MinGRU(), "cpu", FLOAT, projected=True), None, "projected output"),
        ("scan", Request(cells.MinGRU(), "cpu", FLOAT, traced=True), None, "torch.jit.trace"),
        ("scan", Request(Untraceable(), "cpu", FLOAT), None, "Untraceable.update"),
        ("newton", Request(cells.IndRNN(), "cuda", FLOAT, recurrent_dropout=True), "newton", ""),
        ("newton", Request(cells.SLSTM(2), "cpu", FLOAT, units_read=1), "newton", ""),
        ("newton", Request(cells.SLSTM(2), "cpu", FLOAT), None, "depends on other units"),
        ("newton", Request(cells.LSTM(), "cpu", FLOAT, units_read=1), None, "depends on other units"),
        ("newton", Request(cells.SRU(), "cpu", "torch.bfloat16"), None, "float32 and float64"),
        ("newton", Request(cells.SRU(), "cpu", FLOAT, transformed=True), None, "vmap"),
        ("newton", Request(cells.SRU(), "cpu", FLOAT, captured=True), None, "torch.compile"),
        ("newton", Request(cells.SRU(), "cpu", FLOAT, forward_mode=True), None, "forward-mode"),
        ("quasi_newton", Request(cells.LSTM(), "cpu", FLOAT, zoneout=True), "quasi_newton", ""),
        ("quasi_newton", Request(cells.IndRNN(), "cpu", FLOAT), None, "use backend='newton'"),
        ("aten", Request(cells.LSTM(), "cpu", FLOAT, beyond_one_dnn=True), None, "precision that autocast asks for"),
        ("auto", Request(cells.GRU(), "cpu", FLOAT, uncompiled="autocast", beyond_one_dnn=True), "aten", "autocast"),
        ("quasi_newton", Request(cells.PhasedLSTM(), "cpu", FLOAT), None, "have floor, and its jumps"),
        ("quasi_newton", Request(cells.LSTM(), "cpu", "torch.bfloat16"), None, "float32 and float64"),
        ("quasi_newton", Request(cells.Jordan(), "cpu", FLOAT), None, "projected output"),
        # Triton.
        ("auto", Request(cells.IndRNN(), "cuda", FLOAT), "reference", "cuda"),
        ("triton", Request(cells.IndRNN(), "cuda", FLOAT, recurrent_dropout=True, zoneout=True), "triton", ""),
        ("triton", Request(cells.SRU(), "cpu", DOUBLE, interpreted=True), "triton", ""),
        ("triton", Request(cells.SRU(), "cpu", DOUBLE), None, "not on cpu"),
        ("triton", Request(cells.SRU(), "cuda", FLOAT, without_triton="no triton"), None, "no triton"),
        ("triton", Request(cells.SLSTM(2), "cuda", FLOAT, units_read=32), "triton", ""),
        ("triton", Request(cells.SLSTM(2), "cuda", FLOAT, units_read=33), None, "heads of up to 32 units, not of 33"),
        ("triton", Request(cells.LSTM(), "cuda", FLOAT, units_read=4), None, "depends on other units"),
        ("triton", Request(cells.SRU(), "cuda", "torch.bfloat16"), None, "float32 and float64"),
        ("triton", Request(cells.SRU(), "cuda", FLOAT, transformed=True), None, "vmap"),
        ("triton", Request(cells.SRU(), "cuda", FLOAT, captured=True), None, "torch.compile"),
        ("triton", Request(cells.SRU(), "cuda", FLOAT, projected=True), None, "projected output"),
        ("triton_scan", Request(cells.RGLRU(), "cuda", FLOAT, zoneout=True), "triton_scan", ""),
        ("triton_scan", Request(cells.RGLRU(), "cpu", DOUBLE, interpreted=True), "triton_scan", ""),
        ("triton_scan", Request(cells.RGLRU(), "cpu", DOUBLE), None, "not on cpu"),
        ("triton_scan", Request(cells.RGLRU(), "cuda", FLOAT, without_triton="no triton"), None, "no triton"),
        ("triton_scan", Request(cells.RGLRU(), "cuda", "torch.bfloat16"), None, "float32 and float64"),
        ("triton_scan", Request(cells.RGLRU(), "cuda", FLOAT, transformed=True), None, "vmap"),
        ("triton_scan", Request(cells.SRU(), "cuda", FLOAT), None, "not affine"),
        ("triton_newton", Request(cells.SRU(), "cuda", FLOAT), "triton_newton", ""),
        ("triton_newton", Request(cells.SRU(), "cuda", FLOAT, without_triton="no triton"), None, "no triton"),
        ("triton_newton", Request(cells.LSTM(), "cuda", FLOAT), None, "depends on other units"),
        ("auto", Request(cells.RGLRU(), "cuda", FLOAT, long=True), "scan", ""),
        # Masks.
        ("native", Request(cells.LSTM(), "cpu", FLOAT, recurrent_dropout=True, zoneout=True), "native", ""),
        ("native", Request(cells.LSTM(), "cpu", FLOAT, projected=True, recurrent_dropout=True), "native", ""),
        ("native", Request(cells.LSTM(), "cpu", FLOAT, projected=True, zoneout=True), None, "zoneout of projected"),
        ("auto", Request(cells.LSTM(), "cpu", FLOAT, projected=True, zoneout=True), "reference", "zoneout of"),
        ("aten", Request(cells.LSTM(), "cpu", FLOAT, recurrent_dropout=True), None, "recurrent dropout"),
        ("aten", Request(cells.LSTM(), "cpu", FLOAT, zoneout=True), None, "zoneout"),
        # Transforms.
        ("auto", Request(cells.LSTM(), "cpu", FLOAT, transformed=True), "native", ""),
        ("aten", Request(cells.LSTM(), "cpu", FLOAT, transformed=True), None, "vmap"),
        ("auto", Request(cells.LSTM(), "cpu", FLOAT, transformed=True, uncompiled=UNCOMPILED), "reference", UNCOMPILED),
        ("native", Request(cells.LSTM(), "cpu", FLOAT, forward_mode=True), None, "native kernel has no forward-mode"),
        ("aten", Request(cells.LSTM(), "cpu", FLOAT, forward_mode=True), None, "fused kernels have no forward-mode"),
        ("auto", Request(cells.LSTM(), "cpu", FLOAT, forward_mode=True), "reference", "forward-mode"),
        ("reference", Request(Peephole(), "cpu", FLOAT, transformed=True, forward_mode=True), "reference", ""),
        # Graphs of others' making.
        ("auto", Request(cells.LSTM(), "cpu", FLOAT, traced=True), "aten", "torch.jit.trace"),
        ("auto", Request(Peephole(), "cpu", FLOAT, traced=True), "reference", "torch.jit.trace"),
        ("native", Request(cells.LSTM(), "cpu", FLOAT, traced=True), None, "torch.jit.trace"),
        ("auto", Request(cells.LSTM(), "cpu", FLOAT, compiled=True), "native", ""),
        ("auto", Request(cells.LSTM(), "cpu", FLOAT, compiled=True, uncompiled=UNCOMPILED), "reference", "compile"),
        ("auto", Request(cells.LSTM(), "cpu", DOUBLE, compiled=True, uncompiled=UNCOMPILED), "aten", UNCOMPILED),
        ("auto", Request(cells.LSTM(), "cuda", FLOAT, compiled=True), "aten", ""),
        ("aten", Request(cells.LSTM(), "cpu", FLOAT, compiled=True), None, "torch.compile cannot differentiate"),
    ],
)
def test_the_table(backend: str, request_: Request, chosen: str | None, reason: str) -> None:
    if chosen is None:
        with pytest.raises(BackendError) as raised:
            choose(backend, request_)
        assert reason in str(raised.value)
        assert "backend='auto'" in str(raised.value)
        return
    choice = choose(backend, request_)
    assert choice.backend == chosen
    assert reason in choice.reason
    assert bool(choice.reason) == bool(reason)
    assert choose(backend, request_) == choice


def test_auto_and_the_reference_serve_every_cell() -> None:
    for cell in CELLS:
        request = Request(cell, "cpu", "torch.float64")
        assert choose("reference", request) == Choice("reference")
        assert choose("auto", request).backend in BACKENDS[1:], cell


@pytest.mark.parametrize("backend", ["cudnn", "Auto", ""])
def test_an_unknown_backend(backend: str) -> None:
    with pytest.raises(ParameterError, match=r"^backend: expected one of auto, .*got '" + backend):
        choose(backend, Request(cells.LSTM(), "cpu", FLOAT))


def run(cell: Cell, backend: str = "auto") -> Any:
    x = torch.randn(3, 2, 2, dtype=torch.float64)
    return kernels.run(backend, cell, x, draw_state(cell, 2, 4), draw_weights(cell, 2, 4))


@pytest.fixture
def nothing_said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """The log, as if nothing had run before, with the extension or as if with it."""
    monkeypatch.setattr(extension, "is_installed", lambda: True)
    monkeypatch.setattr(sys.modules["recurra.kernels.log"], "_logged", set())
    caplog.set_level(logging.DEBUG, "recurra")
    return caplog


def test_a_fall_back_is_said_once(nothing_said: pytest.LogCaptureFixture) -> None:
    run(Untraceable())
    run(Untraceable())
    (record,) = nothing_said.records
    assert (record.name, record.levelname) == ("recurra.kernels", "WARNING")
    assert record.getMessage().startswith("running on the reference kernel: Untraceable.update (")
    assert "torch.erf(x.h + u.h)" in record.getMessage()


def test_nothing_is_said_of_what_was_asked_for_or_is_fastest(nothing_said: pytest.LogCaptureFixture) -> None:
    run(Peephole(), "reference")
    run(cells.LSTM(), "reference")
    run(cells.LSTM(), "aten")
    run(cells.LSTM())
    assert not nothing_said.records


def test_without_the_extension_all_runs_and_it_is_said_once(
    nothing_said: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extension, "is_installed", lambda: False)
    extension.unsupported_reason.cache_clear()
    for backend in ("auto", "aten", "reference"):
        output, _ = run(cells.LSTM(), backend)
        assert output.shape == (3, 2, 4)
    extension.unsupported_reason.cache_clear()
    (record,) = nothing_said.records
    assert "extension is not installed" in record.getMessage()


@pytest.mark.parametrize("backend", ["auto", "reference", "aten", "native"])
def test_a_subclass_with_other_equations_runs_its_own(backend: str) -> None:
    layer = Recurrent(OtherLSTM(), 3, 4, backend=backend, dtype=torch.float64)
    x = torch.randn(1, 2, 3, dtype=torch.float64)
    if backend == "aten":
        with pytest.raises(BackendError, match="OtherLSTM"):
            layer(x)
        return
    output, _ = layer(x)
    weights = layer.state_dict()
    projected = x[0] @ weights["weight_ih_l0"][:4].T + weights["bias_ih_l0"][:4]
    assert_agree(output.detach()[0], tanh(projected + weights["bias_hh_l0"][12:]))


@pytest.mark.parametrize("backend", ["auto", "reference", "aten"])
def test_a_projected_elman_network(backend: str) -> None:
    layer = Recurrent(cells.Elman(), 3, 4, proj_size=2, backend=backend, dtype=torch.float64)
    x = torch.randn(2, 1, 3, dtype=torch.float64)
    if backend == "aten":
        with pytest.raises(BackendError, match="projected output"):
            layer(x)
        return
    weights = {name.removesuffix("_l0"): value for name, value in layer.state_dict().items()}
    h = torch.zeros(1, 2, dtype=torch.float64)
    for step in x:
        projected = step @ weights["weight_ih"].T + weights["bias_ih"]
        h = tanh(projected + h @ weights["weight_hh"].T + weights["bias_hh"]) @ weights["weight_hr"].T
    assert_agree(layer(x)[0].detach()[-1], h)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("backend", ["aten", "native"])
def test_transforms_are_refused_by_name(backend: str) -> None:
    layer = Recurrent(cells.GRU(), 3, 4, backend=backend)
    x = torch.randn(2, 5, 2, 3)
    if backend == "aten":
        with pytest.raises(BackendError, match="vmap"):
            torch.func.vmap(layer)(x)
    with pytest.raises(BackendError, match="forward-mode"), torch.autograd.forward_ad.dual_level():
        layer(torch.autograd.forward_ad.make_dual(x[0], x[1]))


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_a_fall_back_to_forward_mode_is_said_once(nothing_said: pytest.LogCaptureFixture) -> None:
    layer, x = Recurrent(cells.GRU(), 3, 4), torch.randn(5, 2, 3)
    for _ in range(2):
        torch.func.jvp(lambda x: layer(x)[0], (x,), (x,))
    (record,) = nothing_said.records
    assert "no forward-mode derivatives" in record.getMessage()
