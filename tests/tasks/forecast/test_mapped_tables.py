"""Large tables: their series are mapped, they train the same weights, and a run needs its table to look at it again."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from made_series import TINY, days, long_frame

from recurra.errors import DataError
from recurra.tasks.forecast import Forecaster, ForecastReading

READING = ForecastReading(past=("p",), known=("k",))


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "a.csv"
    frame = long_frame({"a": 80, "b": 110, "c": 30})
    chance = np.random.default_rng(0)
    frame = frame.with_columns(p=pl.Series(chance.normal(size=220)), k=pl.Series(chance.normal(size=220)))
    frame.write_csv(path)
    return path


def fit(path: Path, folder: Path, **options: Any) -> Forecaster:
    forecaster = Forecaster(**{**TINY, "horizon": 5, "folds": 1, **options})
    return forecaster.fit(path, reading=READING, folder=folder, progress=False)


def test_a_mapped_table_trains_the_same_weights(path: Path, tmp_path: Path) -> None:
    held, mapped = (fit(path, tmp_path / f"run{size}", map_above=size) for size in (1, 0))
    files = [{file.name for file in (tmp_path / f"run{size}").iterdir()} for size in (1, 0)]
    assert files[0] - files[1] == {"learned.safetensors"}
    assert held.fitted.data["digest"] == mapped.fitted.data["digest"]
    for name in ("best.safetensors", "log.csv"):
        assert (tmp_path / "run1" / name).read_bytes() == (tmp_path / "run0" / name).read_bytes()
    loaded = Forecaster.load(tmp_path / "run0")
    assert loaded.evaluate().scores == mapped.evaluate().scores == held.evaluate().scores
    for one, other in zip(loaded.view().inputs[0], held.view().inputs[0], strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)
    future = pl.concat(
        pl.DataFrame({"unique_id": name, "ds": days(5, length), "k": np.arange(5.0)})
        for name, length in (("a", 80), ("b", 110), ("c", 30))
    )
    assert loaded.predict(future=future).equals(held.predict(future=future))


def test_a_run_needs_its_table_only_to_look_at_it(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    scores = fit(path, folder, map_above=0).evaluate().scores
    for file in (tmp_path / "cache").rglob("*"):
        if file.is_file():
            file.unlink()
    assert Forecaster.load(folder).evaluate().scores == scores  # read anew
    content = path.read_text()
    path.write_text(content + "c,2024-02-01,20.5,0,0\n")
    loaded = Forecaster.load(folder)
    assert loaded.evaluate().scores == scores  # from the cache
    for file in (tmp_path / "cache").rglob("*"):
        if file.is_file():
            file.unlink()
    loaded = Forecaster.load(folder)
    with pytest.raises(DataError, match=r"has changed\. Put it back, or name another table \(--data\)"):
        loaded.evaluate()
    newer = path.with_name("newer.csv")
    newer.write_text(content)
    assert loaded.evaluate(newer).scores == scores
    assert loaded.replaced(max_steps=4).fit(newer, reading=READING, progress=False).training_result.steps == 4  # type: ignore[union-attr]


def test_a_run_is_resumed_from_its_table(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    fit(path, folder, map_above=0)
    more = Forecaster(**{**TINY, "horizon": 5, "folds": 1, "map_above": 0, "max_steps": 5})
    resumed = more.fit(folder=folder, resume=True, progress=False)
    assert resumed.training_result is not None
    assert resumed.training_result.steps == 5


TRAIN = """
import resource, sys
from recurra.cli.main import main

limit = int(sys.argv[1]) * 10**6
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_table_trains_in_less_memory_than_it_takes(tmp_path: Path, ending: str) -> None:
    """RLIMIT_DATA limits what is a process's own: allocations and stacks, not pages of files, which the kernel drops.

    Rows are in the order of stamps, so that those of a series are all over the table. Read at once, the table takes
    several times the limit.
    """
    series, steps, limit = 40, 100_000, 600
    chance, path = np.random.default_rng(0), tmp_path / f"large.{ending}"
    parts = []
    for start in range(0, steps, 10_000):
        stamps = np.datetime64("2000-01-01", "us") + np.arange(start, start + 10_000) * np.timedelta64(1, "h")
        season = np.sin(np.arange(start, start + 10_000) * np.pi / 12).repeat(series)
        values = {"y": season + chance.normal(size=len(season)), "p": chance.normal(size=len(season))}
        ids = np.tile([f"s{one}" for one in range(series)], len(stamps))
        parts.append(pl.DataFrame({"unique_id": ids, "ds": stamps.repeat(series), **values}))
    frame = pl.concat(parts)
    frame.write_csv(path) if ending == "csv" else frame.write_parquet(path)
    options = "--horizon 24 --past p --hidden-size 8 --max-steps 20 --validate-every 20 --map-above 20"
    command = [sys.executable, "-c", TRAIN, str(limit), "train", "forecast", "--data", str(path)]
    command += ["--out", str(tmp_path / "run"), *options.split()]
    environment = os.environ | {"RECURRA_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    environment |= {"POLARS_MAX_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "trained 20 steps" in done.stdout
    assert "whole table" not in done.stdout + done.stderr
    stored = max(file.stat().st_size for file in (tmp_path / "cache").rglob("*"))
    assert stored > 16 * series * steps
