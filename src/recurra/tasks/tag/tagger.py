"""The tagger as an estimator: fit, predict, evaluate, save, load."""

import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from recurra.data.text.conll import ConllColumns
from recurra.data.text.tag_schemes import SCHEMES, Span, recognise_scheme, spans_of, split_tag
from recurra.data.text.word_vectors import WordVectors, read_word_vectors
from recurra.errors import DataError, ParameterError
from recurra.files import prepare_folder, write_text
from recurra.tasks.tag.baseline import MostFrequentTags
from recurra.tasks.tag.files import Format, Given, read_tagged, read_to_tag
from recurra.tasks.tag.fit import make_trainer, prepare
from recurra.tasks.tag.fitted import FittedTagger
from recurra.tasks.tag.metrics import Scores, score
from recurra.tasks.tag.run import Layout, TagRun, fingerprint
from recurra.tasks.tag.settings import TagSettings
from recurra.training import Estimator

__all__ = ["Evaluation", "TaggedSentence", "Tagger"]

_log = logging.getLogger("recurra.tag")


@dataclass(frozen=True)
class TaggedSentence:
    """Words with the tags given to them.

    Attributes:
        words: of the sentence.
        tags: one a word, in the scheme of the training data.
        confidence: the probability of each tag given all words of the sentence, 0 to 1.
    """

    words: tuple[str, ...]
    tags: tuple[str, ...]
    confidence: tuple[float, ...]

    @property
    def spans(self) -> list[Span]:
        """The entities, where tags are of entities."""
        return spans_of(self.tags)


@dataclass(frozen=True)
class Evaluation:
    """How a tagger does on sentences whose tags are known.

    Attributes:
        source: of the sentences.
        sentences: how many.
        model: its scores.
        baseline: those of the most frequent tag of each word.
        unknown_words: words that the vocabulary does not have.
        unknown_accuracy: the share of them with the right tag; 0 where there are none.
        unseen_tags: tags that training did not see, by the number of their words, all of which are counted as wrong.
    """

    source: str
    sentences: int
    model: Scores
    baseline: Scores
    unknown_words: int
    unknown_accuracy: float
    unseen_tags: dict[str, int]


