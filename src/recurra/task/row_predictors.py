"""Estimators that predict rows of tables, such as those that `recurra.prediction` reads piece by piece.

Such an estimator derives from one of these classes, or from both, beside `Estimator`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

__all__ = ["SeriesPredictor", "TextPredictor", "TextRows"]


@dataclass(frozen=True)
class TextRows:
    """How the rows of a table are texts.

    Attributes:
        column: of the texts.
        takes_blank: whether a blank text has a prediction.
    """

    column: str = "text"
    takes_blank: bool = True


class TextPredictor(ABC):
    """An estimator that predicts texts, of which each may be a row of a table."""

    @abstractmethod
    def text_rows(self, reading: Any) -> TextRows | None:
        """How rows are texts; None: this run reads series.

        Args:
            reading: how tables are read; None: as in training.
        """

    @abstractmethod
    def predict_texts(self, texts: Sequence[str], reading: Any, **options: Any) -> "pl.DataFrame":
        """Predictions as a table, one row for each text, in order.

        Args:
            texts: one or more.
            reading: how tables are read; None: as in training.
            options: more arguments of `predictions`.

        Raises:
            DataError: a text cannot be used.
        """


class SeriesPredictor(ABC):
    """An estimator that predicts series, of which each step may be a row of a table."""

    @abstractmethod
    def series_id(self, reading: Any) -> str | None:
        """The column that tells series apart; a table without it is a single series. None: there is none.

        Args:
            reading: how tables are read; None: as in training.
        """

    @abstractmethod
    def predict_series(self, path: Path, reading: Any, as_text: bool, **options: Any) -> "pl.DataFrame":
        """Predictions as a table: the rows that `predictions` writes, series in the order of their first rows.

        Args:
            path: of a table, CSV or Parquet, with all steps of each series.
            reading: how tables are read; None: as in training.
            as_text: whether stamps are text, in the form that they have in the table, for CSV.
            options: more arguments of `predictions`.

        Raises:
            DataError: a series cannot be used.
        """
