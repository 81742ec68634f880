"""Translations as results, and how good they are: BLEU and chrF as sacreBLEU computes them (Post 2018)."""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from recurra.data.files.standard_input import is_standard_input, standard_input_lines
from recurra.data.text.parallel import ParallelText, read_lines
from recurra.errors import DataError, MissingExtraError, ParameterError
from recurra.figures import write_figure
from recurra.files import prepare_folder, write_text
from recurra.task import Evaluation, Predictions
from recurra.task.results import Table
from recurra.tasks.translate.search import Search
from recurra.tasks.translate.translation import AnyFitted, Translation, attention, translate

__all__ = ["Scores", "Translations", "evaluate", "score"]

_LINES_AT_ONCE = 1000
_SENTENCES_SHOWN = 3
_LONGEST_SHOWN = 40


class Translations(Predictions[list[str]]):
    """Translations of sentences, computed as they are asked for.

    Args:
        models: the translator, and those of an ensemble.
        data: sentences, the path of a file, or "-" for standard input.
        search: how.
        prefixes: what the translation of each sentence begins with, or one for all.
        scores: whether the text has scores too.
        picture: a PNG file to draw the attention of the first sentences into.

    Raises:
        DataError: the file cannot be used.
    """

    streams = True

    def __init__(
        self,
        models: Sequence[AnyFitted],
        data: Any,
        search: Search,
        prefixes: str | Sequence[str] = "",
        scores: bool = False,
        picture: str | Path | None = None,
    ) -> None:
        self._models, self._search, self._prefixes = models, search, prefixes
        self._scores = scores or search.n_best > 1
        self._picture = None if picture is None else Path(picture)
        self._at_once = _LINES_AT_ONCE
        self._lines = self._read(data)
        self._translations: list[list[Translation]] = []

    @property
    def values(self) -> list[str]:
        """The best translation of each sentence."""
        return [best[0].text for best in self.translations]

    @property
    def translations(self) -> list[list[Translation]]:
        """The `n_best` translations of each sentence, best first."""
        for _ in self._computed():
            pass
        return self._translations

    @property
    def frame(self) -> pl.DataFrame:
        """A row a sentence: its best translation and, if asked for, the score."""
        best = [translations[0] for translations in self.translations]
        columns = {"translation": pl.Series([one.text for one in best], dtype=pl.String)}
        if self._scores:
            columns["score"] = pl.Series([round(one.score, 4) for one in best], dtype=pl.Float64)
        return pl.DataFrame(columns)

    def text(self, color: bool = False) -> Iterator[str]:
        for position, translations in enumerate(self._computed(), start=1):
            for one in translations:
                yield f"{position}\t{one.score:.4f}\t{one.text}\n" if self._scores else f"{one.text}\n"

    def write(self, path: str | Path) -> list[Path]:
        """Write a line a translation; see `Result.write`."""
        target = Path(path)
        prepare_folder(target.parent)
        write_text(target, "".join(self.text()))
        return [target]

    def _computed(self) -> Iterator[list[Translation]]:
        yield from self._translations
        while lines := list(islice(self._lines, self._at_once)):
            prefixes = [self._prefixes] * len(lines) if isinstance(self._prefixes, str) else self._prefixes
            translations = translate(self._models, lines, self._search, prefixes if any(prefixes) else None)
            if self._picture is not None and not self._translations:
                pairs = [(source, best[0].text) for source, best in zip(lines, translations, strict=True)]
                if not _draw(self._models[0], pairs, self._picture):
                    raise DataError(f"{self._picture}: no sentence of at most {_LONGEST_SHOWN} subwords to draw")
            self._translations += translations
            yield from translations

    def _read(self, data: Any) -> Iterator[str]:
        if is_standard_input(data):
            if sys.stdin.isatty():
                self._at_once = 1
                return _typed()
            return standard_input_lines()
        if isinstance(data, str | Path):
            return iter(read_lines(data))
        lines = list(data)
        self._at_once = max(1, len(lines))
        if not all(isinstance(line, str) for line in lines):
            raise ParameterError("data", "a list of sentences, or the path of a file", data)
        return iter(lines)


