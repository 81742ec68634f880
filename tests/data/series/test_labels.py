import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recurra.data.series.channels import ChannelSet, channels_from_arrays, read_channels
from recurra.data.series.labels import read_labels, read_verdicts
from recurra.errors import DataError

HOURS = np.datetime64("2024-03-01", "us") + np.arange(12) * np.timedelta64(1, "h")


def hourly(ids: tuple[str, ...] = ("a", "b")) -> ChannelSet:
    frames = [pl.DataFrame({"unique_id": [name] * 12, "ds": HOURS, "y": np.arange(12.0)}) for name in ids]
    return replace(read_channels(pl.concat(frames)), source="folder/hourly.csv")


def steps(labels: np.ndarray) -> list[int]:
    assert labels.dtype == bool
    return np.flatnonzero(labels).tolist()


def windows(tmp_path: Path, *lines: str, header: str = "start,end") -> Path:
    path = tmp_path / "windows.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def message(path: Path, data: ChannelSet, name: str | None = None) -> str:
    with pytest.raises(DataError) as caught:
        read_labels(path, data, name)
    return str(caught.value)


# Windows in a CSV file


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["2024-03-01 02:00,2024-03-01 04:00"], [2, 3, 4]),
        (["2024-03-01T02:00:00.000,2024-03-01T04:00:00.000"], [2, 3, 4]),
        (["2024-03-01 02:00,2024-03-01 03:00", "2024-03-01 05:00,"], [2, 3, 5]),
        (["2024-03-01 02:10,2024-03-01 02:20"], [2]),
        (["2024-03-01 02:10,2024-03-01 03:20"], [3]),
        (["2024-02-20,2024-03-01 01:00", "2025-01-01,2025-02-01"], [0, 1]),
        (["2,4", "11,20"], [2, 3, 4, 11]),
        (["2,", "", "4,"], [2, 4]),
        ([], []),
    ],
)
def test_windows_label_the_steps_from_start_to_end(tmp_path, lines, expected):
    labels = read_labels(windows(tmp_path, *lines), hourly())
    assert steps(labels["a"]) == steps(labels["b"]) == expected


def test_windows_of_one_series_are_not_those_of_the_others(tmp_path):
    path = windows(tmp_path, "1;2;a", "4;5;b", "7;7;", header="start;end;series")
    labels = read_labels(path, hourly())
    assert steps(labels["a"]) == [1, 2, 7]
    assert steps(labels["b"]) == [4, 5, 7]


def test_integers_are_stamps_in_data_without_dates(tmp_path):
    data = read_channels(pl.DataFrame({"ds": np.arange(10, 30, 2), "y": np.arange(10.0)}))
    assert steps(read_labels(windows(tmp_path, "14,18"), data)["series"]) == [2, 3, 4]
    assert "integers" in message(windows(tmp_path, "2024-01-01,2024-01-02"), data)


def test_windows_follow_the_form_and_zone_of_the_data(tmp_path):
    german = pl.DataFrame({"ds": [f"{day:02}.03.2024" for day in range(1, 20)], "y": 1.0})
    data = read_channels(german)
    assert steps(read_labels(windows(tmp_path, "02.03.2024,03.03.2024"), data)["series"]) == [1, 2]
    assert steps(read_labels(windows(tmp_path, "2024-03-02,2024-03-03"), data)["series"]) == [1, 2]
    assert steps(read_labels(windows(tmp_path, "1,2"), data)["series"]) == [1, 2]
    zoned = pl.DataFrame({"ds": [f"2024-03-01T{hour:02}:00:00+02:00" for hour in range(12)], "y": 1.0})
    data = read_channels(zoned)
    for line in ("2024-03-01 03:00,2024-03-01 04:00", "2024-03-01T01:00:00Z,2024-03-01T02:00:00Z"):
        assert steps(read_labels(windows(tmp_path, line), data)["series"]) == [3, 4]
    days = pl.DataFrame({"ds": [f"2024-03-{day:02} 00:00+02:00" for day in range(1, 9)], "y": 1.0})
    data = read_channels(days)
    for line in ("2024-03-03,2024-03-04", "2024-03-03T00:00:00+02:00,2024-03-03T22:00:00Z"):
        assert steps(read_labels(windows(tmp_path, line), data)["series"]) == [2, 3]


@pytest.mark.parametrize(
    ("lines", "facts"),
    [
        (["2024-03-01 02:00,2024-03-01 04:00", "2024-03-01 05:00,2024-03-01 03:00"], ("line 3", "before its start")),
        (["soon,2024-03-01 04:00"], ("line 2", "'soon'")),
        ([",2024-03-01 04:00"], ("line 2", "start", "missing")),
        (["2,2024-03-01 04:00"], ("line 2", "index", "stamp")),
        (["2023-03-01,2023-03-02"], ("line 2", "outside", "2024-03-01", "hourly.csv")),
        (["2024-03-01T02:00:00Z,2024-03-01T04:00:00Z"], ("zone", "hourly.csv")),
    ],
)
def test_faulty_windows_are_refused_with_file_and_line(tmp_path, lines, facts):
    got = message(windows(tmp_path, *lines), hourly())
    assert all(fact in got for fact in ("windows.csv", *facts)), got


