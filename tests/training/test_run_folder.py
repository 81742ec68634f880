"""`run.json`: what makes a folder a run."""

import json
from pathlib import Path

import pytest

import recurra
from recurra.errors import RunError
from recurra.training import Checkpoint, has_run, read_run, save_checkpoint, write_run


def test_values_come_back_with_what_wrote_them(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "run"
    write_run(folder, "forecast", {"horizon": 4, "source": "é.csv"})
    found = read_run(folder, "forecast")
    assert (found["horizon"], found["source"]) == (4, "é.csv")
    assert (found["task"], found["recurra"]) == ("forecast", recurra.__version__)
    assert read_run(folder) == found
    assert [file.name for file in folder.iterdir()] == ["run.json"]


def test_a_run_has_run_json_and_weights(tmp_path: Path) -> None:
    assert not has_run(tmp_path)
    write_run(tmp_path, "forecast", {})
    assert not has_run(tmp_path)
    save_checkpoint(Checkpoint(), tmp_path / "best.safetensors")
    assert has_run(tmp_path)
    (tmp_path / "run.json").unlink()
    assert not has_run(tmp_path)


def test_a_folder_without_is_not_a_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"run\.json; give .* `recurra train`"):
        read_run(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[1]", b"{}", b'{"format": 2}'])
def test_a_damaged_one_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(RunError, match=r"run\.json: (damaged|not of format 1)"):
        read_run(tmp_path)


def test_another_task_is_refused(tmp_path: Path) -> None:
    write_run(tmp_path, "speech", {})
    with pytest.raises(RunError, match="'speech', expected 'forecast'"):
        read_run(tmp_path, "forecast")


def test_values_cannot_pass_for_the_header(tmp_path: Path) -> None:
    write_run(tmp_path, "forecast", {"written": "later"})
    assert json.loads((tmp_path / "run.json").read_text())["format"] == 1
