"""Evaluations as text."""

from collections.abc import Sequence

from recurra.tasks.language.evaluation import Evaluation

__all__ = ["evaluation_table"]


def evaluation_table(evaluation: Evaluation) -> str:
    """The measures by method, a line each, and what they leave open."""
    measures = evaluation.measures
    names = list(measures["model"])
    lines = [["", *names]]
    lines += [[method, *(_cell(found[name]) for name in names)] for method, found in measures.items()]
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
    notes = [f"Only bits/byte compares models of other tokens; perplexity/{evaluation.unit} is of these tokens alone."]
    if evaluation.unknown:
        bare = "bits/byte spells each of them out at 8 bits a byte; the other measures take each for one symbol."
        notes.append(f"{_share(evaluation)} are not in the vocabulary: {bare}")
    return "\n".join([*(_join(line, widths) for line in lines), "", *notes])


def _join(line: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (cell.rjust(w) for cell, w in zip(line, widths, strict=True))
    return "  ".join([line[0].ljust(len(first)), *others])


def _cell(value: float) -> str:
    return f"{value:.4f}" if value < 100 else f"{value:,.1f}" if value < 1e6 else f"{value:.2e}"


def _share(evaluation: Evaluation) -> str:
    return f"{evaluation.unknown:,} of {evaluation.tokens:,} {evaluation.unit}s"
