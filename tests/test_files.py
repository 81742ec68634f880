"""Files are replaced whole or not at all, and a place that cannot be written is a RunError."""

import errno
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from recurra import files
from recurra.errors import RunError
from recurra.files import prepare_folder, write_atomically, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_writes_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "zuerst: ä\n")
    assert path.read_bytes() == "zuerst: ä\n".encode()
    write_text(path, "then")
    assert path.read_text() == "then"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()], ids=["an error", "an interrupt"])
def test_a_writer_that_fails_midway_leaves_the_old_file(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write(aside: Path) -> None:
        aside.write_text("half of the n")
        assert path.read_text() == "old"
        raise error

    with pytest.raises(type(error)):
        write_atomically(path, write)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("step", ["writer", "fsync", "replace"])
def test_a_full_disk_is_a_run_error(tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def write(aside: Path) -> None:
        aside.write_text("new")
        if step == "writer":
            full()

    if step != "writer":
        monkeypatch.setattr(files.os, step, full)
    with pytest.raises(RunError, match=r"a\.txt: cannot be written \(No space left on device\)") as raised:
        write_atomically(path, write)
    assert isinstance(raised.value.__cause__, OSError)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_writer_that_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"a\.txt: cannot be written"):
        write_atomically(tmp_path / "a.txt", lambda aside: None)
    assert names(tmp_path) == []


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "folder").mkdir()
    for path in (
        tmp_path / "file" / "a.txt",  # under a regular file
        tmp_path / "missing" / "a.txt",
        tmp_path / "folder",
        tmp_path / ("n" * 300),
        Path("/proc/recurra.txt"),
        Path(),  # the folder that the program runs in
    ):
        with pytest.raises(RunError, match="cannot be written"):
            write_text(path, "new")
    assert names(tmp_path) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "old"


def test_a_reader_never_sees_a_part(tmp_path: Path) -> None:
    path, done = tmp_path / "a.txt", threading.Event()
    texts = {"a" * 100_000, "b" * 50_000}
    write_text(path, min(texts))
    seen: set[str] = set()

    def read() -> None:
        while not done.is_set():
            seen.add(path.read_text())

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(20):
        for text in texts:
            write_text(path, text)
    done.set()
    reader.join()
    assert seen <= texts
    assert seen


def test_prepare_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    prepare_folder(folder)
    prepare_folder(folder)
    assert folder.is_dir()
    assert names(folder) == []


def test_a_folder_that_several_threads_prepare_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(prepare_folder, [tmp_path / "folder"] * 400))
    assert names(tmp_path / "folder") == []


def test_a_folder_that_cannot_be_prepared(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    for path in (tmp_path / "file", tmp_path / "file" / "folder", Path("/proc/recurra")):
        with pytest.raises(RunError, match="choose another folder"):
            prepare_folder(path)
    assert names(tmp_path) == ["file"]
