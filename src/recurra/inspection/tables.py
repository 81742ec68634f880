"""The figures of an inspection as tables."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recurra.inspection.inspection import Inspection

__all__ = ["Table", "detailed_tables", "summary_tables"]


@dataclass(frozen=True)
class Table:
    """A table: its name, what its columns are called, and its rows.

    Attributes:
        name: as a file is called, without the ending.
        title: for people.
        columns: their names, with units.
        rows: a value a column; text, whole numbers and floats.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def csv(self) -> str:
        """As CSV text; nan and infinity are empty and "inf"."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows([_plain(value) for value in row] for row in self.rows)
        return text.getvalue()


def summary_tables(inspection: Inspection) -> list[Table]:
    """A few rows a layer: what the page shows."""
    tables = [
        Table(
            *("memory", "How far back the gradient reaches"),
            (
                "layer",
                "part",
                "factor a step",
                "falls to 1/e (steps)",
                "falls to 1 % (steps)",
                "R^2 of the fit",
                "measured: below 1 % from lag",
            ),
            tuple(
                (
                    c.track,
                    c.part,
                    c.decay.factor,
                    c.decay.time_constant,
                    c.decay.horizon,
                    c.decay.r_squared,
                    "beyond" if c.decay.measured_horizon is None else c.decay.measured_horizon,
                )
                for c in inspection.gradients.curves
            ),
        ),
        Table(
            *("dynamics", "Lyapunov exponents"),
            (
                "layer",
                "largest (1/step)",
                "exponents computed",
                "of",
                "above 0",
                "Kaplan-Yorke dimension",
                "steps",
                "sequences",
            ),
            tuple(
                (
                    s.name,
                    s.largest,
                    len(s.exponents),
                    s.size,
                    int((s.exponents > 0).sum()),
                    s.dimension,
                    s.steps,
                    s.sequences,
                )
                for s in inspection.lyapunov
            ),
        ),
        Table(
            *("recurrent_weights", "Recurrent weights"),
            ("layer", "gate", "spectral radius", "spectral norm"),
            tuple((s.name, s.gate, s.radius, s.norm) for s in inspection.spectra),
        ),
        Table(
            *("gate_fractions", "Gates"),
            (
                "layer",
                "gate",
                "function",
                "near lower end (fraction of time)",
                "near upper end (fraction of time)",
                "stuck low (units)",
                "stuck high (units)",
                "units",
            ),
            tuple(
                (
                    g.name,
                    g.gate,
                    g.function,
                    float(g.low.mean()),
                    float(g.high.mean()),
                    len(g.stuck_low),
                    len(g.stuck_high),
                    len(g.low),
                )
                for g in inspection.gates
            ),
        ),
        Table(
            *("state_ranges", "States"),
            ("layer", "part", "mean", "standard deviation", "least", "greatest", "dead (units)", "units"),
            tuple(
                (
                    s.name,
                    s.part,
                    float(s.mean.mean()),
                    float(s.deviation.mean()),
                    float(s.least.min()),
                    float(s.greatest.max()),
                    len(s.dead),
                    len(s.mean),
                )
                for s in inspection.states
            ),
        ),
    ]
    return [table for table in tables if table.rows]


def detailed_tables(inspection: Inspection) -> list[Table]:
    """A row a lag, step, unit or edge: what the pictures are plotted from."""
    tables = [
        Table(
            *("gradient_by_lag", "Norm of dL/ds_t by lag"),
            ("layer", "part", "lag (steps)", "norm", "fitted norm"),
            tuple(
                (c.track, c.part, lag, float(norm), float(c.decay.at(np.array(lag))))
                for c in inspection.gradients.curves
                for lag, norm in enumerate(c.norms)
            ),
        ),
        Table(*("unrolled", "Gradient along the edges"), ("from", "to", "step", "norm"), tuple(_edges(inspection))),
        Table(
            *("jacobian_by_lag", "Jacobian norms by lag"),
            ("layer", "lag (steps)", "median norm", "least norm", "greatest norm"),
            tuple(
                (j.track, *map(_scalar, row))
                for j in inspection.jacobians
                for row in zip(j.lags, j.median, j.low, j.high, strict=True)
            ),
        ),
        Table(
            *("jacobian_by_step", "Jacobian norms of single steps"),
            ("layer", "step", "norm"),
            _by_step(inspection, [(j.track, j.by_step) for j in inspection.jacobians]),
        ),
        Table(
            *("lyapunov", "Lyapunov spectra"),
            ("layer", "index", "exponent (1/step)", "standard deviation over sequences"),
            tuple(
                (s.name, index + 1, float(s.exponents[index]), float(s.spread[index]))
                for s in inspection.lyapunov
                for index in range(len(s.exponents))
            ),
        ),
        Table(
            *("gates", "Gates by unit"),
            (
                "layer",
                "gate",
                "function",
                "unit",
                "near lower end (fraction of time)",
                "near upper end (fraction of time)",
                "mean",
            ),
            tuple(
                (g.name, g.gate, g.function, unit, *map(_scalar, (g.low[unit], g.high[unit], g.mean[unit])))
                for g in inspection.gates
                for unit in range(len(g.low))
            ),
        ),
        Table(
            *("states", "States by unit"),
            ("layer", "part", "unit", "mean", "standard deviation", "least", "greatest", "dead"),
            tuple(
                (
                    s.name,
                    s.part,
                    unit,
                    *map(_scalar, (s.mean[unit], s.deviation[unit], s.least[unit], s.greatest[unit])),
                    int(unit in s.dead),
                )
                for s in inspection.states
                for unit in range(len(s.mean))
            ),
        ),
    ]
    return [table for table in [*tables, *_attributions(inspection)] if table.rows]


def _attributions(inspection: Inspection) -> list[Table]:
    tables = []
    at, unit = 0, inspection.words.unit  # attribution holds the sequence shown alone
    ending = f" ({unit})" if unit else ""
    if inspection.attribution is not None and inspection.gradient_times_input is not None:
        exact, quick = (np.concatenate(a.of(at)) for a in (inspection.attribution, inspection.gradient_times_input))
        labels = inspection.words.labels
        columns = (
            "step",
            *(("input",) if labels else ()),
            f"integrated gradients{ending}",
            f"gradient x input{ending}",
        )
        rows = tuple(
            (inspection.words.first_step + t, *labels[t : t + 1], float(a), float(b))
            for t, (a, b) in enumerate(zip(exact, quick, strict=True))
        )
        tables.append(Table("attribution", "Attribution by step", columns, rows))
        features = tuple(
            (index + 1, feature, float(total), float(size))
            for index, part in enumerate(inspection.attribution.values)
            for feature, (total, size) in enumerate(zip(part[at].sum(0), np.abs(part[at]).sum(0), strict=True))
        )
        columns = ("input", "feature", f"integrated gradients{ending}", f"sum of absolute values{ending}")
        tables.append(Table("attribution_by_feature", "Attribution by feature", columns, features))
    if inspection.forgetting is not None:
        lags, effect = inspection.forgetting.lags, inspection.forgetting.effect
        rows = tuple((int(lag), float(value)) for lag, value in zip(lags, effect, strict=True))
        columns = ("steps not replaced", f"mean change of the output{ending}")
        tables.append(Table("forgetting", "Effect of replacing older inputs", columns, rows))
    return tables


def _edges(inspection: Inspection) -> list[tuple[Any, ...]]:
    rows = []
    first, unrolled = inspection.words.first_step, inspection.unrolled
    for row in unrolled.rows:
        rows += [(row.name, row.name, first + row.first + t, float(norm)) for t, norm in enumerate(row.through_time)]
    for edges in unrolled.edges:
        upper = "output" if edges.upper is None else unrolled.rows[edges.upper].name
        lower = "input" if edges.lower is None else unrolled.rows[edges.lower].name
        begins = first + unrolled.rows[edges.row].first
        rows += [(upper, lower, begins + t, float(norm)) for t, norm in enumerate(edges.norms)]
    return rows


def _by_step(inspection: Inspection, series: Sequence[tuple[str, np.ndarray]]) -> tuple[tuple[Any, ...], ...]:
    return tuple(
        (name, inspection.words.first_step + t, float(norm)) for name, norms in series for t, norm in enumerate(norms)
    )


def _scalar(value: Any) -> int | float:
    return value.item() if isinstance(value, np.generic) else value


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return value
