import logging
from pathlib import Path

import numpy as np
import pytest

from recurra.data.series.frequency import Frequency
from recurra.data.series.read import continuation, read_series
from recurra.data.series.series_set import Columns, SeriesSet
from recurra.data.series.wide import is_wide
from recurra.errors import DataError

M4 = '"V1","V2","V3","V4"\n"H1","605","586","559"\n"H2","3","",""\n'


def read(folder: Path, text: str, frequency: str | None = None) -> SeriesSet:
    path = folder / "train.csv"
    path.write_text(text)
    return read_series(path, frequency=Frequency.parse(frequency) if frequency else None)


@pytest.mark.parametrize(
    ("header", "wide"),
    [
        ("V1,V2,V3", True),
        ("id,1,2,3", True),
        ("unique_id,,,", True),
        ("id;0;1", True),
        ("unique_id,ds,y", False),
        ("ds,y", False),
        ("ds,1", False),
        ("V1", False),
        ("V1,V2,value", False),
    ],
)
def test_a_wide_file_is_known_by_its_header(header, wide):
    assert is_wide(header + "\n", "ds") == wide


@pytest.mark.parametrize("text", [M4, M4.replace('"', ""), M4.replace(",", ";"), M4 + "\n,,\n"])
def test_a_line_is_a_series(tmp_path, text):
    found = read(tmp_path, text)
    assert found.ids == ("H1", "H2")
    assert str(found.frequency) == "step"
    assert found["H1"].start == 0
    assert found["H1"].y.tolist() == [605, 586, 559]
    assert found["H2"].y.tolist() == [3]
    assert found["H2"].past.shape == (1, 0)


def test_the_frequency_gives_the_seasons_only(tmp_path):
    found = read(tmp_path, M4, "1h")
    assert found.frequency.unit == "step"
    assert found.frequency.seasons == (24, 168)
    assert found.stamps(found["H1"]).tolist() == [0, 1, 2]


def test_missing_values_are_gaps_within_and_cut_at_the_ends(tmp_path):
    found = read(tmp_path, "id,1,2,3,4,5\na,NA,1,,2,NaN\n")["a"]
    np.testing.assert_array_equal(found.y, [1, np.nan, 2])
    assert found.start == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            M4.replace("586", "x"),
            r"train.csv, line 2, column 3 \(series 'H1'\): 'x', expected a finite number",
        ),
        (M4.replace("586", "inf"), r"line 2, column 3 .*'inf'"),
        (M4.replace("H2", "H1"), r"line 3: series 'H1' is already at line 2"),
        (M4.replace("H2", ""), r"line 3: .* column is missing"),
        (M4.replace('"3"', ""), r"line 3 \(series 'H2'\): no values"),
        ("V1,V2\n", r"train.csv: no rows, only a header"),
    ],
)
def test_a_faulty_wide_file_is_refused(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path, text)


def test_a_wide_continuation(tmp_path):
    train = read(tmp_path, M4, "1h")
    test = tmp_path / "test.csv"
    test.write_text("V1,V2,V3\nH2,4,5\nH3,0,0\nH1,NA,540\n")
    found = continuation(train, test)
    assert found.ids == ("H1", "H2")
    assert found.frequency == train.frequency
    np.testing.assert_array_equal(found["H1"].y, [605, 586, 559, np.nan, 540])
    assert found["H2"].y.tolist() == [3, 4, 5]
    test.write_text("V1,V2,V3\nh1,4,5\nh2,5,6\n")
    with pytest.raises(DataError, match=r"test.csv: no line continues 2 series \('H1', 'H2'\); .* 'h1', 'h2'"):
        continuation(train, test)


@pytest.mark.parametrize("first", ["", "sep=;\n", '"sep=;"\n'])
def test_decimal_commas_and_excel_s_first_line(tmp_path, first, caplog):
    caplog.set_level(logging.INFO)
    text = first + "V1;V2;V3;V4\nH1;605,5;1.586,25;559\nH2;3,125;;NA\n"
    data = read(tmp_path, text)
    assert data["H1"].y.tolist() == [605.5, 1586.25, 559]
    assert data["H2"].y.tolist() == [3.125]
    assert caplog.messages == [f"{tmp_path / 'train.csv'}: numbers such as 605,5 are read with a decimal comma"]
    (tmp_path / "test.csv").write_text(first + "V1;V2\nH2;1,5\nH1;2,5\n")
    assert continuation(data, tmp_path / "test.csv")["H2"].y.tolist() == [3.125, 1.5]
    line = text.split("\n").index("H1;605,5;1.586,25;559") + 1
    with pytest.raises(DataError, match=rf"line {line}, column 3 \(series 'H1'\): 'x', expected a finite number"):
        read(tmp_path, text.replace("1.586,25", "x"))


def test_a_stated_decimal_mark_holds(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text("V1;V2;V3\nH1;1,250;2,500\n")
    with pytest.raises(DataError, match=r"1,250 may have a decimal comma or a comma between thousands"):
        read_series(path)
    assert read_series(path, Columns(decimal=",")).series[0].y.tolist() == [1.25, 2.5]
    assert read_series(path, Columns(decimal=".")).series[0].y.tolist() == [1250, 2500]
