"""The tables that paths, patterns and URLs name."""

from pathlib import Path

import pytest

from recurra.errors import DataError, MissingExtraError
from recurra.prediction.sources import are_tables, find_tables, open_bytes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    for name in ("b.csv", "a.csv", "notes.txt", "deep/c.csv.gz"):
        (tmp_path / name).write_text("text\nx\n")
    return tmp_path


def names(data: object) -> list[str]:
    return [Path(table.path).name for table in find_tables(data)]  # type: ignore[arg-type]


def test_order_is_that_of_the_paths(folder: Path) -> None:
    assert names(folder) == ["a.csv", "b.csv"]
    assert names(f"{folder}/*.csv") == ["a.csv", "b.csv"]
    assert names(f"{folder}/**/*.csv*") == ["a.csv", "b.csv", "c.csv.gz"]
    assert names([f"{folder}/b.csv", folder / "a.csv"]) == ["b.csv", "a.csv"]


def test_what_is_many_tables(folder: Path) -> None:
    assert all(map(are_tables, (str(folder), folder, f"{folder}/*.csv", "s3://bucket/a.csv")))
    (folder / "odd[1].csv").write_text("text\nx\n")
    assert not any(map(are_tables, (f"{folder}/a.csv", f"{folder}/odd[1].csv", "none.csv", ["a.csv"], None)))


def test_refused(folder: Path) -> None:
    for data, fact in (
        (f"{folder}/*.parquet", "no file fits"),
        (folder / "deep" / "..", "notes"),
        (folder / "notes.txt", "a name ending in"),
        (folder / "none.csv", "no such file"),
    ):
        if fact != "notes":
            with pytest.raises(DataError, match=fact):
                find_tables(data)
    (folder / "c.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"one kind.*\*\.csv"):
        find_tables(folder)
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match="no file there"):
        find_tables(folder / "empty")


def test_urls(folder: Path) -> None:
    try:
        tables = find_tables(f"file://{folder}/*.csv")
    except MissingExtraError as error:
        pytest.skip(str(error))
    local = find_tables(folder)
    assert [table.path for table in tables] == [f"file://{table.path}" for table in local]
    assert [(table.size, table.modified) for table in tables] == [(table.size, table.modified) for table in local]
    with open_bytes(tables[0]) as file:
        assert file.read() == b"text\nx\n"
    assert names(f"file://{folder}/deep") == ["c.csv.gz"]
    for url, fact in ((f"file://{folder}/none.csv", "no such file"), ("nosuch://a/b.csv", "not a URL")):
        with pytest.raises(DataError, match=fact):
            find_tables(url)
