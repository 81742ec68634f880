"""The memory that a prediction takes does not grow with its tables."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from small_tables import SMALL, WORDS, made_texts

from recurra import Classifier

# Of the large table. The default takes half an hour of one processor, and as much room on the disk.
GIGABYTES = float(os.environ.get("RECURRA_TABLE_GB", "5"))
ROWS_OF_A_FILE = 50_000
TEXT_WORDS = 220

PREDICT = """
import sys
from recurra.prediction import TableOptions, predict_files
done = predict_files(*sys.argv[1:], options=TableOptions(keep=("id",)), progress=False)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(done.rows, done.bad_rows, int(peak.split()[1]) // 1024)
"""


def write_large(folder: Path, ending: str, files: int) -> None:
    """Write tables of about 50 MB each as CSV: long texts, all of which are read, if only a few tokens of each."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    texts = [" ".join(generator.choice(WORDS, TEXT_WORDS)) for _ in range(2000)]
    for file in range(files):
        column = [texts[(7 * row + file) % len(texts)] for row in range(ROWS_OF_A_FILE)]
        frame = pl.DataFrame({"id": range(ROWS_OF_A_FILE), "text": column})
        path = folder / f"table{file:03d}{ending}"
        frame.write_csv(path) if ending == ".csv" else frame.write_parquet(path)


@pytest.mark.slow
@pytest.mark.timeout(14_400)
@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_memory_does_not_grow_with_the_tables(ending: str, tmp_path: Path) -> None:
    texts = made_texts(40)
    classifier = Classifier(evidence=False, max_length=5, **SMALL)
    classifier.fit(texts, [one.split()[-1] for one in texts], progress=False).save(tmp_path / "run")
    peaks = []
    for name, files in (("small", 1), ("large", max(2, round(20 * GIGABYTES)))):
        write_large(tmp_path / name, ending, files)
        arguments = [str(tmp_path / one) for one in ("run", name, f"{name}-out")]
        done = subprocess.run([sys.executable, "-c", PREDICT, *arguments], capture_output=True, text=True, check=True)
        rows, bad, peak = map(int, done.stdout.split())
        assert (rows, bad) == (files * ROWS_OF_A_FILE, 0)
        peaks.append(peak)
    print(f"{ending}: peak memory {peaks[0]} MB of one file, {peaks[1]} MB of {files}")
    assert peaks[1] < peaks[0] + 100
