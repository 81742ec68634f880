"""Small runs that predict rows, and tables for them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from recurra import AnomalyDetector, Classifier, Forecaster, Regressor, Tagger, Translator
from recurra.task import Estimator

__all__ = ["contents", "made_texts", "run_of", "steps", "write_texts"]

WORDS = ("film", "plot", "the", "of", "and", "cast")
SMALL = {"hidden_size": 4, "max_steps": 2, "device": "cpu"}


def made_texts(count: int, seed: int = 0) -> list[str]:
    """Texts of one word to nine, the last of which says whether they are good."""
    generator = np.random.default_rng(seed)
    return [
        " ".join([*generator.choice(WORDS, generator.integers(0, 9)), ("good", "bad")[generator.integers(2)]])
        for _ in range(count)
    ]


def write_texts(folder: Path, sizes: Sequence[int], ending: str = ".csv") -> str:
    """Write tables of texts with the columns id, text and year, some rows each. Returns a pattern for them."""
    folder.mkdir(exist_ok=True)
    for file, size in enumerate(sizes):
        frame = pl.DataFrame({"id": [f"{file}-{k}" for k in range(size)], "text": made_texts(size, file), "year": 2026})
        path = folder / f"table{file}{ending}"
        if ending == ".parquet":
            frame.write_parquet(path, row_group_size=7)
        else:
            frame.write_csv(path, separator="\t" if ending == ".tsv" else ",")
    return str(folder / f"*{ending}")


def steps(series: int, length: int, extra: str = "") -> pl.DataFrame:
    """Rows of series, one step of each after the other: id, ds, y, and a column of a constant of each if named."""
    start = pl.datetime(2026, 1, 1)
    stamps = pl.datetime_range(start, start + pl.duration(hours=length - 1), "1h", eager=True)
    frames = [
        pl.DataFrame(
            {
                "id": [f"s{k}"] * length,
                "ds": stamps,
                "y": np.sin(np.arange(length) / 3 + k).round(4),
                **({extra: [f"{k % 2}"] * length} if extra else {}),
            }
        )
        for k in range(series)
    ]
    return pl.concat(frames).sort("ds", maintain_order=True)


def run_of(task: str, folder: Path) -> Path:
    """Train a small run of a task."""
    texts = made_texts(40)
    estimator: Estimator
    if task == "classify":
        estimator = Classifier(evidence=False, **SMALL).fit(texts, [one.split()[-1] for one in texts], progress=False)
    elif task == "tag":
        tagged = [[(word, "X" if word in WORDS else "Y") for word in one.split()] for one in texts]
        estimator = Tagger(**SMALL).fit(tagged, progress=False)
    elif task == "translate":
        pairs = (texts, [one.upper() for one in texts])
        estimator = Translator(vocabulary_size=290, embedding_size=4, **SMALL).fit(pairs, progress=False)
    elif task in ("forecast", "anomaly"):
        reading = {"id_column": "id", "time_column": "ds"}
        kind = Forecaster if task == "forecast" else AnomalyDetector
        more = {"horizon": 3, "folds": 0} if task == "forecast" else {}
        estimator = kind(**SMALL, **more).fit(steps(3, 60), reading=kind.Reading(**reading), progress=False)  # type: ignore[misc]
    else:
        path = folder.parent / f"{folder.name}.csv"
        kind = Regressor if task == "regress" else Classifier
        steps(12, 20, "label").rename({"ds": "time"}).write_csv(path)
        estimator = kind(**SMALL).fit(path, progress=False)
    estimator.save(folder)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """What a prediction wrote, by the name of the file."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
