"""Backtests as text, CSV and JSON."""

import csv
import io
import json
import math
from pathlib import Path

from recurra.files import prepare_folder, write_text
from recurra.tasks.forecast.backtest import Backtest
from recurra.tasks.forecast.frames import backtest_frame, write_frame

__all__ = ["backtest_table", "write_backtest"]


def backtest_table(backtest: Backtest) -> str:
    """Measures by method, a line each, the best of each column marked with a star."""
    overall = backtest.overall
    names = list(dict.fromkeys(name for measures in overall.values() for name in measures))
    best = {
        name: min((measures[name] for measures in overall.values() if math.isfinite(measures[name])), default=None)
        for name in names
        if "coverage" not in name
    }
    lines = [["", *names]]
    for method, measures in overall.items():
        cells = [_cell(measures.get(name), best.get(name)) for name in names]
        lines.append([method, *cells])
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(w) if k == 0 else cell.rjust(w) for k, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def write_backtest(backtest: Backtest, folder: Path) -> None:
    """Write `backtest.json` (overall, coverage, short series), `backtest.csv` (by series) and `forecasts.csv`.

    Raises:
        RunError: where the folder cannot be written.
    """
    prepare_folder(folder)
    values = {
        "overall": backtest.overall,
        "interval_coverage_by_nominal_percent": backtest.interval_coverage,
        "season": backtest.season,
        "windows": len(backtest.truth),
        "folds_of_short_series": backtest.folds.short,
        "error_by_step": {method: steps.tolist() for method, steps in backtest.by_step.items()},
    }
    write_text(folder / "backtest.json", json.dumps(_without_nan(values), indent=1) + "\n")
    write_text(folder / "backtest.csv", _by_series(backtest))
    folds = backtest.folds
    frame = backtest_frame(
        backtest.data, folds.rows, folds.origins, backtest.truth, backtest.quantiles, backtest.levels
    )
    write_frame(frame, folder / "forecasts.csv")


def _by_series(backtest: Backtest) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = list(backtest.overall["model"])
    writer.writerow([backtest.data.columns.id or "unique_id", "method", *names])
    for series, methods in backtest.by_series.items():
        for method, measures in methods.items():
            writer.writerow([series, method, *(_number(measures.get(name)) for name in names)])
    return text.getvalue()


def _number(value: float | None) -> str:
    return "" if value is None or not math.isfinite(value) else f"{value:.6g}"


def _cell(value: float | None, best: float | None) -> str:
    if value is None or not math.isfinite(value):
        return "-  "
    shown = f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return shown + (" *" if value == best else "  ")


def _without_nan(values: object) -> object:
    """NaN is not JSON; null says the same."""
    if isinstance(values, dict):
        return {key: _without_nan(value) for key, value in values.items()}
    if isinstance(values, list):
        return [_without_nan(value) for value in values]
    return None if isinstance(values, float) and not math.isfinite(values) else values
