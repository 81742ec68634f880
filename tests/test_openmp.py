"""OpenMP's threads wait briefly, whether recurra or torch is imported first, unless the environment says how."""

import os
import subprocess
import sys

import pytest

_SCRIPT = """
import os
{imports}
from recurra.openmp import torch_openmp, waiting
import torch
threads = len(os.listdir("/proc/self/task"))
print(waiting(), os.environ.get("GOMP_SPINCOUNT", ""), threads, torch_openmp() is not None, sep=" | ")
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc lists the threads")


def run(imports: str, **environment: str) -> tuple[str, str, int, bool]:
    """How threads wait, what the environment says then, the number of threads, and whether torch uses GNU OpenMP."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    script = _SCRIPT.format(imports=imports)
    done = subprocess.run(
        [sys.executable, "-c", script], env=inherited | environment, capture_output=True, text=True, check=True
    )
    words, spins, threads, gnu = done.stdout.strip().split(" | ")
    return words, spins, int(threads), gnu == "True"


def test_before_torch_the_environment_is_enough() -> None:
    words, spins, threads, _ = run("import recurra")
    assert (words, spins) == ("briefly", "1000")
    assert threads == run("import recurra", GOMP_SPINCOUNT="1000")[2]


def test_after_torch_threads_are_added_until_the_library_spins_briefly() -> None:
    words, _, threads, gnu = run("import torch\nimport recurra")
    if not gnu:
        pytest.skip("torch uses another OpenMP library")
    assert words == "briefly"
    # One thread holds the others: with those that torch starts there are more than processors.
    default = run("import torch\nimport recurra", GOMP_SPINCOUNT="1000")[2]
    assert threads >= default + 2


@pytest.mark.parametrize(
    ("imports", "name"),
    [("import recurra", "GOMP_SPINCOUNT"), ("import torch\nimport recurra", "OMP_WAIT_POLICY")],
    ids=["recurra", "torch"],
)
def test_a_user_s_choice_stands(imports: str, name: str) -> None:
    value = {"GOMP_SPINCOUNT": "5000", "OMP_WAIT_POLICY": "active"}[name]
    words, spins, _, _ = run(imports, **{name: value})
    assert words == "as the environment says"
    assert spins == ("5000" if name == "GOMP_SPINCOUNT" else "")
