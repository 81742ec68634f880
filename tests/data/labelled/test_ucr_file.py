import gzip
import logging
from pathlib import Path

import numpy as np
import pytest

from recurra.data.labelled.items import as_items
from recurra.data.labelled.reading import ItemReading
from recurra.data.labelled.series import LabelledSeries
from recurra.data.labelled.texts import LabelledTexts
from recurra.errors import DataError

UCR = "1\t0.5\t-1e-3\tNaN\n-1\t2\tNaN\t3\n"


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    {
        "Gun_TRAIN.tsv": UCR,
        "a.csv": UCR.replace("\t", ","),
        "semicolons.csv": UCR.replace("\t", ";"),
        "blank_lines.tsv": f"\n{UCR}\n",
        "dos.tsv": UCR.replace("\n", "\r\n"),
        "Gun_TRAIN.txt": "  1.0000000e+00   5.0e-01  -1.0e-03  NaN\n  -1.0  2 ? 3\n",
        "Gun_TRAIN": UCR.replace("\t", ","),
        "header.tsv": f"label\t0\t1\t2\n{UCR}",
    }.items(),
)
def test_the_label_comes_first_and_padding_is_cut(
    tmp_path: Path, name: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "recurra"):
        found = as_items(write(tmp_path / name, text))
    assert isinstance(found, LabelledSeries)
    assert found.labels == (("1",), ("-1",))
    np.testing.assert_array_equal(found.series[0], np.array([[0.5], [-1e-3]], np.float32))
    np.testing.assert_array_equal(found.series[1], np.array([[2], [np.nan], [3]], np.float32))
    assert "read as in the UCR archive, a line a series, its label first" in caplog.text


def test_it_may_be_gzipped_named_by_its_format_or_without_labels(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv.gz"
    path.write_bytes(gzip.compress(UCR.encode()))
    assert as_items(path, texts=False).labels == (("1",), ("-1",))
    one_value = write(tmp_path / "b.data", "up 1\ndown 2\n")
    assert as_items(one_value, reading=ItemReading(format="ucr")).labels == (("up",), ("down",))
    unlabelled = as_items(write(tmp_path / "c.tsv", UCR.replace("1\t0.5", "?\t0.5")), needs_labels=False)
    assert unlabelled.labels is None
    assert len(unlabelled) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (UCR.replace("-1\t2", "0.25\t2"), "line 2: the first field is 0.25, expected a label"),
        (UCR.replace("-1\t2", "nan\t2"), "line 2: the first field is nan, expected a label"),
        (UCR.replace("-1\t2", "?\t2"), "line 2: the label is missing"),
        (UCR.replace("-1\t2", "-1\tx"), "line 2: value 1 is 'x', expected a number"),
        (f"{UCR}2\n", "line 3: a label alone"),
    ],
)
def test_a_fault_names_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        as_items(write(tmp_path / "a.tsv", text))


def test_other_tables_are_read_as_before(tmp_path: Path) -> None:
    texts = as_items(write(tmp_path / "a.tsv", "label\ttext\n1\tgood\n"))
    assert isinstance(texts, LabelledTexts)
    long = as_items(write(tmp_path / "b.csv", "id,time,x,label\na,0,1,up\na,1,2,up\n"))
    assert isinstance(long, LabelledSeries)
    assert len(long) == 1
    # A table of texts stays one for a classifier of texts, whatever its first line.
    with pytest.raises(DataError, match="no column 'text'"):
        as_items(write(tmp_path / "c.csv", "7,1,2\n"), texts=True)
