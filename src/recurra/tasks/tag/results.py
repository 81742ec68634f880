"""Tags as results, and their evaluation."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from recurra.data.text.conll import Sentence
from recurra.data.text.tag_schemes import recognise_scheme, split_tag
from recurra.errors import DataError, ParameterError
from recurra.files import prepare_folder, write_text
from recurra.task import Evaluation, Predictions
from recurra.task.reliability import BINS, Reliability, reliability
from recurra.task.results import Table
from recurra.tasks.tag.data import Sentences
from recurra.tasks.tag.learned import BASELINE, TagSet
from recurra.tasks.tag.scores import Scores, score
from recurra.tasks.tag.tagging import AnyFitted, TaggedSentence, tag
from recurra.text_table import percent, text_table
from recurra.training.counts import Counts

__all__ = ["Tagged", "evaluate", "unseen_tags"]


class Tagged(Predictions[list[TaggedSentence]]):
    """Tagged sentences; those of a file or of standard input are written in the format that they had.

    Args:
        fitted: the model.
        data: sentences, perhaps of a file.
        scheme: to write entities in; None: that of the file's own tags, else that of the training data.
        confidence: whether a file is written with the confidence of each tag.
    """

    def __init__(self, fitted: AnyFitted, data: Sentences, scheme: str | None, confidence: bool) -> None:
        self._data, self._confidence = data, confidence
        # A text that is not in a file is answered in the terminal.
        self.streams = data.text is not None and data.path is None
        if scheme is None and data.text is not None:
            scheme = recognise_scheme([[t for t in s.tags or () if t is not None] for s in data.sentences])
        words = [sentence.words for sentence in data.sentences]
        indices, probabilities = tag(fitted, words)
        self._values = [
            TaggedSentence(sentence, tuple(fitted.learned.tag_set.decode(ids, scheme)), tuple(confidence.tolist()))
            for sentence, ids, confidence in zip(words, indices, probabilities, strict=True)
        ]

    @property
    def values(self) -> list[TaggedSentence]:
        return self._values

    @property
    def frame(self) -> pl.DataFrame:
        """A row a sentence: words, tags and, if asked for, the confidence of each, with spaces between them."""
        columns = {name: [" ".join(getattr(one, name)) for one in self._values] for name in ("words", "tags")}
        if self._confidence:
            columns["confidence"] = [" ".join(f"{p:.3f}" for p in one.confidence) for one in self._values]
        return pl.DataFrame(columns, dict.fromkeys(columns, pl.String))

    def text(self, color: bool = False) -> Iterator[str]:
        if self.streams:
            yield self._with_tags()
            return
        confidence = [value for sentence in self._values for value in sentence.confidence]
        sure = f", mean confidence {np.mean(confidence):.3f}" if confidence else ""
        yield f"{self._data.words:,} words of {len(self._values):,} sentences{sure}\n"

    def write(self, path: str | Path) -> list[Path]:
        """Write the text with its tags, in its own format; see `Result.write`.

        Raises:
            ParameterError: the sentences are from Python, without a text.
        """
        content, target = self._with_tags(), Path(path)
        prepare_folder(target.parent)
        write_text(target, content)
        return [target]

    def default_path(self, folder: Path) -> Path | None:
        path = self._data.path
        return None if path is None else folder / "tagged" / path.name.removesuffix(".gz")

    def _with_tags(self) -> str:
        if self._data.text is None:
            raise ParameterError("data", "the path of a file, whose format is written", "sentences")
        confidence = [sentence.confidence for sentence in self._values] if self._confidence else None
        return self._data.text.with_tags([sentence.tags for sentence in self._values], confidence)


def evaluate(fitted: AnyFitted, data: Sentences) -> Evaluation:
    """Compare with known tags; see `Tagger.evaluate`."""
    learned, sentences = fitted.learned, data.sentences
    references = [[one for one in sentence.tags or () if one is not None] for sentence in sentences]
    if not any(references):
        raise DataError(f"{data.source}: no word has a tag. Name the tags' column (--tag-column).")
    entities = learned.tag_set.scheme is not None
    scheme = recognise_scheme(references) or learned.tag_set.file_scheme
    indices, confidence = tag(fitted, [sentence.words for sentence in sentences])
    predicted = [learned.tag_set.decode(ids, scheme) for ids in indices]
    scores = {
        "model": score(sentences, predicted, entities),
        BASELINE: score(sentences, [learned.baseline.tag(sentence.words) for sentence in sentences], entities),
    }
    unknown, right = _of_unknown_words(fitted, sentences, predicted)
    unseen = unseen_tags(learned.tag_set, data)
    calibration = _reliability(learned.tag_set, sentences, indices, confidence).expected_calibration_error
    notes = [
        f"the expected calibration error of single tags is {100 * calibration:.1f} points, in {BINS} bins of equal "
        f"width, with a temperature of {learned.temperature:.2f}"
    ]
    if unknown:
        fraction = percent(right / unknown)
        notes.append(f"of {unknown:,} words that training did not see, {fraction} % have the right tag")
    if unseen:
        shown = ", ".join(f"{name} ({count})" for name, count in list(unseen.items())[:5])
        notes.append(f"tags that training never saw, which count as wrong: {shown}{', ...' if len(unseen) > 5 else ''}")
    noun = "sentence" if len(sentences) == 1 else "sentences"
    return Evaluation(
        f"{data.source}: {len(sentences):,} {noun}, {scores['model'].words:,} words",
        {name: _measures(one) for name, one in scores.items()},
        "F1" if entities else "accuracy",
        tables={"by_tag": _by_tag(scores, "type" if entities else "tag")},
        notes=notes,
        warnings=doubts(scores["model"]),
        facts={
            "source": data.source,
            "sentences": len(sentences),
            "words": scores["model"].words,
            "unknown_words": unknown,
            "unknown_accuracy": right / unknown if unknown else 0.0,
            "unseen_tags": unseen,
            "temperature": learned.temperature,
            "expected_calibration_error": calibration,
        },
    )


def doubts(scores: Scores) -> list[str]:
    """A sentence about a model that gives every word the same tag."""
    by_tag = scores.by_tag
    predicted = [name for name, counts in by_tag.items() if counts.predicted]
    if len(predicted) != 1 or scores.overall is not None or sum(counts.true > 0 for counts in by_tag.values()) < 2:
        return []
    return [f"The model gives every word the tag {predicted[0]}. Train it longer, or with a lower learning rate."]


def unseen_tags(tag_set: TagSet, data: Sentences) -> dict[str, int]:
    """The tags that training never saw, or the types of entities, with the number of their words."""
    seen = {_kind(one, tag_set.scheme) for one in tag_set.tags.symbols}
    tags = (one for sentence in data.sentences for one in sentence.tags or () if one is not None)
    counts = Counter(kind for kind in (_kind(one, tag_set.scheme) for one in tags) if kind not in seen)
    return dict(counts.most_common())


def _reliability(
    tag_set: TagSet, sentences: Sequence[Sentence], indices: Sequence[np.ndarray], confidence: Sequence[np.ndarray]
) -> Reliability:
    """Of the tags as they are learned; of words without a tag nothing counts, a tag training never saw is wrong."""
    known = [[tag is not None for tag in sentence.tags or (None,) * len(sentence.words)] for sentence in sentences]
    right = [np.array(tag_set.encode(one)) == predicted for one, predicted in zip(sentences, indices, strict=True)]
    counted = np.concatenate([np.array(mask, bool) for mask in known])
    return reliability(np.concatenate(confidence)[counted], np.concatenate(right)[counted])


def _kind(name: str, scheme: str | None) -> str:
    parts = split_tag(name) if scheme is not None else None
    return name if parts is None else parts[1]


def _measures(scores: Scores) -> dict[str, float]:
    if scores.overall is None:
        return {"accuracy": scores.accuracy}
    return {**_counted(scores.overall), "accuracy": scores.accuracy}


def _counted(counts: Counts) -> dict[str, float]:
    return {"precision": counts.precision, "recall": counts.recall, "F1": counts.f1}


def _of_unknown_words(
    fitted: AnyFitted, sentences: Sequence[Sentence], predicted: Sequence[Sequence[str]]
) -> tuple[int, int]:
    """The number of words with a tag that are not in the vocabulary, and of those with the right tag."""
    unknown, right = 0, 0
    for sentence, tags in zip(sentences, predicted, strict=True):
        for word, true, guess in zip(sentence.words, sentence.tags or (), tags, strict=False):
            if true is not None and not fitted.learned.encoding.word(word):
                unknown += 1
                right += true == guess
    return unknown, right


def _by_tag(scores: dict[str, Scores], noun: str) -> Table:
    lines = [[noun, "precision, %", "recall, %", "F1, %", "number"]]
    for name, counts in scores["model"].by_tag.items():
        lines.append([name, *map(percent, _counted(counts).values()), f"{counts.true:,}"])
    rows = [
        [name, method, *_counted(counts).values(), counts.true, counts.predicted, counts.right]
        for method, one in scores.items()
        for name, counts in one.by_tag.items()
    ]
    columns = ("tag", "method", "precision", "recall", "f1", "true", "predicted", "right")
    return Table(columns, rows, text_table(lines))
