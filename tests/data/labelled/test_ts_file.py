import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from recurra.data.labelled.series import LabelledSeries, read_labelled_series
from recurra.data.labelled.targets import as_series, targets_of
from recurra.errors import DataError
from recurra.tasks.classify import Classifier

TS = """\
#A comment with @data in it
@problemName Two
@timeStamps false
@missing true
@univariate false
@dimensions 2
@equalLength false
@classLabel true up down
@data
1,2.5,?:-1e-3,NaN, 4:up
# a comment
7:8: down
"""


def read(folder: Path, text: str, needs_labels: bool = True, separator: str | None = None) -> LabelledSeries:
    path = folder / "a.ts"
    path.write_text(text, encoding="utf-8")
    return read_labelled_series(path, needs_labels=needs_labels, label_separator=separator)


def test_channels_of_unequal_length(tmp_path: Path):
    found = read(tmp_path, TS)
    np.testing.assert_array_equal(found.series[0], [[1, np.float32(-1e-3)], [2.5, np.nan], [np.nan, 4]])
    np.testing.assert_array_equal(found.series[1], [[7, 8]])
    assert found.series[0].dtype == np.float32
    assert (found.labels, found.channels, found.ids) == ((("up",), ("down",)), ("1", "2"), ("1", "2"))


def test_one_channel_with_other_line_ends_and_gzip(tmp_path: Path):
    text = "\ufeff% comment\r\n@UNIVARIATE True\r\n@classlabel TRUE\r\n@Data\r\n1,2:a b\r\n\r\n3,4:é\r\n"
    (tmp_path / "a.ts.gz").write_bytes(gzip.compress(text.encode()))
    found = read_labelled_series(tmp_path / "a.ts.gz")
    assert [values.tolist() for values in found.series] == [[[1], [2]], [[3], [4]]]
    assert found.labels == (("a b",), ("é",))


def test_dimensions_that_are_not_declared(tmp_path: Path):
    text = TS.replace("@dimensions 2\n", "")
    assert read(tmp_path, text).channels == ("1", "2")
    with pytest.raises(DataError, match=r"line 11: 2 .* expected 2 .* class"):
        read(tmp_path, text.replace("8: down", "down"))


def test_without_labels(tmp_path: Path):
    text = "@univariate true\n@classLabel false\n@data\n1,2\n?,?\n"
    found = read(tmp_path, text, needs_labels=False)
    assert found.labels is None
    assert np.isnan(found.series[1]).all()
    with pytest.raises(DataError, match="the file holds no labels"):
        read(tmp_path, text)
    unknown = TS.replace(":up", ":?")
    assert read(tmp_path, unknown, needs_labels=False).labels is None
    with pytest.raises(DataError, match="line 10: the label is missing"):
        read(tmp_path, unknown)


def test_several_labels(tmp_path: Path):
    found = read(tmp_path, TS.replace(":up", ":up|down").replace(": down", ":"), separator="|")
    assert found.labels == (("up", "down"), ())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TS.replace("2.5,", ""), "line 10: dimension 1 has 2 .* 2 has 3"),
        (TS.replace("2.5", "x"), "line 10, dimension 1: value 2 is 'x', expected a number, or ?"),
        (TS.replace("2.5", ""), "line 10, dimension 1: value 2 is '', expected a number"),
        (TS.replace("2.5", "inf"), "line 10: step 2 .* '1' .* expected a finite"),
        (TS.replace("2.5", "1e300"), r"line 10: step 2 .* '1' is 1e\+300, expected a finite"),
        (TS.replace(": down", ""), "line 12: 2 .* expected 2 .* class"),
        (TS.replace("true up down", "false"), "line 10: 3 parts .* expected 2 .* class without"),
        (TS.replace("7:8", ":"), "line 12: a series of no steps. Remove it"),
        (TS.replace(": down", ": Down"), "line 12: the class 'Down' .*Did you mean 'down'"),
        (TS.replace("@timeStamps false", "@timeStamps true"), "line 3: .* stamps .* Write"),
        (TS.replace("7:8", "(0,7):(0,8)"), "line 12: .* stamps"),
        (TS.replace("@classLabel true up down\n", ""), "line 8: no @classLabel before @data. Write"),
        (TS.replace("@classLabel true", "@classLabel"), "line 8: .* expected @classlabel true or @classlabel false"),
        (TS.replace("@dimensions 2", "@dimensions two"), "line 6: .* expected .* number .* 1"),
        (TS.replace("@data", "1,2:up"), "line 9: '1,2:up' before @data"),
        (TS.split("@data\n")[0], "no @data section. Is it a .ts file"),
        (TS.split("1,2.5")[0], "no series after @data"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, message: str):
    with pytest.raises(DataError, match=message) as error:
        read(tmp_path, text)
    assert str(tmp_path / "a.ts") in str(error.value)


def test_targets_are_numbers_in_place_of_classes(tmp_path: Path) -> None:
    for header in ("@targetLabel true", "@targetLabel true\n@classLabel false", "@classLabel false\n@targetLabel true"):
        text = TS.replace("@classLabel true up down", header).replace("up", "1.5").replace(": down", ": -2e3")
        found = read(tmp_path, text)
        assert (found.labels, found.label_type) == ((("1.5",), ("-2e3",)), "target")
        assert targets_of(found).tolist() == [1.5, -2000]
    with pytest.raises(DataError, match=r"holds a regression problem.*@targetLabel.*recurra train regress --data"):
        Classifier(max_steps=1).fit(found)


def test_classes_that_are_numbers_are_no_targets(tmp_path: Path) -> None:
    text = TS.replace("@classLabel true up down", "@classLabel true 1 2").replace("up", "1").replace(": down", ": 2")
    found = read(tmp_path, text)
    assert (found.labels, found.label_type) == ((("1",), ("2",)), "class")
    with pytest.raises(DataError, match=r"holds a classification problem.*@classLabel.*recurra train classify --data"):
        as_series(found)


values = st.one_of(st.just(float("nan")), st.floats(width=32, allow_nan=False, allow_infinity=False))


@given(st.data(), st.integers(1, 3))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, channels: int) -> None:
    shapes = st.tuples(st.integers(1, 5), st.just(channels))
    series = data.draw(st.lists(npst.arrays(np.float32, shapes, elements=values), min_size=1, max_size=4))
    labels = data.draw(st.lists(st.sampled_from(["a", "b b", "0.0"]), min_size=len(series), max_size=len(series)))
    lines = [
        ":".join([*(",".join(map(str, column)) for column in one.T), label])
        for one, label in zip(series, labels, strict=True)
    ]
    header = f"@dimensions {channels}\n@classLabel true\n@data\n"
    found = read(tmp_path_factory.getbasetemp(), header + "\n".join(lines))
    assert found.labels == tuple((label,) for label in labels)
    for one, other in zip(series, found.series, strict=True):
        np.testing.assert_array_equal(one, other)
