from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy.sparse import csr_matrix

from recurra.data.labelled.items import as_items, split, take
from recurra.data.labelled.reading import ItemReading
from recurra.data.labelled.series import LabelledSeries
from recurra.data.labelled.texts import LabelledTexts
from recurra.errors import DataError, ParameterError


def labelled(*labels: tuple[str, ...]) -> LabelledTexts:
    return LabelledTexts(tuple(f"text {k}" for k in range(len(labels))), labels)


def test_a_share_of_each_label_is_held_out() -> None:
    items = labelled(*[("a",)] * 40, *[("b",)] * 10, *[("c",)] * 2, ("d",))
    rest, held = split(items, 0.2, seed=3)
    assert held is not None
    assert rest.labels is not None
    assert held.labels is not None
    assert [held.labels.count((name,)) for name in "abcd"] == [8, 2, 0, 0]
    assert [rest.labels.count((name,)) for name in "abcd"] == [32, 8, 2, 1]
    assert isinstance(rest, LabelledTexts)
    assert isinstance(held, LabelledTexts)
    assert sorted([*rest.texts, *held.texts]) == sorted(items.texts)
    text_labels = dict(zip(items.texts, items.labels or (), strict=True))
    assert all(text_labels[text] == label for text, label in zip(held.texts, held.labels, strict=True))
    # In their order, the same each time, others with another seed.
    assert list(held.texts) == [text for text in items.texts if text in held.texts]
    assert split(items, 0.2, seed=3) == (rest, held)
    assert split(items, 0.2, seed=4)[1] != held


def test_a_label_keeps_an_item_whatever_the_share() -> None:
    rest, held = split(labelled(("a",), ("b",), ("b",)), 0.5, seed=0)
    assert rest.labels == (("a",), ("b",))
    assert held is not None
    assert held.labels == (("b",),)


def test_none_is_held_out_of_too_few_or_by_a_share_of_none() -> None:
    items = labelled(("a",), ("b",))
    assert split(items, 0.5, seed=0) == (items, None)
    many = labelled(*[("a",)] * 20, *[("b",)] * 20)
    assert split(many, 0.0, seed=0) == (many, None)


def test_with_several_labels_training_keeps_some_of_another_number_than_one() -> None:
    """Else the model would learn that each item has one label, and validation would have another number."""
    items = labelled(*[("a",), ("b",)] * 20, ("a", "b"))
    for seed in range(60):
        rest, held = split(items, 0.5, seed)
        assert rest.labels is not None
        assert ("a", "b") in rest.labels
        assert held is not None
        assert len(held) == 20


def test_items_by_their_numbers() -> None:
    series = LabelledSeries(tuple(np.full((1, 1), k, np.float32) for k in range(3)), None, ("x",), ("p", "q", "r"))
    found = take(series, [2, 0])
    assert isinstance(found, LabelledSeries)
    assert found.ids == ("r", "p")
    assert [float(one[0, 0]) for one in found.series] == [2, 0]


def test_lists_and_arrays() -> None:
    found = as_items(["x", "y"], [1, "b"])
    assert found == LabelledTexts(("x", "y"), (("1",), ("b",)), "the data", "text")
    assert as_items(["x", "y"], [["b", "a", "b"], ()]).labels == (("b", "a"), ())
    array = as_items(np.zeros((2, 3, 4)), np.array(["u", "v"]))
    assert isinstance(array, LabelledSeries)
    assert (len(array), array.series[0].shape, array.labels) == (2, (3, 4), (("u",), ("v",)))
    ragged = as_items([[1, 2, None], np.zeros((1, 1))], needs_labels=False)
    assert isinstance(ragged, LabelledSeries)
    assert [one.shape for one in ragged.series] == [(3, 1), (1, 1)]
    assert np.isnan(ragged.series[0][2, 0])
    assert as_items(found) is found


@pytest.mark.parametrize(
    ("labels", "names", "label_type"),
    [
        ([3, 1], ["3", "1"], "integer"),
        (np.array([3, 1], np.uint8), ["3", "1"], "integer"),
        (torch.tensor([3, 1]), ["3", "1"], "integer"),
        (list(torch.tensor([3, 1])), ["3", "1"], "integer"),
        (pd.Series([3, 1], index=[7, 5]), ["3", "1"], "integer"),
        (pl.Series([3, 1]), ["3", "1"], "integer"),
        ([1.0, 0.5], ["1", "0.5"], "number"),
        (np.array([True, False]), ["true", "false"], "boolean"),
        (pd.Series(["a", "b"], dtype="category"), ["a", "b"], "text"),
        (np.array(["a", "b"], object), ["a", "b"], "text"),
        (["a", 1], ["a", "1"], "text"),
    ],
)
def test_labels_are_text_and_their_type_is_remembered(labels: Any, names: list[str], label_type: str) -> None:
    found = as_items(["x", "y"], labels)
    assert found.labels == tuple((name,) for name in names)
    assert found.label_type == label_type
    assert take(found, [0]).label_type == label_type


def test_several_labels_of_an_item_are_of_one_type() -> None:
    found = as_items(["x", "y"], [[np.int64(1), 2], ()])
    assert (found.labels, found.label_type) == ((("1", "2"), ()), "integer")


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_frames(frame: Any) -> None:
    rows = as_items(frame({"a": [1.0, 2.0, 3.0], "b": [4.0, 5.0, 6.0]}), [0, 1, 0])
    assert isinstance(rows, LabelledSeries)
    assert [one.tolist() for one in rows.series] == [[[1], [4]], [[2], [5]], [[3], [6]]]
    expected = (("x", "y"), (("1",), ("2",)), "integer")
    given: list[tuple[Any, Any]] = [
        (frame({"text": ["x", "y"], "label": [1, 2]}), None),
        (frame({"text": ["x", "y"], "label": ["u", "v"]}), [1, 2]),
        (frame({"words": ["x", "y"]}), frame({"n": [1, 2]})["n"]),
        (frame({"words": ["x", "y"]})["words"], [1, 2]),
    ]
    for data, labels in given:
        texts = as_items(data, labels)
        assert isinstance(texts, LabelledTexts)
        assert (texts.texts, texts.labels, texts.label_type) == expected


