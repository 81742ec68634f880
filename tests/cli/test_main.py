import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import recurra
from recurra.cli import commands
from recurra.cli.main import main


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "forcast"], "task: expected one of "),
        (["train"], "task: expected one of "),
        (["trian"], "got 'trian'. Did you mean 'train'?"),
        (["--frobnicate"], "command: expected one of train, "),
        (["info", "more"], "more"),
    ],
)
def test_a_mistaken_command_is_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    assert main(arguments) == 2
    found = capsys.readouterr().err
    assert found.startswith("recurra: error: ")
    assert found.count("\n") == 1
    assert message in found


@pytest.mark.parametrize(
    "command", [["train", "forecast"], ["train"], ["evaluate"], ["predict"], ["demo"], ["info"], []]
)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help(command: list[str], option: str, capsys: pytest.CaptureFixture[str]):
    try:
        status = main([*command, option])
    except SystemExit as end:
        status = end.code
    assert status == 0
    found = capsys.readouterr()
    assert found.out.startswith(" ".join(["usage: recurra", *command]))
    assert found.err == ""


def test_info_and_version(capsys: pytest.CaptureFixture[str]):
    assert main(["info"]) == 0
    found = capsys.readouterr().out
    assert re.search(rf"^recurra +{re.escape(recurra.__version__)}$", found, re.MULTILINE)
    for name in ("torch", "python", "machine", "threads", "CUDA device", "Triton", "C++ extension"):
        assert re.search(rf"^{re.escape(name)}  +\S", found, re.MULTILINE)
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"recurra {recurra.__version__}\n"
    assert main([]) == 0
    assert capsys.readouterr().out.startswith("usage: recurra COMMAND")


def test_info_of_a_cell(capsys: pytest.CaptureFixture[str]):
    assert main(["info", "--cell", "sru"]) == 0
    found = capsys.readouterr().out
    assert re.search(
        r"^next state +every unit depends on its own c alone \(diagonal\); not affine$", found, re.MULTILINE
    )
    assert re.search(r"^kernels, CPU +reference, .*newton$", found, re.MULTILINE)
    untried = "newton, triton, triton_newton"
    assert re.search(rf"^kernels, CUDA +reference, {untried}; not yet run on a GPU: {untried}$", found, re.MULTILINE)
    assert main(["info", "--cell", "lstn"]) == 2
    assert "cell: expected one of" in capsys.readouterr().err


def test_the_module_is_the_command():
    found = subprocess.run([sys.executable, "-m", "recurra", "--help"], capture_output=True, text=True, check=True)
    assert found.stdout.startswith("usage: recurra COMMAND")
    failed = subprocess.run([sys.executable, "-m", "recurra", "bake"], capture_output=True, text=True, check=False)
    assert failed.returncode == 2
    assert failed.stderr.startswith("recurra: error: command: expected one of train, ")


def test_help_loads_neither_torch_nor_the_tasks():
    script = "import sys; from recurra.cli.main import main; main([]); print({'torch', 'polars'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "set()"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_each_shell(shell: str, capsys: pytest.CaptureFixture[str]):
    assert main(["completion", shell]) == 0
    assert "recurra" in capsys.readouterr().out
    assert main(["completion", "tcsh"]) == 2


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("recurra tra", {"train", "transcribe"}),
        ("recurra train tr", {"translate"}),
        ("recurra train tag --hidden", {"--hidden-size"}),
        ("recurra completion f", {"fish"}),
    ],
)
def test_a_shell_completes_commands_tasks_and_options(line: str, expected: set[str], tmp_path: Path):
    """As argcomplete asks for completions: by environment variables, the answer in a file."""
    answer = tmp_path / "answer"
    environment = {
        **os.environ,
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "_ARGCOMPLETE_IFS": "\n",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
    }
    code = "from recurra.cli.main import main; main()"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True)
    assert {word.strip() for word in answer.read_text().split("\n")} == expected


def test_what_is_printed_may_have_an_end_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    printed: list[str] = []

    def show(piece: str, **_: Any) -> None:
        if piece == "two":
            raise KeyboardInterrupt
        printed.append(piece)

    def pieces(ends: bool) -> Iterator[str]:
        try:
            yield from ("one", "two", "three")
        except KeyboardInterrupt:
            if not ends:
                raise
            yield "the end"

    monkeypatch.setattr("builtins.print", show)
    commands._print(pieces(ends=True))
    assert printed == ["one", "the end"]
    for rest in (pieces(ends=False), iter(["two"])):
        with pytest.raises(KeyboardInterrupt):
            commands._print(rest)
