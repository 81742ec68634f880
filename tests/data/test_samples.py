import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from recurra.data import samples
from recurra.data.image.caption_files import read_captions
from recurra.data.series.frame import series_from_frame
from recurra.data.series.read import read_series
from recurra.data.series.series_set import Columns
from recurra.errors import ParameterError


def test_air_passengers():
    found = samples.air_passengers()
    assert found.columns == ["unique_id", "ds", "y"]
    assert found.height == 144
    assert found["y"].sum() == 40363
    assert found["y"].head(12).to_list() == [112, 118, 132, 129, 121, 135, 148, 148, 136, 119, 104, 118]
    assert found["y"].tail(12).to_list() == [417, 391, 419, 461, 472, 535, 622, 606, 508, 461, 390, 432]
    series = series_from_frame(found)
    assert str(series.frequency) == "1mo"
    assert series.stamps(series.series[0])[-1] == np.datetime64("1960-12-01")


def test_weather():
    found = samples.weather()
    assert found.shape == (26112, 6)
    assert found["y"].is_between(0, 110).sum() == 26111
    assert found["wind_speed"].drop_nulls().is_between(0, 50).all()
    assert not found.select("unique_id", "ds").is_duplicated().any()
    series = series_from_frame(found, Columns(past=("humid", "wind_speed", "pressure")))
    assert str(series.frequency) == "1h"
    assert series.ids == ("EWR", "JFK", "LGA")
    assert series["EWR"].start == np.datetime64("2013-01-01T01:00")
    assert series["EWR"].y[0] == 39.02


@pytest.mark.parametrize("name", samples.names())
def test_the_file_reads_as_the_frame_does(name):
    from_file, from_frame = read_series(samples.path(name)), series_from_frame(getattr(samples, name)())
    assert from_file.ids == from_frame.ids
    for one, other in zip(from_file, from_frame, strict=True):
        assert one.start == other.start
        np.testing.assert_array_equal(one.y, other.y)


def test_the_files_are_small():
    every = (*samples.names(), *samples.names("captions"))
    assert sum(samples.path(name).stat().st_size for name in every) < 1_000_000


def test_emoji_in_three_parts():
    images = read_captions(samples.path("emoji"))
    parts = [sum(one.part == part for one in images) for part in ("train", "validation", "test")]
    assert parts == [1379, 193, 174]
    assert all(isinstance(one.image, bytes) and one.words for one in images)


def test_an_unknown_sample_is_refused():
    with pytest.raises(ParameterError, match=r"sample: expected 'air_passengers' or 'weather' or 'emoji', got 'iris'"):
        samples.path("iris")


def test_names_and_paths_load_neither_polars_nor_torch():
    code = "import sys, recurra.data.samples as s; s.path('weather'); "
    code += "print({'polars', 'torch'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"
    assert isinstance(samples.weather(), pl.DataFrame)
