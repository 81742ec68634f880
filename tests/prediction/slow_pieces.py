"""A prediction that takes a little while for each piece, for a process that is killed in between."""

import time
from pathlib import Path

import torch

from recurra.prediction import TableOptions, piece_worker, predict_files

__all__ = ["predict_slowly"]


def predict_slowly(run: Path, data: Path, out: Path, options: TableOptions, seconds: float) -> None:
    """Predict tables, with a pause of so many seconds before each piece."""
    torch.set_num_threads(1)
    predict = piece_worker.PieceWorker.__call__
    piece_worker.PieceWorker.__call__ = lambda self, k: (time.sleep(seconds), predict(self, k))[1]  # type: ignore[method-assign]
    predict_files(run, data, out, options=options, progress=False)
