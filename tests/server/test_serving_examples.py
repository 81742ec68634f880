"""The Dockerfile and the systemd unit, as far as they can be checked without docker or systemd running."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from recurra.server import ServerOptions

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "serving"


def test_the_options_are_those_of_the_server() -> None:
    options = ServerOptions(token_file="tokens", **yaml.safe_load((EXAMPLES / "serve.yaml").read_text()))
    assert options.store.startswith("redis://")


def test_the_image_copies_what_the_build_reads() -> None:
    text = (EXAMPLES / "Dockerfile").read_text()
    copied = {name for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE) for name in line.split()}
    assert {"pyproject.toml", "CMakeLists.txt", "csrc", "src"} <= copied
    assert all((ROOT / name).exists() for name in copied)
    extras = re.search(r"'\.\[(.*)\]'", text)
    assert extras is not None
    assert set(extras[1].split(",")) == {"serve", "redis"}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_reads_the_unit(tmp_path: Path) -> None:
    unit = (EXAMPLES / "recurra-serve.service").read_text()
    program = "/opt/recurra/bin/recurra"
    assert program in unit
    file = tmp_path / "recurra-serve.service"
    file.write_text(unit.replace(program, sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", file], capture_output=True, text=True, check=False)
    # It may complain of units of this machine that the unit stands beside.
    assert not [line for line in done.stderr.splitlines() if file.name in line]
