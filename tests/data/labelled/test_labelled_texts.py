import csv
import gzip
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.labelled.texts import LabelledTexts, read_labelled_texts
from recurra.errors import DataError, ParameterError


def write(path: Path, text: str | bytes) -> Path:
    data = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


FILES = {
    "a.csv": 'id,text,label\n1,"Good, ""very"" good\nfilm",pos\n\n2, bad , neg \n',
    "semicolons.csv": 'text;label;id\n"Good, ""very"" good\nfilm";pos;1\n bad ;neg;2\n',
    "dos.csv.gz": '\ufefftext,label\r\n"Good, ""very"" good\r\nfilm",pos\r\n bad ,neg\r\n',
    "a.tsv": 'label\ttext\npos\t"Good, ""very"" good\nfilm"\nneg\t bad ',
    "a.jsonl": '{"text": "Good, \\"very\\" good\\nfilm", "label": "pos", "x": 1}\n\n{"label": "neg ", "text": " bad "}',
    "a.NDJSON.gz": '{"text": "Good, \\"very\\" good\\nfilm", "label": ["pos"]}\r\n{"label": ["neg"], "text": " bad "}',
}


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_file(tmp_path: Path, name: str):
    path = write(tmp_path / name, FILES[name])
    found = read_labelled_texts(path)
    assert found.texts == ('Good, "very" good\nfilm', " bad ")
    assert found.labels == (("pos",), ("neg",))
    assert (found.source, len(found)) == (str(path), 2)


def test_tabs_with_quotes_that_are_text(tmp_path: Path):
    text = 'text\tlabel\n"tis good\ta\n"A" and "B"\tb\nlate "\ta\n"said ""so"" twice"\tb\n'
    found = read_labelled_texts(write(tmp_path / "a.tsv", text))
    assert found.texts == ('"tis good', '"A" and "B"', 'late "', 'said "so" twice')


def test_other_columns_and_several_labels(tmp_path: Path):
    path = write(tmp_path / "a.csv", "review,topics\nx,a | b|a\ny,\nz,c\n")
    found = read_labelled_texts(path, "review", "topics", "|")
    assert found.labels == (("a", "b"), (), ("c",))
    path = write(tmp_path / "b.jsonl", '{"text": "x", "label": ["a", 2]}\n{"text": "y", "label": []}\n')
    assert read_labelled_texts(path).labels == (("a", "2"), ())
    path = write(tmp_path / "c.jsonl", '{"text": "x", "label": "a|b"}\n{"text": "y", "label": ""}\n')
    assert read_labelled_texts(path, label_separator="|").labels == (("a", "b"), ())


def test_labels_of_json_are_text(tmp_path: Path):
    labels = ["1", "1.5", "true", "false", '"x"', "-3"]
    text = "".join(f'{{"text": "x", "label": {label}}}\n' for label in labels)
    found = read_labelled_texts(write(tmp_path / "a.jsonl", text)).labels
    assert found == (("1",), ("1.5",), ("true",), ("false",), ("x",), ("-3",))


def test_for_prediction_labels_and_words_may_be_missing(tmp_path: Path):
    for name, text in {
        "a.csv": 'text\nx\n""\n',
        "b.csv": "text,label\nx,a\n,\n",
        "c.jsonl": '{"text": "x"}\n{"text": ""}\n',
        "d.jsonl": '{"text": "x", "label": "a"}\n{"text": "", "label": null}\n',
    }.items():
        path = write(tmp_path / name, text)
        found = read_labelled_texts(path, needs_labels=False)
        assert (found.texts, found.labels) == (("x", ""), None)
        with pytest.raises(DataError, match=r"line [123]|no column 'label'"):
            read_labelled_texts(path)
    path = write(tmp_path / "e.csv", "text,label\nx,a\n")
    assert read_labelled_texts(path, needs_labels=False).labels == (("a",),)


def test_a_long_text(tmp_path: Path):
    text = "word " * 100_000
    for name, content in {
        "a.csv": f'label,text\na,"{text}"\n',
        "b.tsv": f"label\ttext\na\t{text}\n",
        "c.jsonl": json.dumps({"text": text, "label": "a"}),
    }.items():
        assert read_labelled_texts(write(tmp_path / name, content)).texts == (text,)


