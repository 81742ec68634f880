"""How well a model does on the data that are inspected, beside simple baselines."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Standing"]


@dataclass(frozen=True)
class Standing:
    """Scores of a model, which the page states first.

    Attributes:
        title: what was scored: the data and their size; empty if only the validation score is known.
        columns: of `rows`: "method", then the names of the scores.
        rows: a row a method as text, the model first.
        main: the score that methods are compared by.
        better: the baselines that beat the model by it.
        warnings: sentences about a model that does no better than chance, or that answers alike to everything.
        validation: the best validation score of the run; empty if it is not known.
    """

    title: str = ""
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    main: str = ""
    better: Sequence[str] = ()
    warnings: Sequence[str] = ()
    validation: str = ""
