import gzip
from pathlib import Path

import pytest

from recurra.data.text.parallel import ParallelText, read_lines, read_parallel
from recurra.errors import DataError, ParameterError


def write(path: Path, text: str | bytes) -> Path:
    data = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def test_two_files_line_by_line(tmp_path: Path):
    source = write(tmp_path / "train.de.gz", "eins\n\nzwei\u2028drei\n")
    target = write(tmp_path / "train.en", "one\r\nblank\r\ntwo three")
    pairs = read_parallel([source, target])
    # A line separator of Unicode's ends no line of a text file.
    assert pairs.source == ("eins", "", "zwei\u2028drei")
    assert pairs.target == ("one", "blank", "two three")
    assert len(pairs) == 3
    filled = pairs.filled()
    assert (filled.source, filled.target) == (("eins", "zwei\u2028drei"), ("one", "two three"))
    assert pairs.take([2]).source == ("zwei\u2028drei",)


def test_a_table(tmp_path: Path):
    pairs = read_parallel([write(tmp_path / "pairs.tsv.gz", "eins\tone\nzwei\ttwo\tattribution\n")])
    assert pairs == ParallelText(("eins", "zwei"), ("one", "two"), pairs.name)


def test_the_digest_tells_sentences_and_sides_apart():
    digests = {
        ParallelText(*sides).digest()
        for sides in ((("a", "b"), ("c", "d")), (("a", "c"), ("b", "d")), (("ab",), ("cd",)), (("a",), ("bcd",)))
    }
    assert len(digests) == 4
    assert ParallelText(("a",), ("b",), "one").digest() == ParallelText(("a",), ("b",), "other").digest()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a": "x\ny\n", "b": "x\n"}, "a has 2 lines and .*b 1; line n of one must be the translation"),
        ({"a": "x\n", "b": ""}, "b: the file is empty"),
        ({"a": "x\n", "b": b"x\n\xff\n"}, "b, line 2: the text is not UTF-8"),
        ({"a": "x\ty\nz\n"}, "a, line 2: expected .* target,"),
        ({"a.gz": b""}, "a.gz: the file is empty"),
    ],
)
def test_wrong_files_are_named(tmp_path: Path, files: dict[str, str | bytes], message: str):
    with pytest.raises(DataError, match=message):
        read_parallel([write(tmp_path / name, text) for name, text in files.items()])


def test_missing_files_and_too_many(tmp_path: Path):
    with pytest.raises(DataError, match="no such file"):
        read_lines(tmp_path / "nothing")
    with pytest.raises(ParameterError, match="data"):
        read_parallel(["a", "b", "c"])
    with pytest.raises(DataError, match=r"the sentences: 1 .* 2 target lines"):
        ParallelText(("a",), ("b", "c"))