def evaluate(models: Sequence[AnyFitted], pairs: ParallelText, search: Search, ensemble: Sequence[str]) -> Evaluation:
    """Translate sentences and compare with their translations; see `Translator.evaluate`."""
    copy = score(pairs.source, pairs.target)
    started = time.perf_counter()
    hypotheses = translate(models, pairs.source, search)
    seconds = time.perf_counter() - started
    translations = [best[0].text for best in hypotheses]
    scores = score(translations, pairs.target)
    methods = {name: {"BLEU": one.bleu, "chrF2": one.chrf} for name, one in (("model", scores), ("copy", copy))}
    rows = list(zip(pairs.source, pairs.target, translations, strict=True))
    shown = _readable(models[0], [(source, translation) for source, _, translation in rows])
    return Evaluation(
        f"{len(pairs):,} sentences of {pairs.name}, beam size {search.beam_size}, {seconds:.1f} s",
        {"model": methods["model"], "copy the source": methods["copy"]},
        "BLEU",
        formats={"BLEU": ".2f", "chrF2": ".2f"},
        tables={"translations": Table(("source", "reference", "translation"), rows)},
        notes=[f"BLEU   {scores.bleu_signature}", f"chrF2  {scores.chrf_signature}"],
        facts={
            "data": pairs.name,
            "sentences": len(pairs),
            "search": search.get_params(),
            "ensemble": list(ensemble),
            "seconds": round(seconds, 2),
            "signatures": {"BLEU": scores.bleu_signature, "chrF2": scores.chrf_signature},
        },
        pictures={"attention": lambda path: draw_attention(shown, path)} if shown else {},
    )


@dataclass(frozen=True)
class Scores:
    """Corpus scores, 0 to 100.

    Attributes:
        bleu: Papineni et al. 2002.
        chrf: chrF2, Popović 2015.
        bleu_signature: how BLEU was computed; scores with different signatures cannot be compared.
        chrf_signature: how chrF was computed.
    """

    bleu: float
    chrf: float
    bleu_signature: str
    chrf_signature: str


def score(translations: Sequence[str], references: Sequence[str]) -> Scores:
    """The scores of translations by one reference each.

    Raises:
        MissingExtraError: without sacrebleu.
    """
    bleu, chrf = _metrics()
    scores = [metric.corpus_score(list(translations), [list(references)]) for metric in (bleu, chrf)]
    return Scores(scores[0].score, scores[1].score, str(bleu.get_signature()), str(chrf.get_signature()))


def _metrics() -> tuple[Any, Any]:
    try:
        from sacrebleu.metrics.bleu import BLEU
        from sacrebleu.metrics.chrf import CHRF
    except ImportError:
        raise MissingExtraError("sacrebleu", "translate", "scoring translations") from None
    return BLEU(), CHRF()


def draw_attention(attentions: Sequence[tuple[list[str], list[str], np.ndarray]], path: Path) -> None:
    """Draw which source subwords each target subword attended to, a panel a sentence, into a PNG file.

    Args:
        attentions: of each sentence the source's subwords (S), the target's (T) and the weights (T, S).
        path: of the file.
    """
    widths = [1.8 + 0.28 * len(source) for source, _, _ in attentions]
    heights = [1.5 + 0.24 * len(target) for _, target, _ in attentions]
    figure = Figure(figsize=(max(widths) + 1.2, sum(heights)), layout="constrained")
    panels = figure.subplots(len(attentions), 1, squeeze=False, height_ratios=heights)[:, 0]
    for ax, (source, target, weights) in zip(panels, attentions, strict=True):
        image = ax.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        # A dollar sign would begin a formula.
        ax.set_xticks(range(len(source)), [piece.replace("$", r"\$") for piece in source], rotation=60, ha="left")
        ax.set_yticks(range(len(target)), [piece.replace("$", r"\$") for piece in target])
        ax.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0, labelsize=8)
        ax.set_xlabel("source")
        ax.xaxis.set_label_position("top")
        ax.set_ylabel("translation")
        figure.colorbar(image, ax=ax, label="attention weight", pad=0.01)
        ax.spines[:].set_visible(False)
    write_figure(figure, path)


def _typed() -> Iterator[str]:
    """Lines from the terminal, until its end (Ctrl-D)."""
    while True:
        try:
            yield input("> ")
        except EOFError:
            print()
            return


def _draw(model: AnyFitted, pairs: Sequence[tuple[str, str]], path: Path) -> bool:
    """Draw the attention of the first sentences that are short enough to be read; False if there are none."""
    shown = _readable(model, pairs)
    if shown:
        draw_attention(shown, path)
    return bool(shown)


def _readable(model: AnyFitted, pairs: Sequence[tuple[str, str]]) -> list[tuple[list[str], list[str], np.ndarray]]:
    attentions = (attention(model, source, target) for source, target in pairs if source.strip() and target)
    return list(
        islice((one for one in attentions if max(len(one[0]), len(one[1])) <= _LONGEST_SHOWN), _SENTENCES_SHOWN)
    )
