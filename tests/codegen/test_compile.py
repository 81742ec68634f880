"""A user's cell, compiled at first use: kept by content, safe with many processes, and clear where it fails."""

import logging
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

import recurra
from agreement import assert_agree
from every_cell import draw_state, draw_weights
from recurra import cells, kernels, ops
from recurra.cells import Cell, Gates, PerUnit, State
from recurra.codegen.compile import compile_library, find_compiler
from recurra.errors import BackendError, CellError, CompilerError, ParameterError
from recurra.kernels.native import extension


def reason_to_skip() -> str:
    if not extension.is_installed():
        return "needs the C++ extension"
    try:
        find_compiler()
    except CompilerError as error:
        return str(error)
    return ""


pytestmark = pytest.mark.skipif(bool(reason_to_skip()), reason=reason_to_skip() or "none")


@dataclass(frozen=True)
class Leaky(Cell):
    """A cell that the package does not know."""

    rate: float = 0.5

    gates = ("a",)
    state = ("h",)

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=s.h + self.rate * (ops.tanh(x.a + u.a) - s.h))


@dataclass(frozen=True)
class GRU(Cell):
    """Printed as the package's own GRU is, with other equations."""

    gates = ("r", "z", "n")
    state = ("h",)

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=ops.sigmoid(x.r + u.z) * s.h + ops.tanh(x.n))


WRITES_ITS_ARGUMENTS = 'for last; do :; done; echo "$@" > "$last"'


class Compilations(list[list[str]]):
    """The commands that were run."""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache, and nothing compiled in this process."""
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))

    def forget() -> None:
        extension.compiled_cell.cache_clear()
        extension.unsupported_reason.cache_clear()

    forget()
    yield tmp_path / "cache"
    forget()


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> Compilations:
    seen = Compilations()
    run = subprocess.run

    def spy(command: Any, *arguments: Any, **options: Any) -> Any:
        seen.append(command)
        return run(command, *arguments, **options)

    monkeypatch.setattr(subprocess, "run", spy)
    return seen


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the library of `GRU`, made by the machine's own compiler."""
    folder = tmp_path_factory.mktemp("compiled")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RECURRA_CACHE", str(folder))
        recurra.compile_cell(GRU())
    assert len(list(folder.iterdir())) == 1
    return folder


def library_of(cell: Cell) -> Path:
    native = extension._native
    assert native is not None
    return compile_library(cell, native.headers(), 16)


