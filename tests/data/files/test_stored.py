"""What is computed once from a file: by one process, until the file changes."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from recurra.data.files import stored
from recurra.data.files.stored import checksum, fact_of_file
from recurra.errors import DataError, RunError


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(stored, "_SETTLED", -1.0)
    path = tmp_path / "large"
    path.write_text("content")
    return path


def test_one_process_computes_a_fact_and_the_others_wait(path: Path) -> None:
    calls = []

    def slow() -> int:
        calls.append(threading.get_ident())
        time.sleep(0.1)
        return len(path.read_text())

    # The lock is of the open file, and keeps threads apart as it does processes.
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda _: fact_of_file(path, "size", slow), range(3))) == [7] * 3
    assert len(calls) == 1


def test_a_fact_is_computed_anew_where_the_file_changed_or_time_has_passed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.stat()
    first = checksum(path)
    while path.stat().st_ctime_ns == before.st_ctime_ns:  # within a tick of the clock
        path.write_text("CONTENT")  # as long, and by its own account as old
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    second = checksum(path)
    assert second != first
    calls: list[int] = []
    for seconds, count in ((600, 1), (600, 1), (0, 2)):
        monkeypatch.setattr(stored, "_TRUSTED", seconds)
        fact_of_file(path, "other", lambda: calls.append(1))
        assert len(calls) == count
    monkeypatch.setattr(stored, "_TRUSTED", 600)
    for record in (path.parent / "cache").rglob("*.json"):
        record.write_text('{"state": [')  # cut short
    assert checksum(path) == second


def test_a_file_that_was_just_written_is_read_by_each(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "_SETTLED", 3600.0)
    calls: list[int] = []
    for _ in range(2):
        fact_of_file(path, "size", lambda: calls.append(1))
    assert len(calls) == 2


def test_a_file_or_a_cache_that_cannot_be_used_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"gone: cannot be read \(No such file"):
        checksum(path.with_name("gone"))
    with pytest.raises(DataError, match=r"cannot be read \(Is a directory"):
        checksum(path.parent)
    monkeypatch.setenv("RECURRA_CACHE", str(path))
    with pytest.raises(RunError, match=r"cannot be written"):
        checksum(path)
