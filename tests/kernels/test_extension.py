import platform
import sys
from pathlib import Path

import pytest

from recurra.cells import LSTM
from recurra.errors import CompilerError
from recurra.kernels.native import extension

KNOWN = ("avx2", "avx512", "neon")


def test_instruction_sets_are_known_names_in_order() -> None:
    found = extension.instruction_sets()
    assert isinstance(found, tuple)
    assert list(found) == sorted(set(found), key=KNOWN.index)


@pytest.mark.skipif(not extension.is_installed(), reason="needs the C++ extension")
@pytest.mark.skipif(sys.platform != "linux" or platform.machine() != "x86_64", reason="reads Linux's list of x86 flags")
def test_instruction_sets_are_the_kernel_s() -> None:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    flags = set(next(line for line in lines if line.startswith("flags")).split(":")[1].split())
    assert ("avx2" in extension.instruction_sets()) == ({"avx2", "fma"} <= flags)
    assert ("avx512" in extension.instruction_sets()) == ({"avx512f", "avx512vl", "avx512dq"} <= flags)


def test_absence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extension, "_native", None)
    assert not extension.is_installed()
    assert extension.instruction_sets() == ()
    with pytest.raises(CompilerError, match="RECURRA_NO_EXTENSION"):
        extension.compile_cell(LSTM())
