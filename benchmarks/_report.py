"""Tables printed row by row, and the figures that have targets."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Value = str | float | None

# What a figure is a ratio of; more is better in each.
FASTER = "the peer's time over ours"
SHARE = "our rate over the machine's own"
SMALLER = "torch.nn's bytes over ours"


@dataclass(frozen=True)
class Figure:
    """One figure of a benchmark.

    Attributes:
        benchmark: that it comes from.
        quantity: `FASTER`, `SHARE` or `SMALLER`.
        name: what was measured, such as "GRU, ragged".
        kind: "inference" or "training", or another word for one of several figures of the same name.
        value: the ratio.
        target: what it is to reach, if that is said.
    """

    benchmark: str
    quantity: str
    name: str
    kind: str
    value: float
    target: float | None = None


@dataclass
class Table:
    """A table; a row is printed when it is added.

    Attributes:
        title: printed above.
        columns: the format of each by name. A name "training: ratio" stands under the heading "training".
        markdown: whether it is printed as Markdown, with headings in the names.
        rows: so far.
    """

    title: str
    columns: Mapping[str, str]
    markdown: bool
    rows: list[tuple[Value, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        headed = [column.rpartition(": ") for column in self.columns]
        if self.markdown:
            print(f"\n{self.title}\n")
            self._print(list(self.columns))
            self._print([":--" if spec.endswith("s") else "--:" for spec in self.columns.values()])
            return
        print(f"\n{self.title}")
        headings = [heading for heading, _, _ in headed]
        if any(headings):
            self._print([h if h != before else "" for h, before in zip(headings, ["", *headings], strict=False)])
        self._print([name for _, _, name in headed])

    def add(self, *values: Value) -> None:
        """Add a row; None leaves a place empty, and text may stand where a number would."""
        self.rows.append(values)
        self._print([_shown(value, spec) for value, spec in zip(values, self.columns.values(), strict=True)])

    def _print(self, texts: Sequence[str]) -> None:
        if self.markdown:
            print(f"| {' | '.join(text.strip() for text in texts)} |", flush=True)
            return
        places = []
        for text, (column, spec) in zip(texts, self.columns.items(), strict=True):
            left = spec.endswith("s")
            width = max(len(part) for part in (*column.split(": "), format("" if left else 0.0, spec)))
            places.append(text.ljust(width) if left else text.strip().rjust(width))
        print("  ".join(places).rstrip(), flush=True)


@dataclass
class Report:
    """Everything that the benchmarks of one run have found.

    Attributes:
        markdown: whether tables are printed as Markdown.
        tables: in the order of printing.
        figures: those that the picture shows.
    """

    markdown: bool = False
    tables: list[Table] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)

    def table(self, title: str, columns: Mapping[str, str]) -> Table:
        """Begin a table."""
        table = Table(title, columns, self.markdown)
        self.tables.append(table)
        return table

    def figure(
        self, benchmark: str, quantity: str, name: str, kind: str, value: float, target: float | None = None
    ) -> None:
        """Keep a figure, of attributes as `Figure` has them."""
        self.figures.append(Figure(benchmark, quantity, name, kind, value, target))

    def as_data(self) -> dict[str, object]:
        """All of it, to be written as JSON."""
        return {
            "tables": [
                {"title": table.title, "rows": [dict(zip(table.columns, row, strict=True)) for row in table.rows]}
                for table in self.tables
            ],
            "figures": [vars(figure) for figure in self.figures],
        }


def geometric_means(rows: Sequence[Sequence[float]]) -> list[float]:
    """The geometric mean of each column."""
    return [statistics.geometric_mean(column) for column in zip(*rows, strict=True)]


def ranged(values: Sequence[float], spec: str) -> str:
    """The mean of some figures, with the lowest and the highest if these differ."""
    mean, lowest, highest = (format(of(values), spec) for of in (statistics.fmean, min, max))
    return mean if lowest == highest else f"{mean} ({lowest} to {highest})"


def _shown(value: Value, spec: str) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else format(value, spec)
