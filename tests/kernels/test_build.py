"""An extension that does not fit the Python code is refused at import, with the command that mends it."""

import ctypes
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from recurra.errors import RecurraError, StaleBuildError
from recurra.kernels.native import extension
from recurra.kernels.native.build import check_build, source_digest

CHECKOUT = Path(__file__).parents[2]
needs_extension = pytest.mark.skipif(not extension.is_installed(), reason="needs the C++ extension")


class Record(ctypes.Structure):
    _fields_ = (("steps", ctypes.c_int64), ("zoneout", ctypes.c_void_p * 2), ("output", ctypes.c_void_p))


LAYOUT = [("steps", 0, 8), ("zoneout", 8, 16), ("output", 24, 8)]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "csrc"
    folder.mkdir()
    (folder / "call.hpp").write_text("struct Call {};\n")
    (folder / "entries.cpp").write_text("int entries;\n")
    return tmp_path


def built(checkout: Path, layout: Any = None) -> SimpleNamespace:
    return SimpleNamespace(
        source_digest=source_digest(checkout / "csrc"),
        call_layout=lambda: LAYOUT if layout is None else layout,
        nonlinearities={"identity": 0, "tanh": 1, "sigmoid": 2, "relu": 3},
    )


@needs_extension
def test_the_installed_extension_is_that_of_the_sources() -> None:
    native = extension._native
    assert native is not None
    assert native.source_digest == source_digest(CHECKOUT / "csrc")
    assert native.call_layout()[-1][0] == "d_weight"
    check_build(native, extension.Call, CHECKOUT)


def test_an_extension_that_fits(checkout: Path) -> None:
    check_build(built(checkout), Record, checkout)


@pytest.mark.parametrize("change", ["edited", "added", "removed", "renamed"])
def test_other_sources_are_refused(checkout: Path, change: str) -> None:
    native, folder = built(checkout), checkout / "csrc"
    if change == "edited":
        (folder / "call.hpp").write_text("struct Call { int more; };\n")
    elif change == "added":
        (folder / "new.hpp").touch()
    elif change == "removed":
        (folder / "entries.cpp").unlink()
    else:
        (folder / "entries.cpp").rename(folder / "other.cpp")
    with pytest.raises(StaleBuildError, match=r"^recurra\._native is stale: .*csrc\. Run: make setup [^\n]*$"):
        check_build(native, Record, checkout)


def test_a_build_that_recorded_no_hash_is_refused(checkout: Path) -> None:
    with pytest.raises(StaleBuildError, match="make setup"):
        check_build(SimpleNamespace(call_layout=lambda: LAYOUT), Record, checkout)


LAYOUTS = {
    "steps": [("stride", 0, 8), *LAYOUT[1:]],
    "zoneout": [LAYOUT[0], ("zoneout", 8, 24), ("output", 32, 8)],
    "output": [*LAYOUT[:2], ("output", 32, 8)],
    "the number of fields": [*LAYOUT, ("more", 32, 8)],
}


@pytest.mark.parametrize("differing", LAYOUTS)
def test_another_call_record_is_refused(checkout: Path, tmp_path: Path, differing: str) -> None:
    with pytest.raises(StaleBuildError, match=rf"at {differing}\. Run: make setup"):
        check_build(built(checkout, LAYOUTS[differing]), Record, checkout)
    # An installed wheel has no sources.
    with pytest.raises(StaleBuildError, match=rf"at {differing}\. Run: pip install --force-reinstall"):
        check_build(built(checkout, LAYOUTS[differing]), Record, tmp_path / "site-packages")


def test_another_enumeration_is_refused(checkout: Path) -> None:
    native = built(checkout)
    native.nonlinearities = {"identity": 0, "sigmoid": 1, "tanh": 2, "relu": 3}
    with pytest.raises(StaleBuildError, match=r"counts the nonlinearities otherwise .* Run: make setup"):
        check_build(native, Record, checkout)


def test_an_installed_wheel_has_nothing_to_compare_its_hash_with(checkout: Path, tmp_path: Path) -> None:
    native = built(checkout)
    native.source_digest = "another"
    check_build(native, Record, tmp_path / "site-packages")


def test_it_is_both_an_import_error_and_one_of_recurra() -> None:
    assert issubclass(StaleBuildError, ImportError)
    assert issubclass(StaleBuildError, RecurraError)


IMPORTED_TWICE = """
import sys, pathlib
sys.path[:0] = {paths!r}
try:
    import recurra.kernels
except ImportError as error:
    print(f"{{type(error).__name__}}: {{error}}")
pathlib.Path({header!r}).write_text({whole!r})
import recurra.kernels
print(recurra.kernels.__file__)
"""


@needs_extension
def test_it_is_refused_at_import(tmp_path: Path) -> None:
    """A copy of the checkout with one header changed, beside the extension of the whole one."""
    native = extension._native
    assert native is not None
    shutil.copytree(CHECKOUT / "src", tmp_path / "src")
    shutil.copytree(CHECKOUT / "csrc", tmp_path / "csrc")
    shutil.copy(str(native.__file__), tmp_path / "src" / "recurra")
    # Without the site's hooks, which would find the package of this checkout.
    paths = [str(tmp_path / "src"), *(path for path in sys.path if path.endswith("site-packages"))]
    header = tmp_path / "csrc" / "vector.hpp"
    program = IMPORTED_TWICE.format(paths=paths, header=str(header), whole=header.read_text())
    with header.open("a") as file:
        file.write("// changed\n")
    done = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    refused, imported = done.stdout.splitlines()
    assert "StaleBuildError: recurra._native is stale" in refused
    assert str(tmp_path) in imported
