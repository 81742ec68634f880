"""Texts in files give the same pieces, slices and tokens as strings, and are encoded once."""

import gzip
import importlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from recurra.data.files import text_pieces as module
from recurra.data.files.text_file import read_text
from recurra.data.files.text_pieces import text_pieces
from recurra.data.text.file_text import FileText
from recurra.data.text.tokens import TOKENS, learn_stored_tokens, learn_tokens, stored_tokens
from recurra.errors import DataError

# The package has a function of the same name.
stored_tokens_module = importlib.import_module("recurra.data.text.tokens.stored_tokens")

LINES = "das  Männlein \U0001f333 steht\r\nim\tWalde\rganz still\n\n und stumm "


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "_BLOCK", 7)
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbf" + (LINES * 8).encode())
    return path


def stored_files(path: Path) -> list[Path]:
    return [file for file in (path.parent / "cache").rglob("*") if file.is_file()]


def test_a_file_in_pieces_is_the_file(path: Path):
    text = read_text(path)
    assert "".join(text_pieces(path)) == text
    packed = path.with_suffix(".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert "".join(text_pieces(packed)) == text
    whole = FileText.of(path)
    assert len(whole) == len(text)
    for ends in ("\n", "\n "):
        pieces = list(whole.pieces(ends))
        assert "".join(pieces) == text
        assert len(pieces) > 8
        assert all(piece[-1] in ends for piece in pieces[:-1])


@pytest.mark.parametrize(("start", "end"), [(0, 40), (13, None), (-30, -3), (50, 20)])
def test_slices_and_sums_are_those_of_strings(path: Path, start: int, end: int | None):
    text, whole = read_text(path), FileText.of(path)
    part = whole[start:end]
    assert "".join(part.pieces("\n")) == text[start:end]
    assert len(part) == len(text[start:end])
    both = part + whole
    assert "".join(both.pieces("\n")) == text[start:end] + text
    assert "".join(both[5:90].pieces(" ")) == (text[start:end] + text)[5:90]
    assert FileText.from_json(both.to_json()) == both
    assert (both.digest() == whole.digest()) == (len(part) == 0)


@pytest.mark.parametrize("content", [b"", b" \n\n", b"\x7fELF\0\0\0", b"one\ntwo\nthree \xff\n", b"ab\xc3"])
def test_a_file_that_cannot_be_used_is_refused_as_a_whole_one_is(path: Path, content: bytes):
    path.write_bytes(content)
    with pytest.raises(DataError) as whole:
        read_text(path)
    with pytest.raises(DataError) as pieces:
        FileText.of(path)
    assert str(pieces.value) == str(whole.value)


@pytest.mark.parametrize("kind", TOKENS)
def test_tokens_are_those_of_the_string(path: Path, kind: str):
    size = 300 if kind == "subwords" else None
    text, whole = read_text(path), FileText.of(path)
    tokens = learn_stored_tokens(whole, kind, size, 1)
    assert tokens.to_json() == learn_tokens(text, kind, size).to_json()
    for part, expected in ((whole, text), (whole[21:], text[21:]), (whole[:0], "")):
        encoded = stored_tokens(tokens, part)
        expected = tokens.encode(expected)
        assert torch.equal(encoded.ids.long(), expected.ids)
        if len(encoded.ids):
            assert encoded.counts == expected.counts
            assert encoded.ids.dtype in (torch.uint8, torch.int16)


def test_a_text_is_encoded_once_and_anew_where_it_or_its_file_of_ids_changes(path: Path):
    tokens, whole = learn_tokens("", "bytes"), FileText.of(path)
    ids = stored_tokens(tokens, whole).ids.tolist()
    (stored,) = (file for file in stored_files(path) if not file.suffix)
    content = stored.read_bytes()
    moved = path.rename(path.with_name("b.txt"))
    assert stored_tokens(tokens, whole).ids.tolist() == ids  # nothing of the text is read
    with pytest.raises(DataError, match=r"a\.txt: the file that the text was read from is not there, or has changed"):
        stored_tokens(tokens, whole[1:])
    # What a killed process leaves, and what a disk damages, is not used.
    leftover = stored.with_name(f".{stored.name}.4242.tmp")
    for damaged in (content[:-1], content[:5] + b"#" + content[6:], b""):
        stored.write_bytes(damaged)
        leftover.write_bytes(b"half")
        assert stored_tokens(tokens, FileText.of(moved)).ids.tolist() == ids
        assert stored.read_bytes() == content
        assert not leftover.exists()
    moved.write_text("another text")
    assert bytes(stored_tokens(tokens, FileText.of(moved)).ids.tolist()) == b"another text"
    assert len([file for file in stored_files(path) if not file.suffix]) == 2
    with pytest.raises(DataError, match="became shorter"):
        list(whole.from_json([[str(moved), "", 0, 500]]).pieces("\n"))


READERS: dict[str, Callable[[Path, FileText], object]] = {
    "length": lambda path, _: FileText.of(path),
    "tokens": lambda _, text: learn_stored_tokens(text, "words", None, 1),
    "ids": lambda _, text: stored_tokens(learn_tokens("", "bytes"), text),
}


@pytest.mark.parametrize("reader", READERS)
def test_a_text_that_changes_while_it_is_read_is_not_stored(path: Path, reader: str, monkeypatch: pytest.MonkeyPatch):
    text = FileText.of(path)
    if reader == "length":
        path.write_bytes(path.read_bytes() + b"so ")

    def pieces_while_it_grows(name: str | Path) -> Iterator[str]:
        path.write_bytes(path.read_bytes() + b"on ")
        yield from text_pieces(name)

    monkeypatch.setattr(importlib.import_module("recurra.data.text.file_text"), "text_pieces", pieces_while_it_grows)
    with pytest.raises(DataError, match=r"a\.txt: the file (that the text|changed while it) was read"):
        READERS[reader](path, text)
    stored = (path.parent / "cache" / "tokens").rglob("*")
    assert not [file for file in stored if file.is_file() and file.suffix != ".lock"]


def test_of_several_processes_one_encodes_and_the_others_wait(path: Path, monkeypatch: pytest.MonkeyPatch):
    whole, tokens = FileText.of(path), learn_tokens("", "bytes")
    encode, calls = stored_tokens_module._encode, []

    def slow(*arguments: Any) -> None:
        calls.append(threading.get_ident())
        time.sleep(0.1)
        encode(*arguments)

    # The lock is of the open file, and keeps threads apart as it does processes.
    monkeypatch.setattr(stored_tokens_module, "_encode", slow)
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda _: stored_tokens(tokens, whole).ids.tolist(), range(3)))
    assert len(calls) == 1
    assert results == [list(read_text(path).encode())] * 3
