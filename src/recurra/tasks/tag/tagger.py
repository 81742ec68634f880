"""The tagger: its options and verbs."""

import logging
from typing import TYPE_CHECKING, Annotated, Any, Literal

from recurra.data.text.words import split_words
from recurra.options import Option, Range, option
from recurra.task import Estimator, task, verb
from recurra.task.architecture import ArchitectureOptions, trunk_of
from recurra.task.checks import check_cell, check_one_of
from recurra.task.row_predictors import TextPredictor, TextRows
from recurra.tasks.tag.data import Sentences, TagReading, plain_text, read_sentences, with_tags
from recurra.tasks.tag.learned import MostFrequentTags, TagSet, TagVocabulary

# Modules that need torch or numpy are imported inside the hooks: the command line's help does without.
if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl
    from torch import nn

    from recurra.models import SequenceTagger
    from recurra.streaming import ItemStream
    from recurra.task import Evaluation, Fitted, Objective, View
    from recurra.tasks.tag.results import Tagged

__all__ = ["Tagger"]

_log = logging.getLogger("recurra.tag")
_DATA = Option(help="file to read; - is standard input: plain text, or the columns of the training file", group="data")
_SCHEME = Option(help="scheme to write entities in; by default that of the file's own tags, else that of training")


@task("tag")
class Tagger(ArchitectureOptions, TextPredictor, Estimator[Sentences, TagVocabulary, "SequenceTagger"]):
    """A tagger of words, for parts of speech and named entities (Lample et al. 2016).

    Data are the path of a file (CoNLL-U, or CoNLL columns), or sentences, each a sequence of pairs of word and tag; a
    tag of None is unknown, and not learned from. Without validation data the last weights are used.

    Example:
        >>> tagger = Tagger(max_steps=2000).fit("train.conllu", validation="dev.conllu")
        >>> tagger.predict(["They ran ."])[0].tags
        >>> tagger.evaluate("test.conllu").scores["accuracy"]
        >>> tagger.save("runs/pos")
    """

    noun = "tagger"
    Reading = TagReading
    learned_class = TagVocabulary
    reads_texts = True

    output: Literal["crf", "softmax"] = option(
        default="crf", help="decode all tags of a sentence jointly, or each by itself", group="network", main=True
    )
    scheme: Literal["iobes", "iob2", "iob1"] = option(
        default="iobes", help="in which tags of entities are learned, whatever scheme the file has", group="data"
    )
    cell: str = option(
        default="lstm", check=check_cell, help="name of a cell, or module:Class of your own", group="network"
    )
    num_layers: int = option(default=1, at_least=1, help="recurrent layers", group="network", search=Range(1, 2))
    bidirectional: bool = option(
        default=True, help="read a sentence backward too; without it, tags can be told as words come", group="network"
    )
    hidden_size: int = option(
        default=200,
        at_least=1,
        help="units of each direction of a layer",
        group="network",
        main=True,
        search=Range(50, 300, step=50),
    )
    word_size: int = option(
        default=100, at_least=1, help="features of a word's embedding", group="network", search=Range(50, 200, step=50)
    )
    characters: Literal["recurrent", "convolution", "none"] = option(
        default="recurrent", help="how spellings are read", group="network", main=True
    )
    character_size: int = option(default=32, at_least=1, help="features of a character", group="network")
    character_hidden_size: int = option(
        default=64,
        at_least=1,
        help="units of each direction over characters, or half of the filters of the convolution",
        group="network",
    )
    vectors: str | None = option(
        default=None, help="file of pretrained word vectors, as word2vec or GloVe write them", group="data", main=True
    )
    max_vectors: int = option(
        default=200_000, at_least=1, help="words taken from the file of vectors at most", group="data"
    )
    lowercase: bool = option(
        default=True,
        help="words that differ only in case share their embedding; characters keep their case",
        group="data",
    )
    min_count: int = option(
        default=1, at_least=1, help="occurrences in training below which a word is unknown", group="data"
    )
    unknown_rate: float = option(
        default=0.25,
        at_least=0,
        help="a word that occurs n times is read as unknown in training with probability unknown_rate / "
        "(unknown_rate + n) (Kiperwasser and Goldberg 2016)",
        group="regularization",
        search=Range(0, 1),
    )
    dropout: float = option(
        default=0.4,
        at_least=0,
        at_most=1,
        help="dropout of what the recurrent layers read and put out, the same at every step of a sentence",
        group="regularization",
        main=True,
        search=Range(0, 0.6),
    )
    recurrent_dropout: float = option(
        default=0.0,
        at_least=0,
        at_most=1,
        help="dropout of what the recurrent weights read, the same at every step of a sentence",
        group="regularization",
        search=Range(0, 0.3),
    )
    batch_size: int = option(
        default=32, at_least=1, help="sentences in a batch", group="training", main=True, search=(16, 32, 64)
    )
    learning_rate: float = option(default=4e-3)

    def read(self, source: Any, y: Any, reading: TagReading | None, labelled: bool) -> Sentences:
        if y is not None:
            source = with_tags(source, y)
        return read_sentences(source, reading, None, labelled)

    def complete(self, reading: TagReading, data: Sentences) -> TagReading:
        if data.layout is None:
            return reading
        layout = data.layout
        return TagReading(
            format="conllu" if layout.conllu else "columns",
            columns=layout.names,
            word_column=str(layout.word + 1),
            tag_column=str(layout.tag + 1),
            separator=layout.separator,
        )

    def later_reading(self) -> TagReading:
        # The layout of the training file completes it, for files of the same form only.
        return TagReading()

    def describe(self, training: Sentences, validation: Sentences | None) -> str:
        from recurra.data.text.tag_schemes import entity_types

        tag_set = TagSet.of(training.sentences, self.scheme, training.source)
        tags = f"{len(tag_set.tags):,} tags"
        if tag_set.scheme is not None and tag_set.file_scheme is not None:
            types = len(entity_types([tag_set.tags.symbols]))
            noun = "type" if types == 1 else "types"
            tags = f"entities of {types} {noun} in {tag_set.file_scheme.upper()}, learned as {tag_set.scheme.upper()}"
        checked = "" if validation is None else f"; validated on {len(validation.sentences):,} sentences"
        return f"{len(training.sentences):,} sentences of {training.words:,} words, {tags}{checked}"

    def learn(self, training: Sentences, validation: Sentences | None) -> TagVocabulary:
        from recurra.data.text.word_encoding import WordEncoding, vector_table
        from recurra.data.text.word_vectors import read_word_vectors

        vectors = None if self.vectors is None else read_word_vectors(self.vectors, self.max_vectors)
        words = [sentence.words for sentence in training.sentences]
        learned = TagVocabulary(
            WordEncoding.of(words, self.lowercase, self.min_count, vectors),
            TagSet.of(training.sentences, self.scheme, training.source),
            MostFrequentTags.of(training.sentences),
            training.layout,
            None if vectors is None else vector_table(vectors),
        )
        if validation is not None:
            self._warn_of_unseen_tags(learned, validation)
        return learned

    def network(self, learned: TagVocabulary) -> "SequenceTagger":
        from recurra.cells import find_cell
        from recurra.models import CharacterEncoder, SequenceTagger
        from recurra.tasks.tag.tagging import make_crf

        encoding = learned.encoding
        characters = None
        if self.characters != "none":
            characters = CharacterEncoder(
                self.characters,
                len(encoding.characters),
                self.character_size,
                self.character_hidden_size,
                find_cell(self.cell),
            )
        return SequenceTagger(
            trunk_of(self.cell, self.architecture),
            len(encoding.words),
            self.word_size,
            self.hidden_size,
            make_crf(learned.tag_set) if self.output == "crf" else len(learned.tag_set.tags),
            self.num_layers,
            characters,
            0 if learned.vectors is None else learned.vectors.shape[1],
            encoding.unknown_fractions(self.unknown_rate),
            self.dropout,
            self.recurrent_dropout,
            self.bidirectional,
        )

    def objective(
        self, fitted: "Fitted[TagVocabulary, SequenceTagger]", training: Sentences, validation: Sentences | None
    ) -> "Objective":
        from recurra.task import Objective
        from recurra.tasks.tag import tagging
        from recurra.tasks.tag.learned import BASELINE

        return Objective(
            tagging.training_batches(fitted, training.sentences, self.batch_size, self.seed),
            tagging.mean_loss,
            None if validation is None else tagging.validation(fitted, validation.sentences),
            steps_per_epoch=-(-len(training.sentences) // self.batch_size),
            unit="nats per word",
            measure="accuracy" if fitted.learned.tag_set.scheme is None else "F1",
            baselines={} if validation is None else {BASELINE: tagging.baseline_loss(fitted, validation.sentences)},
        )

    def finish(
        self, fitted: "Fitted[TagVocabulary, SequenceTagger]", training: Sentences, validation: Sentences | None
    ) -> TagVocabulary:
        """Choose the temperature by sentences that the network was not trained on."""
        from dataclasses import replace

        from recurra.tasks.tag.tagging import fit_temperature

        if validation is None:
            return fitted.learned
        return replace(fitted.learned, temperature=fit_temperature(fitted, validation.sentences))

    def standard_steps(self, steps_per_epoch: int) -> int:
        return min(max(12 * steps_per_epoch, 1000), 5000)

    def open_stream(self, weights: str = "float32", look_ahead: int | None = None) -> "ItemStream":
        """See `Estimator.open_stream`: an item is a word, and the result its tag, given the words so far.

        With `look_ahead` the tag depends on as many words after it too, through the backward layers and the CRF.
        """
        from recurra.tasks.tag.tagging import open_stream

        return open_stream(self.fitted, weights, look_ahead)

    def export_network(self) -> "tuple[nn.Module, dict[str, Any]]":
        """See `Estimator.export_network`. Scores are divided by the temperature that calibrates the confidence."""
        from recurra.tasks.tag.tagging import tempered

        learned = self.fitted.learned
        facts = {"tags": list(learned.tag_set.tags.symbols), "words": learned.encoding.to_json()}
        return tempered(self.fitted.network, learned.temperature), facts

    @verb("use a trained run")
    def predictions(
        self,
        data: Annotated[Any, _DATA] = None,
        *,
        text: Annotated[str | None, Option(help="sentence to tag at once", group="data")] = None,
        reading: TagReading | None = None,
        scheme: Annotated[Literal["iob1", "iob2", "iobes"] | None, _SCHEME] = None,
        confidence: Annotated[bool, Option(help="also write the confidence of each tag, 0 to 1")] = False,
    ) -> "Tagged":
        """Tag sentences; those of a file are written with their tags in the file's own format.

        Those of a text or of standard input are printed in the format that they had.

        Args:
            data: sentences, each a sequence of words or a text with spaces between them; the words of one sentence; or
                the path of a file (CoNLL-U, columns, or plain text with a sentence a line); "-": standard input, which
                is plain text, or has the columns of the training file, unless `reading` says otherwise.
            text: a sentence instead, which is split into words and marks. Each line of it is a sentence.
            reading: how a file is read; options that are not set are as in training, if the file has the same form.
            scheme: to write entities in; None: that of the file's own tags, else that of the training data.
            confidence: whether a text is written with the confidence of each tag.

        Raises:
            DataError: the data cannot be used.
            ParameterError: there is neither data nor a text, or there are both.
        """
        from recurra.tasks.tag.results import Tagged

        check_one_of(data, text)
        sentences = self._read_like_training(data, reading, False) if text is None else plain_text(text)
        return Tagged(self.fitted, sentences, scheme, confidence)

    def text_rows(self, reading: TagReading | None) -> TextRows:
        return TextRows(takes_blank=False)

    def predict_texts(self, texts: "Sequence[str]", reading: TagReading | None, **options: Any) -> "pl.DataFrame":
        at_spaces = reading is not None and reading.format == "spaces"
        return self.predictions([one.split() if at_spaces else split_words(one) for one in texts], **options).frame

    @verb("test a trained run beside simple baselines")
    def evaluate(self, data: Any, y: Any = None, *, reading: TagReading | None = None) -> "Evaluation":
        """Compare with known tags, beside the most frequent tag of each word.

        Precision, recall and F1 of entities are those of conlleval: an entity is right if both its words and its type
        are.

        Args:
            data: tagged sentences, as for `fit`.
            y: their tags, if `data` are words alone.
            reading: as in `predictions`.

        Raises:
            DataError: the data cannot be used, or no word has a tag.
        """
        from recurra.tasks.tag.results import evaluate

        if y is not None:
            data = self.read(data, y, None, True)
        return evaluate(self.fitted, self._read_like_training(data, reading, True))

    @verb("see inside a trained run: gradients through time, gates, memory, as one page")
    def view(
        self,
        data: Any,
        *,
        reading: TagReading | None = None,
        row: Annotated[int | None, Option(help="sentence to show, from 1; by default one of about 15 words")] = None,
        word: Annotated[int | None, Option(help="word of it, from 1; by default the middle one")] = None,
        name: str = "",
    ) -> "View":
        """Inspect the tag of one word of a sentence, and of the word at the same step of some others.

        The layers that read words are shown, in both directions. The loss is -log p of the word's tag, given the whole
        sentence: of its true tag or, if it has none, of the predicted one. The output attributed is the score of the
        predicted tag, before the CRF or the softmax, attributed to what the layers read of each word.

        Args:
            data: sentences with tags or without; see `fit` and `predictions`.
            reading: as in `predictions`.
            row: the sentence to show, from 1; None: the first of about 15 words.
            word: the word of it, from 1; None: the middle one.
            name: of the run, for the page.

        Raises:
            DataError: the data cannot be used.
            ParameterError: there is no such sentence or word.
        """
        from recurra.tasks.tag.view import view

        return view(self.fitted, self._read_like_training(data, reading, False), row, word, name)

    def _read_like_training(self, data: Any, reading: TagReading | None, labelled: bool) -> Sentences:
        learned = self.fitted.learned
        return read_sentences(data, reading, learned.layout, labelled, learned.tag_set.knows)

    def _warn_of_unseen_tags(self, learned: TagVocabulary, validation: Sentences) -> None:
        from recurra.tasks.tag.results import unseen_tags

        unseen = unseen_tags(learned.tag_set, validation)
        if unseen:
            shown = ", ".join(f"{tag!r} ({count})" for tag, count in list(unseen.items())[:5])
            more = ", ..." if len(unseen) > 5 else ""
            _log.warning(
                "%s: tags that training never sees, which count as wrong: %s%s", validation.source, shown, more
            )