def test_an_unknown_series_or_header_is_refused(tmp_path):
    got = message(windows(tmp_path, "1,2,a", "1,2,bb", header="start,end,series"), hourly())
    assert "line 3" in got
    assert "'bb'" in got
    assert "'b'" in got
    got = message(windows(tmp_path, "1,2", header="begin,end"), hourly())
    assert "line 1" in got
    assert "start,end" in got


# Verdicts


def test_verdicts_are_windows_with_a_word(tmp_path):
    data = hourly()
    header = "start,end,verdict,series"
    path = windows(tmp_path, f"2,3,normal,{data.ids[0]}", f"1,1,,{data.ids[0]}", "4,,anomaly,", header=header)
    first, *others = read_verdicts(path, data)
    assert first == (0, 2, 4, True)
    assert others == [(index, 4, 5, False) for index in range(len(data))]


@pytest.mark.parametrize(
    ("line", "facts"),
    [
        ("2024-03-01 05:00,2024-03-01 03:00,normal", ("line 2", "before its start")),
        ("2,2024-03-01 04:00,normal", ("line 2", "index", "stamp")),
        ("2,3,fine", ("line 2", "'fine'", "normal or anomaly")),
    ],
)
def test_faulty_verdicts_are_refused_with_file_and_line(tmp_path, line, facts):
    with pytest.raises(DataError) as raised:
        read_verdicts(windows(tmp_path, line, header="start,end,verdict"), hourly())
    assert all(fact in str(raised.value) for fact in ("windows.csv", *facts)), raised.value


# NAB's windows


def nab(tmp_path: Path, values: object) -> Path:
    path = tmp_path / "nab.json"
    path.write_text(json.dumps(values, indent=4), encoding="utf-8")
    return path


def test_nab_windows_are_those_of_the_file(tmp_path):
    two = ["2024-03-01 02:00:00.000000", "2024-03-01 03:00:00.000000"]
    path = nab(
        tmp_path, {"other/hourly.csv": [["2024-03-01 07:00:00", "2024-03-01 08:00:00"]], "folder/hourly.csv": [two]}
    )
    assert steps(read_labels(path, hourly())["a"]) == [2, 3]
    assert steps(read_labels(path, hourly(), "/data/other/hourly.csv.gz")["a"]) == [7, 8]
    assert "several" in message(path, hourly(), "hourly.csv")
    assert "folder/hourly.csv" in message(path, hourly(), "folder/hour.csv")
    assert steps(read_labels(nab(tmp_path, {"x/hourly.csv": [two]}), hourly())["b"]) == [2, 3]
    assert steps(read_labels(nab(tmp_path, {"folder/hourly.csv": []}), hourly())["b"]) == []


def test_faults_in_nab_windows_are_named_by_their_line(tmp_path):
    one, two = "2024-03-01 02:00:00", "2024-03-01 01:00:00"
    key = "folder/hourly.csv"
    assert "nab.json, line 10" in message(nab(tmp_path, {"other.csv": [[one, two]], key: [[one, two]]}), hourly())
    assert "nab.json, line 9" in message(nab(tmp_path, {"other.csv": [], key: [[two, one], ["soon", one]]}), hourly())
    assert "nab.json, line 2" in message(nab(tmp_path, {key: [[one]]}), hourly())
    assert "nab.json, line 1" in message(nab(tmp_path, [one]), hourly())
    path = tmp_path / "nab.json"
    path.write_text("{\n  'a': []\n}", encoding="utf-8")
    assert "nab.json, line 2" in message(path, hourly())


def test_the_windows_of_nab_cover_its_files():
    here = Path(__file__).resolve().parents[3]
    folder = Path(os.environ.get("RECURRA_DATA", here / ".." / "shared" / "data")) / "nab"
    if not (folder / "combined_windows.json").exists():
        pytest.skip(f"NAB is not in {folder}; set RECURRA_DATA to a folder that has it")
    for name in (
        "realKnownCause/nyc_taxi.csv",
        "artificialNoAnomaly/art_noisy.csv",
        "realTweets/Twitter_volume_AAPL.csv",
    ):
        path = next(path for path in (folder / "data" / name, folder / "data" / f"{name}.gz") if path.exists())
        data = read_channels(path)
        flags = read_labels(folder / "combined_windows.json", data)["series"]
        stated = json.loads((folder / "combined_windows.json").read_text(encoding="utf-8"))[name]
        stamps = data.series[0].stamps
        inside = [(stamps >= np.datetime64(start)) & (stamps <= np.datetime64(end)) for start, end in stated]
        np.testing.assert_array_equal(flags, np.any(inside, axis=0) if inside else np.zeros(len(stamps), bool))
        assert flags.any() == bool(stated)


def test_a_stamp_that_cannot_be_read_asks_for_the_form_of_the_data(tmp_path: Path) -> None:
    data = channels_from_arrays(np.zeros(20))
    path = tmp_path / "windows.csv"
    path.write_text("start,end\nsoon,later\n")
    with pytest.raises(
        DataError, match=r"windows\.csv, line 2: start is 'soon'.* Write stamps as in the data"
    ) as error:
        read_labels(path, data)
    assert "--" not in str(error.value)
