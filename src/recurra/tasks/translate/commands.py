"""Train, evaluate and predict in a run folder: what the command line calls, each returning what to print."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import numpy as np

from recurra.data.text.parallel import read_parallel
from recurra.errors import DataError
from recurra.files import prepare_folder, write_text
from recurra.tasks.translate.pictures import draw_attention
from recurra.tasks.translate.search import Search, Translation
from recurra.tasks.translate.settings import TranslationSettings
from recurra.tasks.translate.translator import Translator
from recurra.training import processes
from recurra.training.picture import draw_training

__all__ = ["decode_lines", "evaluate", "predict", "train"]

_LINES_AT_ONCE = 1000
_SENTENCES_DRAWN = 3
_LONGEST_DRAWN = 40


def train(
    data: Sequence[str],
    settings: TranslationSettings,
    folder: Path,
    validation: Sequence[str] | None = None,
    resume: bool = False,
    tensorboard: bool = False,
) -> str:
    """Train a translator into a run folder.

    Args:
        data: two files of lines, or one table of two columns.
        settings: of the translator.
        folder: of the run.
        validation: files in the same form to choose the best weights by; a part of the data where None.
        resume: go on with the run in the folder.
        tensorboard: also log to TensorBoard.
    """
    pairs = read_parallel(data)
    print(f"{len(pairs)} sentence pairs of {pairs.name}", flush=True)
    translator = Translator.from_settings(settings)
    given = None if validation is None else read_parallel(validation)
    translator.fit(pairs, given, folder, resume, tensorboard)
    if processes().is_first:
        smoothed = "training (smoothed labels, dropout)"
        draw_training(folder / "log.csv", folder / "training.png", loss="nats a subword", training=smoothed)
    result = translator.training_result
    assert result is not None
    loss = ""
    if np.isfinite(result.best_loss):
        perplexity = np.exp(result.best_loss)
        loss = f", validation loss {result.best_loss:.4f} (perplexity {perplexity:.2f}) at step {result.best_step}"
    ending = " (no better loss for a while)" if result.stopped_early else ""
    return (
        f"trained {result.steps} steps in {result.seconds:.0f} s{ending}{loss}\n"
        f"the run is in {folder}; next: recurra evaluate {folder} --data SOURCE TARGET, or recurra predict {folder}"
    )


def evaluate(
    folder: Path,
    data: Sequence[str],
    search: Search,
    ensemble: Sequence[Path] = (),
    out: Path | None = None,
) -> str:
    """Translate a test set and score it, and write translations, scores and a picture.

    Args:
        folder: of the run.
        data: two files of lines, or one table of two columns.
        search: how.
        ensemble: other runs, whose probabilities are averaged with this one's.
        out: where the files go; `evaluation` in the run where None.
    """
    pairs = read_parallel(data)
    translator = Translator.load(folder)
    found = translator.evaluate(pairs, search, [Translator.load(other) for other in ensemble])
    target = folder / "evaluation" if out is None else out
    prepare_folder(target)
    write_text(target / "translations.txt", "".join(f"{line}\n" for line in found.translations))
    values = {
        "data": pairs.name,
        "sentences": len(pairs),
        "search": asdict(search),
        "ensemble": [str(other) for other in ensemble],
        "seconds": round(found.seconds, 2),
        "model": asdict(found.model),
        "copy": asdict(found.copy),
    }
    write_text(target / "scores.json", json.dumps(values, indent=1) + "\n")
    picture = target / "attention.png"
    drawn = _draw(translator, list(zip(pairs.source, found.translations, strict=True)), picture)
    rows = [("", "BLEU", "chrF2")]
    for name, scores in (("model", found.model), ("copy the source", found.copy)):
        rows.append((name, f"{scores.bleu:.2f}", f"{scores.chrf:.2f}"))
    table = "\n".join(f"{name:<16}{bleu:>7}{chrf:>8}" for name, bleu, chrf in rows)
    return (
        f"{len(pairs)} sentences of {pairs.name}, beam size {search.beam_size}, {found.seconds:.1f} s\n\n{table}\n\n"
        f"BLEU   {found.model.bleu_signature}\nchrF2  {found.model.chrf_signature}\n"
        f"translations and scores{', attention as a picture' if drawn else ''}: {target}"
    )


def predict(
    folder: Path,
    lines: Iterable[str],
    search: Search,
    ensemble: Sequence[Path] = (),
    prefix: str = "",
    scores: bool = False,
    picture: Path | None = None,
    at_once: int = _LINES_AT_ONCE,
) -> Iterator[str]:
    """Translate lines as they come.

    Args:
        folder: of the run.
        lines: source sentences.
        search: how.
        ensemble: other runs, whose probabilities are averaged with this one's.
        prefix: what every translation must begin with, in whole words.
        scores: whether scores are written too.
        picture: a PNG file to draw the attention of the first sentences into.
        at_once: lines read before they are translated.

    Returns:
        Lines to print: a translation; with `scores` or several translations a sentence, the number of the source line
        (from 1), the score and the translation, separated by tabs.
    """
    translator = Translator.load(folder)
    others = [Translator.load(other) for other in ensemble]
    return _translated(translator, others, iter(lines), search, prefix, scores, picture, at_once)


def _translated(
    translator: Translator,
    others: list[Translator],
    lines: Iterator[str],
    search: Search,
    prefix: str,
    scores: bool,
    picture: Path | None,
    at_once: int,
) -> Iterator[str]:
    number, drawn = 0, picture is None
    while given := list(islice(lines, at_once)):
        found = translator.translate(given, search, [prefix] * len(given) if prefix else None, others)
        if picture is not None and not drawn:
            if not _draw(translator, [(s, best[0].text) for s, best in zip(given, found, strict=True)], picture):
                raise DataError(f"{picture}: no sentence of at most {_LONGEST_DRAWN} subwords to draw")
            drawn = True
        for translations in found:
            number += 1
            yield from (_line(one, number, scores or search.n_best > 1) for one in translations)


def _line(translation: Translation, number: int, scores: bool) -> str:
    return f"{number}\t{translation.score:.4f}\t{translation.text}" if scores else translation.text


def _draw(translator: Translator, pairs: Sequence[tuple[str, str]], path: Path) -> bool:
    """Draw the attention of the first sentences that are short enough to be read; False where there is none."""
    shown = (translator.attention(source, target) for source, target in pairs if source.strip() and target)
    readable = (one for one in shown if max(len(one[0]), len(one[1])) <= _LONGEST_DRAWN)
    chosen = list(islice(readable, _SENTENCES_DRAWN))
    if chosen:
        draw_attention(chosen, path)
    return bool(chosen)


def decode_lines(stream: Iterable[bytes], name: str) -> Iterator[str]:
    """The lines of a stream of bytes as they come, without their ends.

    Args:
        stream: such as `sys.stdin.buffer`.
        name: of it, for messages.

    Raises:
        DataError: where a line is not UTF-8.
    """
    for number, line in enumerate(stream, start=1):
        try:
            yield line.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise DataError(f"{name}, line {number}: the text is not UTF-8. Convert it to UTF-8.") from None
