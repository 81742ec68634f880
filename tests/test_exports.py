"""The public names: all there, all loaded on first use, and `import recurra` light."""

import importlib
import pkgutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import pytest

import recurra


def modules() -> Iterator[str]:
    yield "recurra"
    for found in pkgutil.walk_packages(recurra.__path__, "recurra."):
        if not found.name.split(".")[-1].startswith("_"):
            yield found.name


MODULES = list(modules())


def test_the_modules_are_found() -> None:
    assert {"recurra.layers.recurrent", "recurra.kernels", "recurra.cells.lstm"} <= set(MODULES)


def test_every_exported_name_exists_and_stands_once() -> None:
    exported = {name: list(getattr(importlib.import_module(name), "__all__", [])) for name in MODULES}
    public = [f"{name}.{part}" for name, parts in exported.items() for part in parts]
    assert [name for name, count in Counter(public).items() if count > 1] == []
    lacking = [
        f"{name}.{part}" for name, parts in exported.items() for part in parts if not hasattr(sys.modules[name], part)
    ]
    assert lacking == []
    assert {"recurra.cells.LSTM", "recurra.layers.Recurrent", "recurra.errors.ShapeError"} <= set(public)


def test_dir_lists_the_public_names() -> None:
    assert sorted(recurra.__all__) == dir(recurra)
    assert {"LSTM", "Recurrent", "cells", "__version__"} <= set(dir(recurra))


def test_public_names_are_those_of_their_modules() -> None:
    assert recurra.LSTM is importlib.import_module("recurra.layers.standard").LSTM
    assert recurra.RecurrentCell is importlib.import_module("recurra.layers.step").RecurrentCell
    assert recurra.cells is sys.modules["recurra.cells"]


def test_unknown_names() -> None:
    with pytest.raises(AttributeError, match="module 'recurra' has no attribute 'GRUU'"):
        _ = recurra.GRUU  # pyright: ignore[reportAttributeAccessIssue]
    assert not hasattr(recurra, "utils")
    with pytest.raises(ImportError):
        exec("from recurra import GRUU")


def test_star_import() -> None:
    names: dict[str, object] = {}
    exec("from recurra import *", names)
    assert set(recurra.__all__) <= set(names)


HEAVY = {"torch", "numpy", "polars", "matplotlib", "jsonargparse", "safetensors", "tqdm"}


@pytest.mark.parametrize(
    "statement",
    [
        "import recurra; dir(recurra); recurra.__version__",
        "import recurra.errors, recurra.files, recurra.shapes",
        "from recurra.cli.main import main; assert main(['--help']) == 0",
        "from recurra.cli.main import main; assert main(['--version']) == 0",
        "from recurra.cli.main import main; assert main([]) == 0",
        "from recurra.cli.main import main; assert main(['nothing']) == 2",
    ],
)
def test_nothing_heavy_is_imported(statement: str) -> None:
    script = f"import sys; {statement}; print('loaded', *(sys.modules.keys() & {HEAVY!r}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded"


def test_the_program_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "recurra", "--version"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, f"recurra {recurra.__version__}\n")
