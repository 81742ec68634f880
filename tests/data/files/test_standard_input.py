import sys
from pathlib import Path

import pytest

from recurra.data.files.standard_input import is_standard_input, read_standard_input, standard_input_lines
from recurra.data.files.text_file import TextForm
from recurra.errors import DataError
from standard_input import StandardInput


@pytest.mark.parametrize(
    ("data", "expected"),
    [("-", True), (Path("-"), True), ("./-", False), ("a-", False), (["-"], False), (None, False)],
)
def test_a_hyphen_is_standard_input(data: object, expected: bool) -> None:
    assert is_standard_input(data) is expected


def test_a_text_is_read_with_its_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", StandardInput(b"\xef\xbb\xbfone\r\ntwo\r\n"))
    assert read_standard_input() == ("one\ntwo\n", TextForm(has_mark=True, line_end="\r\n"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "standard input: it holds no text"),
        (b" \n", "standard input: it holds no text"),
        (b"one\ntwo \xff\n", "standard input, line 2: the text is not UTF-8"),
        (b"one\0two", "standard input: the file is binary"),
    ],
)
def test_what_is_not_a_text_is_refused(data: bytes, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", StandardInput(data))
    with pytest.raises(DataError, match=message):
        read_standard_input()


def test_lines_come_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", StandardInput(b"\xef\xbb\xbfone\r\n\ntwo"))
    assert list(standard_input_lines()) == ["one", "", "two"]
    monkeypatch.setattr(sys, "stdin", StandardInput(b"one\n\xff\n"))
    lines = standard_input_lines()
    assert next(lines) == "one"
    with pytest.raises(DataError, match="standard input, line 2: the text is not UTF-8"):
        next(lines)