def fake_compiler(folder: Path, script: str) -> str:
    path = folder / "fake-c++"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler that is done at once."""
    monkeypatch.setenv("CXX", fake_compiler(tmp_path, WRITES_ITS_ARGUMENTS))


def run(cell: Cell, backend: str) -> Any:
    torch.manual_seed(3)
    x = torch.randn(5, 3, 2, dtype=torch.float64)
    return kernels.run(backend, cell, x, draw_state(cell, 3, 6), draw_weights(cell, 2, 6))


@pytest.mark.usefixtures("quick")
def test_compiled_once_and_kept(cache: Path, compilations: Compilations) -> None:
    first = library_of(Leaky())
    assert first.parent == cache
    assert len(compilations) == 1
    assert library_of(Leaky()) == first
    assert library_of(Leaky(0.5)) == first
    assert len(compilations) == 1
    assert [path.name for path in cache.iterdir()] == [first.name]


def test_other_equations_width_or_compiler_are_another_library(
    cache: Path, compilations: Compilations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    native = extension._native
    assert native is not None
    monkeypatch.setenv("CXX", fake_compiler(tmp_path, WRITES_ITS_ARGUMENTS))
    first = library_of(Leaky())
    assert library_of(Leaky(0.25)) != first
    assert compile_library(Leaky(), native.headers(), 32) != first
    assert compile_library(Leaky(), {**native.headers(), "call.hpp": "// another"}, 16) != first
    (tmp_path / "other").mkdir()
    monkeypatch.setenv("CXX", fake_compiler(tmp_path / "other", WRITES_ITS_ARGUMENTS))
    assert library_of(Leaky()) != first
    assert len(compilations) == 5


@pytest.mark.usefixtures("quick")
def test_the_user_s_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path) -> None:
    monkeypatch.delenv("RECURRA_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert library_of(Leaky()).parent == tmp_path / "xdg" / "recurra" / "cells"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert library_of(Leaky()).parent == tmp_path / "home" / ".cache" / "recurra" / "cells"

    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nowhere)
    with pytest.raises(CompilerError, match="RECURRA_CACHE"):
        library_of(Leaky())


def test_several_at_once_leave_one_library(
    cache: Path, compilations: Compilations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads here: like processes they share what is on disk, and they share the process too."""
    monkeypatch.setenv("CXX", fake_compiler(tmp_path, f"sleep 0.5; {WRITES_ITS_ARGUMENTS}"))
    with ThreadPoolExecutor(3) as pool:
        (library,) = set(pool.map(library_of, [Leaky()] * 3))
    assert len(compilations) == 3
    assert list(cache.iterdir()) == [library]
    assert library_of(Leaky()) == library
    assert len(compilations) == 3


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'cell.cpp:1:1: error: no more' >&2; exit 1", "error: no more"),
        ("printf 'killed \\377' >&2; exit 4", "killed"),
        ("exit 0", "could not compile"),
    ],
    ids=["an error", "no error", "no library"],
)
def test_a_compiler_that_fails(
    script: str, said: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = fake_compiler(tmp_path, script)
    monkeypatch.setenv("CXX", compiler)
    with pytest.raises(CompilerError, match="Leaky") as raised:
        recurra.compile_cell(Leaky())
    assert compiler in str(raised.value)
    assert said in str(raised.value)
    assert not list(cache.iterdir())


def test_a_compiler_that_cannot_be_run(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = tmp_path / "not-a-program"
    compiler.write_bytes(b"\x7fELF of another machine")
    compiler.chmod(0o700)
    monkeypatch.setenv("CXX", str(compiler))
    with pytest.raises(CompilerError, match=r"not-a-program cannot be run .* set CXX"):
        recurra.compile_cell(Leaky())


@pytest.fixture
def no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(sys.modules["recurra.kernels.log"], "_logged", set())
    caplog.set_level(logging.WARNING, "recurra")
    return caplog


def assert_falls_back(said: pytest.LogCaptureFixture, reason: str, cell: Cell | None = None) -> None:
    cell = cell or Leaky()
    for _ in range(3):
        assert_agree(run(cell, "auto"), run(cell, "reference"))
    (record,) = said.records
    assert record.getMessage().startswith("running on the reference kernel: ")
    assert reason in record.getMessage()


@pytest.mark.usefixtures("no_compiler", "cache")
def test_no_compiler(said: pytest.LogCaptureFixture) -> None:
    with pytest.raises(CompilerError, match="no C\\+\\+ compiler"):
        recurra.compile_cell(Leaky())
    assert_falls_back(said, "no C++ compiler")


@pytest.mark.slow
def test_compile_cell_clears_an_earlier_failure(
    tmp_path: Path, cache: Path, compiled: Path, monkeypatch: pytest.MonkeyPatch, said: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("RECURRA_CACHE", str(compiled))
    with monkeypatch.context() as without:
        without.setenv("PATH", str(tmp_path))
        without.delenv("CXX", raising=False)
        assert_falls_back(said, "no C++ compiler", GRU())
    recurra.compile_cell(GRU())
    said.clear()
    monkeypatch.setattr(sys.modules["recurra.kernels.log"], "_logged", set())
    assert_agree(run(GRU(), "native"), run(GRU(), "reference"))
    assert_agree(run(GRU(), "auto"), run(GRU(), "reference"))
    assert not said.records


@pytest.mark.usefixtures("no_compiler", "cache")
def test_built_in_cells_need_no_compiler(said: pytest.LogCaptureFixture) -> None:
    recurra.compile_cell(cells.LSTM())
    assert_agree(run(cells.LSTM(), "native"), run(cells.LSTM(), "reference"))
    assert not said.records


def test_a_cache_that_cannot_be_written(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, said: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(CompilerError, match=r"cannot be written .* set RECURRA_CACHE"):
        recurra.compile_cell(Leaky())
    assert_falls_back(said, "RECURRA_CACHE")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_cache(cache: Path) -> None:
    cache.mkdir()
    cache.chmod(0o500)
    with pytest.raises(CompilerError, match="RECURRA_CACHE"):
        recurra.compile_cell(Leaky())


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "damage",
    [lambda b: b"", lambda b: b[: len(b) // 2], lambda b: bytes(len(b)), lambda b: b[:-1]],
    ids=["empty", "truncated", "zeros", "a byte short"],
)
def test_a_damaged_library_is_made_anew(
    cache: Path, compilations: Compilations, damage: Callable[[bytes], bytes]
) -> None:
    library = library_of(Leaky())
    whole = library.read_bytes()
    library.unlink()
    library.write_bytes(damage(whole))
    assert library_of(Leaky()) == library
    assert len(compilations) == 2
    assert len(library.read_bytes()) == len(whole)
    assert library_of(Leaky()) == library
    assert len(compilations) == 2


def test_a_library_that_cannot_be_loaded(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, said: pytest.LogCaptureFixture
) -> None:
    """Such as one on a file system mounted noexec."""
    monkeypatch.setenv("CXX", fake_compiler(tmp_path, WRITES_ITS_ARGUMENTS))
    with pytest.raises(CompilerError, match=r"\.so cannot be loaded .* set RECURRA_CACHE"):
        recurra.compile_cell(Leaky())
    assert_falls_back(said, "cannot be loaded")


def test_compile_cell_does_it_ahead_also_for_a_cell_named_as_one_of_the_package(
    cache: Path, compiled: Path, compilations: Compilations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECURRA_CACHE", str(compiled))
    assert repr(GRU()) == repr(cells.GRU())
    recurra.compile_cell(GRU())
    assert_agree(run(GRU(), "native"), run(GRU(), "reference"))
    assert_agree(run(GRU(), "auto"), run(GRU(), "reference"))
    recurra.compile_cell(GRU())
    assert_agree(run(cells.GRU(), "native"), run(cells.GRU(), "reference"))
    assert not compilations
    assert len(list(compiled.iterdir())) == 1


@pytest.mark.parametrize("given", [Leaky, "LSTM", None, torch.nn.LSTM(1, 1)])
def test_compile_cell_refuses_what_is_not_a_cell(given: Any) -> None:
    with pytest.raises(ParameterError, match=r"^cell: expected a Cell such as recurra\.cells\.LSTM\(\)"):
        recurra.compile_cell(given)


def test_compile_cell_refuses_equations_that_cannot_be_traced(cache: Path, said: pytest.LogCaptureFixture) -> None:
    @dataclass(frozen=True)
    class Untraceable(Leaky):
        def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
            return State(h=x.a.clamp(0, 1))

    with pytest.raises(CellError, match=r"^Untraceable\.update \(.*x\.a\.clamp\(0, 1\)"):
        recurra.compile_cell(Untraceable())
    assert not cache.exists()


def test_a_cell_of_too_many_parts(cache: Path, said: pytest.LogCaptureFixture) -> None:
    """More than the engine has places for."""

    @dataclass(frozen=True)
    class Parts(Cell):
        gates = ("a",)
        state = tuple(f"s{k}" for k in range(extension.MOST_PARTS + 1))

        def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
            return State(**{name: ops.tanh(x.a + u.a + getattr(s, name)) for name in self.state})

    with pytest.raises(CellError, match=r"Parts\(\) has 9 .* 8"):
        recurra.compile_cell(Parts())
    with pytest.raises(BackendError, match="9 parts of state"):
        run(Parts(), "native")
    assert_agree(run(Parts(), "auto"), run(Parts(), "reference"))
    (record,) = said.records
    assert "9 parts of state" in record.getMessage()
    assert not cache.exists()


def test_every_operation_compiles_and_computes(cache: Path) -> None:
    """On both types and at lanes' ends; gradients too."""

    @dataclass(frozen=True)
    class Everything(Cell):
        gates = ("a", "b")
        state = ("h", "c")
        per_unit = ("p",)

        def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
            a, b = x.a + 0.3 * u.a, 0.5 * x.b - u.b
            c = ops.minimum(a, b) * p.p + ops.maximum(s.c, -0.125) / (2 + b**2) - abs(a) + ops.sqrt(1 + a**2)
            c = c + ops.sin(3.0 * a) * ops.cos(b - 2.0) + ops.floor(2.5 * b) * p.p
            c = c + ops.log(1.5 + ops.absolute(b)) + ops.exp(-(c**2)) + ops.softplus(b) + ops.relu(a)
            d = (
                ops.where(a < b, c, s.h)
                + ops.where(a <= b, 1.0, c)
                + ops.where(a > 0.5, a, b)
                + ops.where(a >= b, b, 2)
            )
            d = d + ops.where(ops.relu(a) == 0, a, b) - ops.where(ops.relu(b) != 0, c, 1)
            return State(h=ops.tanh(0.25 * d) * ops.sigmoid(c), c=0.25 * c)

    for dtype in (torch.float64, torch.float32):
        found = []
        for backend in ("native", "reference"):
            torch.manual_seed(1)
            weights, state = draw_weights(Everything(), 3, 11, dtype), draw_state(Everything(), 5, 11, dtype=dtype)
            x = torch.randn(4, 5, 3, dtype=dtype).requires_grad_()
            output, final = kernels.run(backend, Everything(), x, state, weights)
            wanted = [x, *state, weights.weight_hh, weights.bias_ih, weights.per_unit]
            loss = output.sum() + final[1].square().sum()
            gradients = torch.autograd.grad(loss, wanted)
            size = max(gradient.abs().max().item() for gradient in gradients)
            found.append([output, *final, *(gradient / size for gradient in gradients)])
        assert_agree(found[0], found[1])
