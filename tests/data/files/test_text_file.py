"""Paths of text files, and what is none."""

import pytest

from recurra.data.files.text_file import check_file, read_text
from recurra.errors import DataError


@pytest.mark.parametrize("text", ["a line\nand another", "long " * 200])
def test_a_text_in_place_of_a_path_is_named(text: str) -> None:
    with pytest.raises(DataError, match="the path of a file was expected, and this is a text"):
        read_text(text)
    with pytest.raises(DataError, match="no such file"):
        check_file("missing.txt")