def test_a_set_of_labels_is_in_the_same_order_in_every_process() -> None:
    names = [f"label {k}" for k in range(20)]
    assert as_items(["x"], [set(names)]).labels == (tuple(sorted(names)),)


@pytest.mark.parametrize(
    ("data", "labels", "message"),
    [
        ([], None, "the data: no items are in it"),
        (["x", 3], ["a", "b"], "some items are texts and others are not"),
        (["x"], ["a", "b"], "the data: 1 items and 2 labels; give one for each"),
        (["x"], None, "y: expected a label for each item, got None"),
        (["x"], [""], "the data, item 1: expected a label, got ''"),
        (["x", "y"], ["a", None], "the data, item 2: expected a label, got None"),
        (["x", "y"], ["a", float("nan")], "the data, item 2: expected a label, got nan"),
        (["x", "y"], np.array([[0, 1], [1, 1]]), r"y: expected a label for each item \(N,\), or a list of labels"),
        (["x"], [np.zeros(2)], "the data, item 1: expected a label, got array"),
        (np.array(1.0), [1], "expected a list of items or an array"),
        (["x", "a\ud800"], ["a", "b"], r"the data, item 2: half of a surrogate pair \(\\ud800 to \\udfff\) alone"),
        (["x"], ["\udcff"], "the data, item 1: half of a surrogate pair"),
        ([[1.0], ["one"]], ["a", "b"], "the data, item 2: expected a text or numbers, got list"),
        ([[1.0], []], ["a", "b"], r"item 2: expected numbers \(T, C\) or \(T,\), got the shape \(0, 1\)"),
        ([[1.0], 3], ["a", "b"], r"item 2: expected numbers \(T, C\) or \(T,\), got the shape \(\)"),
        (np.array([[1j]]), ["a"], "item 1: complex numbers are not supported"),
        (csr_matrix(np.eye(2)), ["a", "b"], "sparse matrices are not supported; pass what their method toarray"),
        ([[1.0], [float("inf")]], ["a", "b"], "item 2: a value is infinite"),
        ([[1.0], [[1.0, 2.0]]], ["a", "b"], "the data: series of different numbers of channels"),
        (LabelledTexts(("x",)), None, "the texts: no labels are in it, expected those of each item"),
        (LabelledTexts(("x",), (("a",),)), ["a"], "y: expected None with LabelledTexts, which has them"),
    ],
)
def test_refusals(data: Any, labels: Any, message: str) -> None:
    with pytest.raises((DataError, ParameterError), match=message):
        as_items(data, labels)


def test_the_other_kind_is_refused() -> None:
    with pytest.raises(DataError, match="the data: expected series, which the classifier was trained on, got texts"):
        as_items(["x"], texts=False, needs_labels=False)
    with pytest.raises(DataError, match="the data: expected texts, which the classifier was trained on, got series"):
        as_items([[1.0]], texts=True, needs_labels=False)


LONG = "id,time,x,label\n1,1,0.5,a\n1,2,0.6,a\n2,1,0.1,b\n"


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_the_format_of_a_file_goes_by_its_name_and_columns(tmp_path: Path) -> None:
    texts = write(tmp_path / "a.csv", "text,label\nx,1\ny,2\n")
    assert isinstance(as_items(texts), LabelledTexts)
    assert isinstance(as_items(str(write(tmp_path / "a.jsonl", '{"text": "x", "label": 1}\n'))), LabelledTexts)
    table = write(tmp_path / "b.csv", LONG)
    assert isinstance(as_items(table), LabelledSeries)
    both = write(tmp_path / "c.tsv", LONG.replace("x", "text").replace(",", "\t"))
    assert as_items(both, reading=ItemReading(format="series"))
    assert isinstance(as_items(both), LabelledTexts)
    assert isinstance(as_items(both, texts=False), LabelledSeries)
    ts = write(tmp_path / "d.ts", "@univariate true\n@classLabel true a b\n@data\n1,2:a\n3,4:b\n")
    assert isinstance(as_items(ts), LabelledSeries)


def test_a_table_in_parquet_is_of_series(tmp_path: Path) -> None:
    pl.read_csv(LONG.encode()).write_parquet(tmp_path / "a.parquet")
    found = as_items(tmp_path / "a.parquet")
    assert isinstance(found, LabelledSeries)
    assert found.labels == (("a",), ("b",))


def test_files_that_do_not_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.csv: no column 'text'.*--text-column"):
        as_items(write(tmp_path / "a.csv", "review,label\nx,1\n"))
    path = write(tmp_path / "a.dat", "x")
    with pytest.raises(DataError, match=r"not a file of labelled texts, expected a name ending in \.csv"):
        as_items(path)
    with pytest.raises(DataError, match=r"not a file of labelled series, expected a name ending in \.ts"):
        as_items(path, texts=False)
    with pytest.raises(ParameterError, match="y: expected None with a file"):
        as_items(path, ["a"])
    with pytest.raises(DataError, match="expected series, which the classifier was trained on, got texts"):
        as_items(write(tmp_path / "b.jsonl", '{"text": "x"}\n'), texts=False, needs_labels=False)
    with pytest.raises(ParameterError, match="format: expected one of auto, text"):
        ItemReading(format="wide")  # type: ignore[arg-type]