class Tagger(Estimator[TagSettings, TagRun]):
    """A tagger of words: parts of speech, named entities.

    Args:
        **options: any field of `TagSettings`, by name.

    Raises:
        ParameterError: for an unknown option, or a value out of its range.

    Example:
        >>> tagger = Tagger(max_steps=2000).fit("train.conllu", valid="dev.conllu")
        >>> tagger.predict(["They ran ."])[0].tags
        >>> tagger.evaluate("test.conllu").model.accuracy
        >>> tagger.save("runs/pos")
    """

    noun = "tagger"
    settings_class = TagSettings
    run_class = TagRun

    @property
    def model(self) -> FittedTagger:
        """The trained model. Raises RunError where the tagger is not fitted."""
        return self._fitted().model

    @property
    def layout(self) -> Layout | None:
        """The form of the training file; None where sentences were not given as a file."""
        return self._fitted().layout

    def fit(
        self,
        data: Any,
        valid: Any = None,
        columns: ConllColumns | None = None,
        kind: Format = "auto",
        vectors: str | Path | WordVectors | None = None,
        folder: str | Path | None = None,
        resume: bool = False,
        tensorboard: bool = False,
        progress: bool | None = None,
    ) -> Self:
        """Train on tagged sentences.

        Args:
            data: the path of a file (CoNLL-U, or CoNLL columns), or sentences, each a sequence of pairs of word and
                tag; a tag of None is not known, and not learned from.
            valid: to choose the best weights by, in any of these forms; the last weights are kept where None.
            columns: the column map of the files.
            kind: of the files, "conllu" or "columns"; by their names where "auto".
            vectors: pretrained word vectors, or the path of a file in the formats of word2vec or GloVe.
            folder: where the run is kept while it trains, so that it can be resumed; None to keep it in memory.
            resume: go on with the run in `folder`.
            tensorboard: also log to TensorBoard.
            progress: show a bar; None shows one only in a terminal.

        Returns:
            The tagger itself.

        Raises:
            DataError: where the data cannot be used; the message names file, line and the way out.
            RunError: where the folder already holds a run, or has none to resume.
            TrainingInterruptedError: on Ctrl-C, after the step under way was finished and saved.
        """
        given = read_tagged(data, columns, kind)
        checked = None if valid is None else read_tagged(valid, columns, kind, given.layout)
        if isinstance(vectors, str | Path):
            vectors = read_word_vectors(vectors, self.settings.max_vectors)
        model = prepare(given.sentences, self.settings, given.source, vectors)
        if checked is not None:
            _warn_of_unseen(model, checked)
        baseline = MostFrequentTags.of(given.sentences)
        run = TagRun(model, baseline, given.layout, _facts(given, checked, vectors))
        path = None if folder is None else Path(folder)
        resume = self._kept_run(path, resume, run) is not None
        trainer = make_trainer(model, given.sentences, checked and checked.sentences, path, tensorboard, progress)
        return self._train(run, trainer, path, resume)

    def predict(
        self, data: Any, columns: ConllColumns | None = None, kind: Format = "auto", scheme: str | None = None
    ) -> list[TaggedSentence]:
        """Tag sentences.

        Args:
            data: sentences, each a sequence of words or a text with spaces between them; or the path of a file
                (CoNLL-U, columns, or plain text with a sentence a line).
            columns: the column map of a file.
            kind: "conllu", "columns" or "text"; by the file's name where "auto".
            scheme: "iob1", "iob2" or "iobes", to write entities in; that of the training data where None.

        Raises:
            DataError: where the file cannot be used, or a sentence has no words.
        """
        _check_scheme(scheme)
        if isinstance(data, str | Path):
            layout = self._fitted().layout
            words = [sentence.words for sentence in read_to_tag(data, columns, kind, layout).sentences]
        else:
            words = [_words(number, sentence) for number, sentence in enumerate(data)]
        numbers, confidence = self.model.tag(words)
        return [
            TaggedSentence(sentence, tuple(self.model.tag_set.decode(found, scheme)), tuple(certain.tolist()))
            for sentence, found, certain in zip(words, numbers, confidence, strict=True)
        ]

    def predict_file(
        self,
        path: str | Path,
        out: str | Path,
        columns: ConllColumns | None = None,
        kind: Format = "auto",
        scheme: str | None = None,
        confidence: bool = False,
    ) -> list[TaggedSentence]:
        """Tag a file, and write it with its tags, in its own format, and where it has tags of entities in their scheme.

        Args:
            path: of the file.
            out: of the file to write, in the format of the first.
            columns: the column map; that of the training file, where both are of the same form, where None.
            kind: "conllu", "columns" or "text"; by the file's name where "auto".
            scheme: as for `predict`.
            confidence: also write the confidence of each tag.

        Returns:
            What was written.

        Raises:
            DataError: where the file cannot be used.
            RunError: where the output cannot be written.
        """
        _check_scheme(scheme)
        text = read_to_tag(path, columns, kind, self._fitted().layout)
        if scheme is None:
            scheme = recognise_scheme([[t for t in s.tags or () if t is not None] for s in text.sentences])
        tagged = self.predict([sentence.words for sentence in text.sentences], scheme=scheme)
        certain = [sentence.confidence for sentence in tagged] if confidence else None
        target = Path(out)
        prepare_folder(target.parent)
        write_text(target, text.with_tags([sentence.tags for sentence in tagged], certain))
        return tagged

    def evaluate(self, data: Any, columns: ConllColumns | None = None, kind: Format = "auto") -> Evaluation:
        """Compare with known tags, beside the most frequent tag of each word.

        Args:
            data: tagged sentences, as for `fit`.
            columns: as for `fit`; those of `fit` where None.
            kind: as for `fit`.

        Raises:
            DataError: where the data cannot be used, or no word has a tag.
        """
        run = self._fitted()
        given = read_tagged(data, columns, kind, run.layout)
        sentences = given.sentences
        references = [[tag for tag in sentence.tags or () if tag is not None] for sentence in sentences]
        if not any(references):
            raise DataError(f"{given.source}: no word has a tag. Name the tags' column (--tag-column).")
        entities = run.model.tag_set.scheme is not None
        scheme = recognise_scheme(references) or run.model.tag_set.given
        numbers, _ = run.model.tag([sentence.words for sentence in sentences], confidence=False)
        predicted = [run.model.tag_set.decode(found, scheme) for found in numbers]
        baseline = [run.baseline.tag(sentence.words) for sentence in sentences]
        unknown, right = 0, 0
        for sentence, tags in zip(sentences, predicted, strict=True):
            for word, tag, found in zip(sentence.words, sentence.tags or (), tags, strict=False):
                if tag is not None and not run.model.encoding.word(word):
                    unknown += 1
                    right += tag == found
        return Evaluation(
            given.source,
            len(sentences),
            score(sentences, predicted, entities),
            score(sentences, baseline, entities),
            unknown,
            right / unknown if unknown else 0.0,
            _unseen_tags(run.model, given),
        )


def _words(number: int, sentence: Any) -> tuple[str, ...]:
    words = tuple(sentence.split() if isinstance(sentence, str) else sentence)
    if not words or not all(isinstance(word, str) and word for word in words):
        raise DataError(f"the data, sentence {number + 1}: expected one or more words, got {sentence!r}.")
    return words


def _check_scheme(scheme: str | None) -> None:
    if scheme is not None and scheme not in SCHEMES:
        raise ParameterError("scheme", f"one of {', '.join(SCHEMES)}", scheme)


def _facts(given: Given, valid: Given | None, vectors: WordVectors | None) -> dict[str, Any]:
    return {
        "source": given.source,
        "sentences": len(given.sentences),
        "words": given.words,
        "valid": None if valid is None else valid.source,
        "vectors": None if vectors is None else vectors.source,
        "fingerprint": fingerprint(given.sentences, None if valid is None else valid.sentences),
    }


def _unseen_tags(model: FittedTagger, given: Given) -> dict[str, int]:
    """Tags that training never saw; of entities their types."""
    scheme = model.tag_set.scheme
    seen = {_kind(tag, scheme) for tag in model.tag_set.tags.symbols}
    tags = (tag for sentence in given.sentences for tag in sentence.tags or () if tag is not None)
    counts = Counter(kind for kind in (_kind(tag, scheme) for tag in tags) if kind not in seen)
    return dict(counts.most_common())


def _kind(tag: str, scheme: str | None) -> str:
    found = split_tag(tag) if scheme is not None else None
    return tag if found is None else found[1]


def _warn_of_unseen(model: FittedTagger, valid: Given) -> None:
    unseen = _unseen_tags(model, valid)
    if unseen:
        shown = ", ".join(f"{tag!r} ({count})" for tag, count in list(unseen.items())[:5])
        _log.warning(
            "%s: tags that training never sees, which count as wrong: %s%s",
            valid.source,
            shown,
            ", ..." if len(unseen) > 5 else "",
        )