BAD = {
    "no label": ("a.csv", "text,label\nx,a\n\ny, \n", "line 4: the label is missing"),
    "no label in lists": ("a.jsonl", '{"text": "x", "label": null}', "line 1: the label is missing"),
    "a blank label of several": ("a.jsonl", '{"text": "x", "label": ["a", " "]}', "line 1: one of 2 labels is blank"),
    "a blank text": ("a.csv", 'text,label\n"x\ny",a\n  ,b\n', "line 4: the text is blank"),
    "a column": (
        "a.csv",
        "Texts,label\nx,a\n",
        r"no column 'text'; .* 'Texts', 'label'. Did you mean 'Texts'\? Name .* --text-column. The first",
    ),
    "a label column": ("a.tsv", "text\tclass\nx\ta\n", "no column 'label'; .*'class'. Name it with --label-column"),
    "no header": ("a.csv", "x" * 200_000 + ",1\ny,0\n", r"there are 'x{40}'\.\.\., '1'.*--text-column. The first line"),
    "many columns": ("a.csv", ",".join(f"c{k}" for k in range(50)), "'c19' and 30 more"),
    "a column twice": ("a.csv", "text,text,label\nx,y,a\n", "the column 'text' occurs twice"),
    "many fields": ("a.csv", "text,label\nx,y,a\n", "line 2: 3 fields, expected 2 .* contain ',' in double quotes"),
    "few fields": ("a.tsv", 'text\tlabel\n"x\ny"\ta\nx\n', "line 4: 1 fields, expected 2 as in the header"),
    "an open quote": ("a.csv", 'text,label\nx,a\n"y,b\nz,c\n', "line 3: a quote opens here and is not closed"),
    "a quote inside": ("a.csv", 'text,label\n"y" z,b\n', r"line 2: text after a closing quote \(' z,b.*Double the"),
    "only a header": ("a.csv", "text,label\n", "no texts, expected at least one"),
    "empty": ("a.csv", "", "the file is empty"),
    "bytes": ("a.csv", b"text,label\nx,a\n\xff,b\n", "line 3: the text is not UTF-8"),
    "no JSON": ("a.jsonl", '{"text": "x", "label": "a"}\n{"text"\n', "line 2: not JSON .*expected an object"),
    "a list": ("a.jsonl", '["x", "a"]', r'line 1: \["x", "a"\], expected a JSON object'),
    "a key": ("a.jsonl", '{"text": "x", "labels": "a"}', "line 1: no column 'label'.*Did you mean 'labels'"),
    "a number": ("a.jsonl", '{"text": 5, "label": "a"}', "line 1: .* 5, expected .* quotes"),
    "a label": ("a.jsonl", '{"text": "x", "label": {"a": 1}}', 'line 1: label is {"a": 1}, expected text, a number'),
    "not a number": ("a.jsonl", '{"text": "x", "label": NaN}', "line 1: label is NaN"),
    "half a pair": ("a.jsonl", '{"text": "\\ud800", "label": "a"}', "line 1: the text has half of a surrogate pair"),
    "a name": ("a.txt", "x", r"a.txt: not a file of labelled texts, expected a name ending in .csv, .tsv, .jsonl"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files(tmp_path: Path, case: str):
    name, text, message = BAD[case]
    with pytest.raises(DataError, match=message) as error:
        read_labelled_texts(write(tmp_path / name, text))
    assert str(tmp_path / name) in str(error.value)


def test_bad_arguments(tmp_path: Path):
    path = write(tmp_path / "a.csv", "text,label\nx,a||b\n")
    with pytest.raises(DataError, match="line 2: one of 3 labels is blank"):
        read_labelled_texts(path, label_separator="|")
    with pytest.raises(ParameterError, match="label_separator: expected"):
        read_labelled_texts(path, label_separator="")
    with pytest.raises(ParameterError, match="label_column: expected another column than text_column"):
        read_labelled_texts(path, "label")
    with pytest.raises(DataError, match="no such file"):
        read_labelled_texts(tmp_path / "none.csv")
    with pytest.raises(DataError, match="1 texts and 2 labels"):
        LabelledTexts(("a",), (("x",), ("y",)))


def test_the_digest_tells_texts_and_labels_apart():
    labels = (("x",), ("y",))
    digests = {
        one.digest()
        for one in (
            LabelledTexts(("a", "b")),
            LabelledTexts(("a", "b"), labels),
            LabelledTexts(("a", "b"), labels[::-1]),
            LabelledTexts(("a", "b"), (("x", "y"), ())),
            LabelledTexts(("ab", ""), labels),
        )
    }
    assert len(digests) == 5
    assert LabelledTexts(("a",), None, "one").digest() == LabelledTexts(("a",), None, "other").digest()


text = st.text(st.one_of(st.sampled_from('",\t\n;|a'), st.characters(exclude_categories=["Cs", "Cc"])), max_size=8)
label = text.map(str.strip).filter(bool)


@given(st.lists(st.tuples(text, label), min_size=1, max_size=5), st.sampled_from([".csv", ".jsonl"]))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], ending: str
) -> None:
    if ending == ".csv":
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([("text", "label"), *rows])
        written = file.getvalue()
    else:
        written = "\n".join(json.dumps({"text": one, "label": other}) for one, other in rows)
    path = write(tmp_path_factory.getbasetemp() / f"any{ending}", written)
    found = read_labelled_texts(path, needs_labels=False)
    assert found == LabelledTexts(tuple(one for one, _ in rows), tuple((other,) for _, other in rows), str(path))
