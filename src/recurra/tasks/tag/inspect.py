"""Look inside a trained tagger."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra import inspection
from recurra.data.batches.ignored import IGNORED
from recurra.data.text.conll import ConllColumns, Sentence
from recurra.data.text.word_encoding import EncodedSentences
from recurra.errors import DataError, ParameterError
from recurra.inspection import Inspection, Words, report_inspection
from recurra.tasks.tag.files import Format, read_tagged, read_to_tag
from recurra.tasks.tag.tagger import Tagger

__all__ = ["inspect", "inspect_tagger"]

_SENTENCES = 32
_LONGEST = 60  # words, but for the sentence drawn
_DRAWN = 15  # words


def inspect(
    folder: Path,
    data: str | None,
    row: int | None = None,
    word: int | None = None,
    columns: ConllColumns | None = None,
    kind: Format = "auto",
    out: Path | None = None,
) -> str:
    """Inspect a run, and write the page, its pictures and tables.

    Args:
        folder: of the run.
        data: a file of sentences, tagged or not.
        row: as of `inspect_tagger`.
        word: as of `inspect_tagger`.
        columns: the column map of the file; that of training where None.
        kind: of the file; by its name where "auto".
        out: where they go; `inspection` in the run where None.

    Returns:
        What to print.

    Raises:
        RunError: where the folder is no such run.
        DataError: where the file cannot be used.
        ParameterError: without data, or for a sentence or word that there is not.
    """
    if data is None:
        hint = "A run does not keep its data. As in: recurra inspect RUN --data test.conllu"
        raise ParameterError("data", "a file of sentences to look at", "nothing", hint)
    found = inspect_tagger(Tagger.load(folder), data, row, word, columns, kind, str(folder))
    return report_inspection(found, folder / "inspection" if out is None else out)


def inspect_tagger(
    tagger: Tagger,
    data: Any,
    row: int | None = None,
    word: int | None = None,
    columns: ConllColumns | None = None,
    kind: Format = "auto",
    name: str = "",
) -> Inspection:
    """Inspect a fitted tagger at one word of a sentence, and at the word of the same place in some others.

    Seen into are the layers that read words, in both directions. The loss is -log p of the word's tag, given the whole
    sentence: of its true tag, or where it has none of the one predicted. The output attributed is the score of the
    predicted tag there, before the CRF or the softmax; it is attributed to what the layers read of each word, its
    embedding and what its spelling says.

    Args:
        tagger: fitted.
        data: sentences, each a sequence of pairs of word and tag, None where it has none; or the path of a file
            (CoNLL-U, columns, or plain text with a sentence a line).
        row: which sentence to draw, from 1; the first of about 15 words where None.
        word: which of its words, from 1; the middle one where None.
        columns: the column map of a file; that of training where None.
        kind: of a file, "conllu", "columns" or "text"; by its name where "auto".
        name: of the run, for the page.

    Raises:
        RunError: where it is not fitted.
        DataError: where the data cannot be used.
        ParameterError: for a sentence or word that there is not.
    """
    model = tagger.model
    given = read_to_tag(data, columns, kind, tagger.layout) if isinstance(data, str | Path) else read_tagged(data)
    if not given.sentences:
        raise DataError(f"{given.source}: no sentences are in it.")
    lengths = np.array([len(sentence.words) for sentence in given.sentences])
    drawn = int(np.abs(lengths - _DRAWN).argmin()) if row is None else _index("row", row, len(lengths), given.source)
    at = int(lengths[drawn]) // 2 if word is None else _index("word", word, int(lengths[drawn]), "the sentence")
    sentences = _chosen(given.sentences, drawn, at)
    encoded = EncodedSentences(model.encoding, [sentence.words for sentence in sentences], model.vectors)
    tokens = encoded.tokens(np.arange(len(sentences))).to(model.device)
    with torch.no_grad():
        best = model.network.eval()(tokens)[0].best()[:, at]
    true = torch.tensor([model.tag_set.encode(sentence)[at] for sentence in sentences], device=model.device)
    target = torch.full(tokens.words.shape, IGNORED, device=model.device)
    target[:, at] = torch.where(true == IGNORED, best, true)
    steps = torch.arange(tokens.words.shape[1])
    distance = torch.where(steps < tokens.lengths.unsqueeze(1), (steps - at).abs(), -1).to(model.device)
    return inspection.inspect(
        model.network,
        tokens,
        # What is ignored may be any tag: this is the log probability of the one word's.
        loss=lambda output: -output[0].log_likelihood(target).sum(),
        steps=[at],
        output=lambda output: _score(output[0].emissions[:, at], best),
        reads="recurrent",
        layers=["recurrent"],
        distances=[distance],
        words=_words(tagger, given.source, sentences, at, (int(target[0, at]), int(best[0])), name),
    )


def _index(what: str, number: int, count: int, of: str) -> int:
    """From 0, of a number from 1."""
    if not 1 <= number <= count:
        raise ParameterError(what, f"1 to {count}, those of {of}", number)
    return number - 1


def _chosen(sentences: Sequence[Sentence], drawn: int, at: int) -> list[Sentence]:
    """The sentence to draw, then others that have a word at this place, spread over all."""
    others = [number for number, found in enumerate(sentences) if number != drawn and at < len(found.words) <= _LONGEST]
    places = np.unique(np.linspace(0, len(others) - 1, min(_SENTENCES - 1, len(others))).round().astype(int))
    return [sentences[drawn], *(sentences[others[place]] for place in places)]


def _score(scores: Tensor, tags: Tensor) -> Tensor:
    return scores.gather(1, tags.unsqueeze(1)).squeeze(1)


def _words(
    tagger: Tagger, source: str, sentences: Sequence[Sentence], at: int, tags: tuple[int, int], name: str
) -> Words:
    settings, model = tagger.settings, tagger.model
    words = sentences[0].words
    learned, predicted = (model.tag_set.tags.symbols[tag] for tag in tags)
    features = model.network.recurrent.input_size
    facts = {
        "run": name,
        "data": source,
        "network": f"{settings.num_layers} x {settings.cell} of {settings.hidden_size} units in each direction, which "
        f"read {features} features of a word; {len(model.tag_set.tags)} tags ({settings.output})",
        "looked at": f"word {at + 1} of {len(sentences)} sentences, which have one there; drawn is "
        f"“{' '.join(words)}”, and of it “{words[at]}”, tagged {predicted}",
        "inputs": "gradients and attributions are with respect to what the recurrent layers read of a word: its "
        "embedding"
        + ("" if settings.characters == "none" else " and what its spelling says")
        + "; a word that is taken away becomes the mean of all",
    }
    distribution = (
        "the CRF, which also reads the scores of the words around" if settings.output == "crf" else "a softmax"
    )
    return Words(
        title=f"Inspection of {name}" if name else "Inspection of a tagger",
        facts={key: value for key, value in facts.items() if value},
        loss=f"-log p of the tag of word {at + 1} (here {learned}) by {distribution}; lags count from there, back for "
        "the forward direction and ahead for the reverse one",
        output=f"score of the tag predicted for word {at + 1}",
        drawn=f"score of {predicted} for “{words[at]}”",
        first_step=1,
        step="word",
        labels=words,
        mean="the mean word",
        nearest="the nearest k",
    )
