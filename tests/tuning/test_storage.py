"""The journal file of a search, shared by several folders or left half written."""

from pathlib import Path

import pytest

from recurra.errors import RunError
from recurra.tuning.storage import open_storage, storage_errors, try_lock


def names(folder: Path) -> list[str]:
    storage = open_storage(None, folder)
    return [study.study_name for study in storage.get_all_studies()]


def test_a_half_written_line_is_cut_off(tmp_path: Path) -> None:
    from optuna.study import StudyDirection

    open_storage(None, tmp_path).create_new_study([StudyDirection.MINIMIZE], "first")
    journal = tmp_path / "journal.log"
    whole = journal.read_bytes()
    journal.write_bytes(whole + whole[:10])
    open_storage(None, tmp_path).create_new_study([StudyDirection.MINIMIZE], "second")
    assert names(tmp_path) == ["first", "second"]
    assert journal.read_bytes().startswith(whole)
    journal.write_bytes(b"[\n" + whole)
    with pytest.raises(RunError, match=r"journal\.log: damaged"):
        names(tmp_path)


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    import os

    held = try_lock(tmp_path / "a.lock")
    assert held is not None
    assert try_lock(tmp_path / "a.lock") is None
    os.close(held)
    again = try_lock(tmp_path / "a.lock")
    assert again is not None
    os.close(again)


def test_passwords_are_not_shown(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="storage: nodriver://host/db cannot be used") as raised:
        open_storage("nodriver://me:secret@host/db", tmp_path)
    assert "secret" not in str(raised.value)


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError), storage_errors("here"):
        raise KeyError("x")
    with pytest.raises(RunError, match="here: cannot be read or written"), storage_errors("here"):
        raise OSError(28, "No space left on device")
