"""Help is quick: no command's help imports torch."""

import subprocess
import sys

import pytest

from recurra.tasks import TASKS

HEAVY = ("torch", "numpy", "polars", "matplotlib")


@pytest.mark.parametrize("command", [["train", name, "--help-all"] for name in TASKS] + [["train", "--help"], []])
def test_help_imports_nothing_heavy(command: list[str]) -> None:
    code = (
        "import sys; from recurra.cli.main import main; status = main(sys.argv[1:]); "
        f"print('heavy:', [name for name in {HEAVY} if name in sys.modules]); sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy: []"
