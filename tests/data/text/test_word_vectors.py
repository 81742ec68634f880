import gzip
from pathlib import Path

import numpy as np
import pytest

from recurra.data.text.word_vectors import read_word_vectors
from recurra.errors import DataError, ParameterError

WORDS = ["the", "naïve", "New", "</s>"]
VECTORS = np.array([[1.5, -2, 0.25], [0, 1e-3, 3], [4, 5, 6], [7, 8, -9]], dtype=np.float32)


def as_text(words: list[str] = WORDS) -> bytes:
    lines = (f"{word} {' '.join(map(str, row))}\n" for word, row in zip(words, VECTORS.tolist(), strict=True))
    return "".join(lines).encode()


def as_binary(newline: bytes) -> bytes:
    rows = (word.encode() + b" " + row.tobytes() + newline for word, row in zip(WORDS, VECTORS, strict=True))
    return b"4 3\n" + b"".join(rows)


FORMATS = {
    "GloVe": as_text(),
    "word2vec text": b"4 3\n" + as_text(),
    "word2vec binary": as_binary(b"\n"),
    "word2vec binary without newlines": as_binary(b""),
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("compressed", [False, True])
def test_formats(name: str, compressed: bool, tmp_path: Path) -> None:
    path = tmp_path / ("vectors.gz" if compressed else "vectors")
    path.write_bytes(gzip.compress(FORMATS[name]) if compressed else FORMATS[name])
    found = read_word_vectors(path)
    assert found.words == tuple(WORDS)
    assert found.size == 3
    assert found.vectors.dtype == np.float32
    np.testing.assert_array_equal(found.vectors, VECTORS)
    assert read_word_vectors(path, max_words=2).words == ("the", "naïve")


def test_longer_than_what_is_read_at_once(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(3000, 20)).astype(np.float32)
    words = [f"word{k}" for k in range(3000)]
    binary = b"3000 20\n" + b"".join(w.encode() + b" " + row.tobytes() for w, row in zip(words, vectors, strict=True))
    text = "3000 20\n" + "".join(
        f"{w} {' '.join(map(repr, r))}\n" for w, r in zip(words, vectors.tolist(), strict=True)
    )
    for name, content in (("a", binary), ("b", text.encode())):
        (tmp_path / name).write_bytes(content)
        found = read_word_vectors(tmp_path / name)
        assert found.words == tuple(words)
        np.testing.assert_array_equal(found.vectors, vectors)


def test_spaces_in_words_and_words_twice(tmp_path: Path) -> None:
    (tmp_path / "v").write_bytes(as_text(["the", ". . .", "the", "x"]))
    found = read_word_vectors(tmp_path / "v")
    assert found.words == ("the", ". . .", "x")
    np.testing.assert_array_equal(found.vectors, VECTORS[[0, 1, 3]])


BAD = {
    "a number short": (as_text() + b"more 1 2\n", "line 5: expected a word and 3 numbers, got 'more 1 2'"),
    "a word in place of a number": (b"a 1 2\nb 1 x\n", "line 2: expected a word and 2 numbers"),
    "not finite": (b"a 1 2\nb 1 nan\n", "line 2: expected a word and 2 numbers"),
    "no numbers": (b"word\n", "line 1: expected a word and 1 numbers, got 'word'"),
    "not UTF-8": (b"a 1 2\n\xff 1 2\n", "line 2: the text is not UTF-8"),
    "cut off": (as_binary(b"\n")[:-8], "cut off in word 4 of 4"),
    "header only": (b"0 3\n", "the file holds no word vectors"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files(case: str, tmp_path: Path) -> None:
    content, message = BAD[case]
    (tmp_path / "v").write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        read_word_vectors(tmp_path / "v")
    assert str(tmp_path / "v") in str(error.value)


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_word_vectors(tmp_path / "nowhere")
    (tmp_path / "v.gz").write_bytes(b"not gzip")
    with pytest.raises(DataError, match="cannot be read"):
        read_word_vectors(tmp_path / "v.gz")
    with pytest.raises(ParameterError, match="max_words"):
        read_word_vectors(tmp_path / "v.gz", max_words=0)
