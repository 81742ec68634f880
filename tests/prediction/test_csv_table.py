"""Tables of delimited text, from any row on."""

import csv
import gzip
import io
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.errors import DataError
from recurra.prediction.csv_table import CsvTable
from recurra.prediction.sources import find_tables
from recurra.prediction.tables import Tables

CELLS = st.text(st.sampled_from('ab, "\n;é'), max_size=6)


@contextmanager
def table(path: Path, content: bytes) -> Iterator[CsvTable]:
    path.write_bytes(content)
    with closing(CsvTable(find_tables(path)[0], 0)) as opened:
        yield opened


@given(rows=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=12), at_once=st.integers(1, 5), tabs=st.booleans())
def test_pieces_are_read_as_the_whole(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], at_once: int, tabs: bool
) -> None:
    if tabs:
        rows = [tuple(cell.replace("\n", "").replace('"', "") for cell in row) for row in rows]  # type: ignore[misc]
    text = io.StringIO()
    csv.writer(text, delimiter="\t" if tabs else ",", lineterminator="\n").writerows([("first", "second"), *rows])
    path = tmp_path_factory.mktemp("tables") / "a.csv"
    with table(path, text.getvalue().encode()) as read:
        chunks = list(read.chunks(["second", "first"], at_once, 1 << 20))
    cells = [row for chunk in chunks for row in chunk.frame.rows()]
    assert cells == [(second, first) for first, second in rows]
    assert [chunk.piece.row for chunk in chunks] == list(range(1, len(rows) + 1, at_once))
    with closing(Tables(find_tables(path))) as tables:
        for chunk in reversed(chunks):
            again = tables.read(["second", "first"], chunk.piece)
            assert again.frame.equals(chunk.frame)
            assert (again.piece, again.lines) == (chunk.piece, chunk.lines)


def test_faults_are_of_one_row(tmp_path: Path) -> None:
    content = b'id,text\n1,good\n2,"never closed\n3,a,b\n\n4,caf\xe9\n5,"a ""b"""\n6,"two\nlines"\n7,"a"b\n8,end\n'
    with table(tmp_path / "a.csv", content) as read:
        (rows,) = read.chunks(["text"], 100, 1 << 20)
    assert rows.frame["text"].to_list() == ["good", None, None, None, 'a "b"', "two\nlines", None, "end"]
    assert sorted(rows.faults) == [1, 2, 3, 6]
    assert rows.lines == [2, 3, 4, 6, 7, 8, 10, 11]
    assert "quotes" in rows.faults[1]
    assert "3 cells" in rows.faults[2]
    assert "UTF-8" in rows.faults[3]
    assert rows.content(2) == ["3", "a", "b"]
    assert rows.content(7) == {"id": "8", "text": "end"}


def test_a_row_larger_than_a_piece_is_a_piece(tmp_path: Path) -> None:
    with table(tmp_path / "a.csv", b"text\n" + b"a" * 100 + b"\nb\nc\n") as read:
        assert [chunk.piece.rows for chunk in read.chunks([], 100, 4)] == [1, 2]


def test_gzip_and_stated_delimiter(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    with table(path, gzip.compress("\ufeffsep=;\r\ntext;n\r\na,b;1\r\n".encode())) as read:
        (rows,) = read.chunks(["text"], 9, 99)
    assert rows.frame["text"].to_list() == ["a,b"]
    cut = tmp_path / "cut.csv.gz"
    content = gzip.compress(b"text\n" + b"".join(b"%d\n" % k for k in range(5000)))[:-2000]
    with table(cut, content) as read, pytest.raises(DataError, match=r"cut\.csv\.gz, line"):
        list(read.chunks(["text"], 9, 99))


@pytest.mark.parametrize(
    ("content", "fact"),
    [("text\n".encode("utf-16"), "UTF-16"), (b"a\0b\n", "binary"), (b"a,a\n1,2\n", "twice"), (b"\n1\n", "blank")],
)
def test_what_is_no_table(tmp_path: Path, content: bytes, fact: str) -> None:
    with pytest.raises(DataError, match=fact), table(tmp_path / "a.csv", content):
        pass
