import gzip
from pathlib import Path
from typing import Any

import pytest

from recurra.errors import DataError, ParameterError
from recurra.tasks.language import LanguageModel
from recurra.tasks.language.corpus import read_corpus


def test_a_file_is_cut_in_order(tmp_path: Path):
    text = "".join(chr(97 + i % 26) for i in range(200))
    path = tmp_path / "a.txt"
    path.write_text(text)
    corpus = read_corpus(path)
    assert corpus.texts == {"train": text[:180], "validation": text[180:]}
    assert corpus.split == "the first 90 % to train, the last 10 % to validate"
    corpus = read_corpus(str(path), 0.25, 0.125)
    assert corpus.texts == {"train": text[:125], "validation": text[125:175], "test": text[175:]}
    assert corpus.split == "the first 62.5 % to train, then 25 % to validate, the last 12.5 % to test"
    packed = tmp_path / "a.txt.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read_corpus(packed).texts == read_corpus(path).texts


def test_a_folder_has_a_file_for_each_part(tmp_path: Path):
    for name in ("ptb.train.txt", "ptb.valid.txt", "ptb.test.txt", "README", "trained-on.md"):
        (tmp_path / name).write_text(name)
    corpus = read_corpus(tmp_path)
    assert corpus.texts == {"train": "ptb.train.txt", "validation": "ptb.valid.txt", "test": "ptb.test.txt"}
    (tmp_path / "ptb.valid.txt").rename(tmp_path / "dev.txt")
    assert read_corpus(tmp_path).texts["validation"] == "ptb.valid.txt"
    (tmp_path / "validation.txt").write_text("more")
    with pytest.raises(DataError, match=r"two files for validation, dev\.txt and validation\.txt"):
        read_corpus(tmp_path)


def test_texts_may_be_given():
    texts = {"train": "abc", "validation": "ab"}
    assert read_corpus(texts).texts == texts
    for wrong in ({"train": "abc"}, {**texts, "more": "a"}):
        with pytest.raises(ParameterError, match="data: expected texts named train, validation and"):
            read_corpus(wrong)
    with pytest.raises(DataError, match="the validation text has 1 characters, expected at least 2"):
        read_corpus({"train": "abc", "dev": "a"})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b" \n\n", "the file is empty"),
        (b"\x7fELF\0\0\0", "the file is binary"),
        (b"one\ntwo \xff\n", "line 2: the text is not UTF-8"),
        ("abc".encode("utf-16"), "UTF-16, expected UTF-8"),
        (b"abc", "the validation text has 1 characters, expected at least 2"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, content: bytes, message: str):
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"a\.txt.*{message}"):
        read_corpus(path)


def test_what_is_missing_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"b\.txt: no such file"):
        read_corpus(tmp_path / "b.txt")
    (tmp_path / "train.txt").write_text("abc")
    with pytest.raises(DataError, match=r"no file for validation\. Name the files train\.txt, validation\.txt"):
        read_corpus(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"), [("validation_fraction", 0.0), ("validation_fraction", 1.5), ("test_fraction", -0.1)]
)
def test_fractions_out_of_range_are_named(name: str, value: Any):
    with pytest.raises(ParameterError, match=name):
        LanguageModel(**{name: value})


@pytest.mark.parametrize("name", ["validation_fraction", "test_fraction"])
def test_fractions_of_texts_with_parts_are_refused(name: str):
    texts = {"train": "abcd" * 20, "validation": "abcd"}
    options: dict[str, Any] = {name: 0.2, "max_steps": 1, "device": "cpu"}
    with pytest.raises(ParameterError, match=f"{name}: expected no fraction of texts that are parted already, got 0.2"):
        LanguageModel(**options).fit(texts, progress=False)


def test_a_fraction_beside_validation_data_is_refused(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_text("abcd" * 20)
    with pytest.raises(ParameterError, match="validation_fraction: expected no fraction together with validation data"):
        LanguageModel(validation_fraction=0.2).fit(path, validation=path, progress=False)
