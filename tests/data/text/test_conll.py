import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.text.conll import ConllColumns, Sentence, read_conll
from recurra.data.text.token_lines import read_token_lines
from recurra.errors import DataError, ParameterError

CONLLU = """\
# newdoc id = a
# sent_id = 1
# text = Du vin d'ici
1-2\tDu\t_\t_\t_\t_\t_\t_\t_\t_
1\tDe\tde\tADP\t_\t_\t3\tcase\t_\t_
2\tle\tle\tDET\t_\tGender=Masc\t3\tdet\t_\t_
3\tvin\tvin\tNOUN\t_\t_\t0\troot\t_\tSpaceAfter=No|TagConfidence=0.1
3.1\tnull\t_\t_\t_\t_\t_\t_\t0:root\t_

# newdoc id = b
# sent_id = 2
1\tNew York\tNew York\t_\t_\t_\t0\troot\t_\t_

# sent_id = 3
1\t#\t#\tSYM\t_\t_\t0\troot\t_\t_
"""

COLUMNS = """\
-DOCSTART- -X- O O

EU NNP B-NP I-ORG
rejects  VBZ B-VP O

# NN B-NP O

-DOCSTART- -X- O O

Peter NNP B-NP I-PER
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_conllu(tmp_path: Path) -> None:
    text = read_conll(write(tmp_path / "a.conllu", CONLLU))
    assert text.conllu
    assert text.sentences == (
        Sentence(("De", "le", "vin"), ("ADP", "DET", "NOUN"), 0, (5, 6, 7)),
        Sentence(("New York",), (None,), 1, (12,)),
        Sentence(("#",), ("SYM",), 1, (15,)),
    )
    tags = [["X", "Y", "Z"], ["PROPN"], ["SYM"]]
    written = text.with_tags(tags)
    expected = CONLLU.replace("ADP", "X").replace("DET\t", "Y\t").replace("NOUN", "Z")
    assert written == expected.replace("New York\tNew York\t_", "New York\tNew York\tPROPN")
    confident = text.with_tags(tags, [[1, 0.5, 0.25], [0], [1]])
    assert "SpaceAfter=No|TagConfidence=0.2500\n" in confident
    assert "det\t_\tTagConfidence=0.5000\n" in confident
    assert read_conll(write(tmp_path / "b.conllu", confident)).sentences[0].tags == ("X", "Y", "Z")


def test_conllu_other_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "a.conllu", CONLLU)
    assert read_conll(path, ConllColumns(tag="feats")).sentences[0].tags == ("_", "Gender=Masc", "_")
    assert read_conll(path, ConllColumns(word="lemma", tag="-1")).sentences[0].words == ("de", "le", "vin")
    copied = write(tmp_path / "a.txt", CONLLU)
    assert read_conll(copied, kind="conllu").sentences == read_conll(path).sentences


def test_columns(tmp_path: Path) -> None:
    text = read_conll(write(tmp_path / "a.conll", COLUMNS))
    assert not text.conllu
    assert text.sentences == (
        Sentence(("EU", "rejects"), ("I-ORG", "O"), 0, (3, 4)),
        Sentence(("#",), ("O",), 0, (6,)),
        Sentence(("Peter",), ("I-PER",), 1, (10,)),
    )
    tags = [["O", "O"], ["O"], ["I-LOC"]]
    assert text.with_tags(tags) == COLUMNS.replace("I-ORG", "O").replace("I-PER", "I-LOC")
    written = text.with_tags(tags, [[0.5, 1], [1], [0.25]])
    assert written.splitlines()[0] == "-DOCSTART- -X- O O 1"
    assert written.splitlines()[9] == "Peter NNP B-NP I-LOC 0.2500"
    names = ConllColumns(("word", "pos", "chunk", "ner"), tag="pos")
    named = read_conll(tmp_path / "a.conll", names)
    assert named.sentences[0].tags == ("NNP", "VBZ")
    assert "rejects  V B-VP O" in named.with_tags([["N", "V"], ["N"], ["N"]])
    assert read_conll(tmp_path / "a.conll", ConllColumns(word="4", tag="-2")).sentences[0].words == ("I-ORG", "O")


def test_tabs_separate_where_there_are_any(tmp_path: Path) -> None:
    text = read_conll(write(tmp_path / "a.tsv", "New York\tB-LOC\n\u00a0\tO\n"))
    assert text.sentences == (Sentence(("New York", "\u00a0"), ("B-LOC", "O"), 0, (1, 2)),)
    assert text.with_tags([["O", "O"]]) == "New York\tO\n\u00a0\tO\n"


def test_ontonotes_documents(tmp_path: Path) -> None:
    text = "#begin document (a)\nThe DT\n\n#end document\n#begin document (b)\nCat NN\n#end document\n"
    read = read_conll(write(tmp_path / "a.conll", text))
    assert [(sentence.words, sentence.document) for sentence in read.sentences] == [(("The",), 0), (("Cat",), 1)]
    assert read.with_tags([["DT"], ["NN"]]) == text


def test_a_tag_column_that_is_still_missing(tmp_path: Path) -> None:
    one = write(tmp_path / "a.conll", "-DOCSTART-\n\nHe\nran\n\nYes\n")
    text = read_conll(one, needs_tags=False)
    assert text.sentences[0].tags is None
    assert text.with_tags([["A", "B"], ["C"]]) == "-DOCSTART- O\n\nHe A\nran B\n\nYes C\n"
    assert text.with_tags([["A", "B"], ["C"]], [[1, 1], [1]]).startswith("-DOCSTART- O 1\n\nHe A 1.0000\n")
    two = write(tmp_path / "b.conll", "He PRP\n")
    assert read_conll(two, ConllColumns(tag="3"), needs_tags=False).with_tags([["X"]]) == "He PRP X\n"
    assert read_conll(two, ConllColumns(tag="2"), needs_tags=False).with_tags([["X"]]) == "He X\n"
    named = ConllColumns(("word", "pos", "ner"), tag="ner")
    assert read_conll(two, named, needs_tags=False).with_tags([["X"]]) == "He PRP X\n"
    with pytest.raises(DataError, match=r"b\.conll: no column '4' among 2"):
        read_conll(two, ConllColumns(tag="4"), needs_tags=False)


field = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), min_size=1, max_size=6)
rows = st.lists(st.lists(st.tuples(field, field), min_size=1, max_size=4), min_size=1, max_size=4)


@given(rows, st.sampled_from([" ", "\t", "   "]))
def test_its_own_tags_written_back_change_nothing(
    tmp_path_factory: pytest.TempPathFactory, sentences: list[list[tuple[str, str]]], separator: str
) -> None:
    text = "\n".join("".join(f"w{word}{separator}{tag}\n" for word, tag in sentence) for sentence in sentences)
    read = read_conll(write(tmp_path_factory.getbasetemp() / "any.conll", text))
    assert [sentence.words for sentence in read.sentences] == [tuple(f"w{w}" for w, _ in s) for s in sentences]
    assert read.with_tags([sentence.tags or () for sentence in read.sentences]) == text  # type: ignore[misc]


def test_gzip_and_line_ends(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.conllu.gz", "wb") as file:
        file.write(CONLLU.replace("\n", "\r\n").encode())
    assert read_conll(tmp_path / "a.conllu.gz").sentences[2].words == ("#",)


BAD = {
    "empty": ("a.conll", "", "the file is empty"),
    "blank": ("a.conll", "\n\n", "the file is empty"),
    "no words": ("a.conllu", "# newdoc\n", "the file holds no words"),
    "fewer columns": ("a.conll", "a B\nb\n", r"line 2: expected 2 columns as in the lines before, got 1"),
    "not CoNLL-U": ("a.conllu", "a B\n", r"line 1: expected 10 tab-separated columns of CoNLL-U, got 1"),
    "an ID": ("a.conllu", CONLLU.replace("3.1\t", "x\t"), r"line 8: expected an ID .* 1, 1-2 or 1.1, got 'x'"),
    "an empty word": ("a.conllu", CONLLU.replace("\tvin\t", "\t\t", 1), "line 7: the word is empty"),
    "one column": ("a.conll", "a\nb\n", "words and tags are both in column 1"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files(case: str, tmp_path: Path) -> None:
    name, text, message = BAD[case]
    with pytest.raises(DataError, match=message) as error:
        read_conll(write(tmp_path / name, text))
    assert str(tmp_path / name) in str(error.value)


def test_bad_bytes_and_columns(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_bytes(b"a B\nb\xff B\n")
    with pytest.raises(DataError, match="line 2: the text is not UTF-8"):
        read_conll(tmp_path / "a.conll")
    path = write(tmp_path / "b.conllu", CONLLU)
    for column in ("ner", "11", "0", "-11", "1.5", ""):
        if column:
            with pytest.raises(DataError, match=r"no column '.*' among 10 \(id, form, .*Give"):
                read_conll(path, ConllColumns(tag=column))
    with pytest.raises(ParameterError, match="columns: expected names, each once"):
        ConllColumns(("a", "a"))


def test_plain_text(tmp_path: Path) -> None:
    text = read_token_lines(write(tmp_path / "a.txt", "He ran .\n\n  either/or\tthen \n"))
    assert [sentence.words for sentence in text.sentences] == [("He", "ran", "."), ("either/or", "then")]
    tags = [["PRON", "VERB", "PUNCT"], ["CCONJ", "ADV"]]
    assert text.with_tags(tags) == "He/PRON ran/VERB ./PUNCT\n\neither/or/CCONJ then/ADV\n"
    assert text.with_tags(tags, [[1, 0.5, 0], [1, 1]]).startswith("He/PRON/1.0000 ran/VERB/0.5000 ./PUNCT/0.0000\n\n")


@pytest.mark.parametrize("separator", [",", "|", " ||| ", "\t"])
def test_columns_between_other_separators(tmp_path: Path, separator: str) -> None:
    text = "-DOCSTART-\n\nNew York/B\n, a/O\n".replace("/", separator) if separator != "," else "York,B\na,O\n"
    if separator != ",":
        text = text.replace("-DOCSTART-", f"-DOCSTART-{separator}O")
    read = read_conll(write(tmp_path / "a.conll", text), ConllColumns(separator=separator))
    assert read.sentences[0].tags == ("B", "O")
    assert read.with_tags([["B", "O"]]) == text
    assert read.with_tags([["B", "O"]], [[1, 1]]).count(separator) >= 4


def test_line_ends_and_the_mark_are_kept(tmp_path: Path) -> None:
    for head, end in (("", "\n"), ("\ufeff", "\r\n"), ("", "\r"), ("\ufeff", "\n")):
        text = f"{head}Ann B{end}runs O{end}{end}Bob B{end}"
        path = tmp_path / "a.conll"
        path.write_bytes(text.encode())
        read = read_conll(path)
        assert read.sentences[0].words == ("Ann", "runs")
        assert read.with_tags([["B", "O"], ["B"]]) == text
    with pytest.raises(ParameterError, match="separator: expected at least one character"):
        ConllColumns(separator="")
