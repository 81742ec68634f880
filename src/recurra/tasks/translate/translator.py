"""The translator: an encoder-decoder with attention."""

import math
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from recurra.data.files.standard_input import STANDARD_INPUT
from recurra.errors import ParameterError
from recurra.options import Option, Range, option
from recurra.task import Estimator, task, verb
from recurra.task.architecture import ArchitectureOptions, trunk_of
from recurra.task.checks import check_cell, check_one_of
from recurra.task.row_predictors import TextPredictor, TextRows
from recurra.tasks.translate.data import SentencePairs, Vocabularies, read_pairs
from recurra.tasks.translate.search import Search

# Modules that need torch are imported inside the hooks: the command line's help does without.
if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import polars as pl
    from torch import nn

    from recurra.task import Evaluation, Fitted, Objective, View
    from recurra.tasks.translate.network import TranslationNetwork
    from recurra.tasks.translate.results import Translations

__all__ = ["Translator"]

_SEARCH = Search()
_SUBWORDS = 2_400_000  # of batches, padding included, in a standard training: minutes on two cores
_MOST_COMPARED = 100  # validation pairs that are translated after training
_DATA = Option(help="file to read; - is standard input, as without data", group="data")
_ENSEMBLE = Option(help="other runs, separated by commas, whose probabilities are averaged with this run's")


@task("translate")
class Translator(ArchitectureOptions, TextPredictor, Estimator[SentencePairs, Vocabularies, "TranslationNetwork"]):
    """A recurrent encoder-decoder with attention, from raw text to raw text (Luong et al. 2015).

    Data are a pair of files (source and target, line by line), a table of two columns, or a pair of lists of sentences.
    Without validation data a twentieth of the pairs, up to 1,000, chooses the best weights.

    Example:
        >>> translator = Translator().fit(("train.de.gz", "train.en.gz"))
        >>> translator.predict(["Ein Hund rennt."])
        >>> translator.save("runs/de-en")
    """

    noun = "translator"
    learned_class = Vocabularies
    several_sources = True
    reads_texts = True
    not_exported: ClassVar[dict[str, str]] = dict.fromkeys(
        ("c", "torch"),
        "a translator reads a sentence to its end before it writes, and a search is the caller's; ONNX has "
        "its encoder and a step of its decoder.",
    )

    vocabulary_size: int = option(default=4000, at_least=1, help="subwords at most", group="vocabulary", main=True)
    subwords: Literal["bpe", "unigram"] = option(
        default="bpe", help="how subwords are learned: byte-pair encoding or a unigram model", group="vocabulary"
    )
    joint_vocabulary: bool = option(default=True, help="one vocabulary for both languages", group="vocabulary")
    cell: str = option(
        default="lstm", check=check_cell, help="name of a cell, or module:Class of your own", group="network"
    )
    num_layers: int = option(default=1, at_least=1, help="layers of encoder and decoder", group="network", main=True)
    hidden_size: int = option(
        default=256,
        at_least=2,
        help="units of each layer of the decoder; the encoder has half in each direction, or all in a stack",
        group="network",
        main=True,
        search=Range(128, 512, step=64),
    )
    embedding_size: int = option(
        default=128, at_least=1, help="features of a subword", group="network", search=Range(64, 256, step=64)
    )
    attention: Literal["additive", "dot", "general"] = option(
        default="dot", help="score: additive (Bahdanau et al. 2015), dot or general (Luong et al. 2015)",
        group="network",
    )  # fmt: skip
    coverage: bool = option(
        default=False, help="attention reads what was attended to before (See et al. 2017)", group="network"
    )
    input_feeding: bool = option(
        default=False,
        help="the decoder reads the previous attentional vector at each step; without it training is faster",
        group="network",
    )
    bridge: Literal["dense", "copy", "zeros"] | None = option(
        default=None,
        help="how the decoder's first state follows from the encoder's last; by default dense, and copy between stacks",
        group="network",
    )
    tied_embeddings: Literal["all", "output", "none"] = option(
        default="all",
        help="embeddings that share one matrix: source, target and softmax; target and softmax; or none",
        group="network",
    )
    dropout: float = option(
        default=0.2,
        at_least=0,
        at_most=1,
        help="dropout of embeddings, between layers and of attentional vectors",
        group="regularization",
        main=True,
        search=Range(0, 0.5),
    )
    label_smoothing: float = option(
        default=0.1,
        at_least=0,
        at_most=1,
        help="fraction of each target's probability that is spread over the vocabulary in training",
        group="regularization",
    )
    coverage_penalty: float = option(
        default=0.0, at_least=0, help="weight in the loss of repeated attention", group="regularization"
    )
    max_length: int = option(
        default=100,
        at_least=1,
        help="subwords of a sentence: longer pairs are not trained on, longer sentences are cut",
        group="data",
    )
    batch_tokens: int = option(
        default=1200,
        at_least=1,
        help="subwords of a batch at most, padding included",
        group="training",
        main=True,
        search=(600, 1200, 2400),
    )
    learning_rate: float = option(default=4e-3)
    validate_every: int = option(default=500)

    def check(self) -> None:
        if self.hidden_size % 2 and not self.architecture:
            raise ParameterError("hidden_size", "an even number, half for each direction", self.hidden_size)
        if self.tied_embeddings == "all" and not self.joint_vocabulary:
            expected = "'output' or 'none' with a vocabulary for each language"
            raise ParameterError("tied_embeddings", expected, "all", "Or use a joint vocabulary.")
        if self.batch_tokens <= self.max_length:
            raise ParameterError("batch_tokens", f"more than max_length = {self.max_length}", self.batch_tokens)
        if self.architecture and self.bridge == "dense":
            raise ParameterError("bridge", "copy or zeros with an architecture", self.bridge)

    def read(self, source: Any, y: Any, reading: Any, labelled: bool) -> SentencePairs:
        return read_pairs(source if y is None else (source, y))

    def split(self, data: SentencePairs) -> tuple[SentencePairs, SentencePairs | None]:
        from recurra.tasks.translate.pairs import split

        return split(data)

    def describe(self, training: SentencePairs, validation: SentencePairs | None) -> str:
        count = 0 if validation is None else len(validation.text)
        validated = f"; validated on {count:,}" if count else ""
        return f"{len(training.text):,} sentence pairs of {training.source}{validated}"

    def learn(self, training: SentencePairs, validation: SentencePairs | None) -> Vocabularies:
        from recurra.data.text.subwords import Subwords

        pairs, size, kind = training.filled(warn=True), self.vocabulary_size, self.subwords
        if self.joint_vocabulary:
            joint = Subwords.train([*pairs.source, *pairs.target], size, kind)
            return Vocabularies(joint, joint)
        return Vocabularies(Subwords.train(pairs.source, size, kind), Subwords.train(pairs.target, size, kind))

    def network(self, learned: Vocabularies) -> "TranslationNetwork":
        from recurra.tasks.translate.network import TranslationNetwork

        return TranslationNetwork(
            len(learned.source),
            len(learned.target),
            cell=trunk_of(self.cell, self.architecture),
            num_layers=self.num_layers,
            hidden_size=self.hidden_size,
            embedding_size=self.embedding_size,
            attention=self.attention,
            coverage=self.coverage,
            input_feeding=self.input_feeding,
            bridge=self.bridge or ("copy" if self.architecture else "dense"),
            tied_embeddings=self.tied_embeddings,
            dropout=self.dropout,
        )

    def objective(
        self,
        fitted: "Fitted[Vocabularies, TranslationNetwork]",
        training: SentencePairs,
        validation: SentencePairs | None,
    ) -> "Objective":
        from recurra.task import Objective
        from recurra.tasks.translate.network import PairLoss
        from recurra.tasks.translate.pairs import EncodedPairs, TrainingBatches, validation_batches
        from recurra.training import evaluate, processes

        learned, device, partition = fitted.learned, fitted.device, processes().partition
        encoded = EncodedPairs(training.filled(), learned.source, learned.target)
        fitting = encoded.fitting(self.max_length, training.source, "trained on")
        if len(fitting) < partition.count:
            raise ParameterError("data", f"at least one pair for each of {partition.count} processes", len(fitting))
        batches = TrainingBatches(fitting, fitting.buckets(self.batch_tokens, self.seed, partition), device)
        held = None
        if validation is not None and len(validation.text):
            held = EncodedPairs(validation.filled(), learned.source, learned.target)
            held = held.fitting(self.max_length, validation.source, "validated with")

        def validate(network: Any) -> Any:
            assert held is not None
            size = max(1, self.batch_tokens // (self.max_length + 1))
            return evaluate(network, PairLoss(0, 0), validation_batches(held, 4 * size, device, partition))

        def compare() -> Any:
            import numpy as np

            from recurra.tasks.translate.results import evaluate

            assert validation is not None
            pairs = validation.filled()
            rows = np.linspace(0, len(pairs) - 1, min(len(pairs), _MOST_COMPARED)).round().astype(int)
            return evaluate([fitted], pairs.take(rows.tolist()), Search(beam_size=1), [])

        return Objective(
            batches,
            PairLoss(self.label_smoothing, self.coverage_penalty),
            None if held is None else validate,
            record={
                "padding_fraction": round(batches.buckets.padding_fraction, 4),
            },
            steps_per_epoch=batches.buckets.steps_per_epoch,
            unit="nats per subword",
            words=lambda loss: f"perplexity {math.exp(min(loss, 700)):.2f} (loss {loss:.4f})",
            # Copying the source has a BLEU, but no perplexity.
            compare=compare if find_spec("sacrebleu") else None,
        )

    def standard_steps(self, steps_per_epoch: int) -> int:
        # An epoch, unless that takes more than four times as long as the usual number of subwords.
        subwords = max(_SUBWORDS, min(steps_per_epoch * self.batch_tokens, 4 * _SUBWORDS))
        return max(1, round(subwords / self.batch_tokens))

    def export_network(self) -> "tuple[nn.Module, dict[str, Any]]":
        """See `Estimator.export_network`. A source ends with `end`, a search begins with `begin` and ends at `end`."""
        from recurra.data.text.subwords import Subwords

        learned = self.fitted.learned
        pieces = {
            name: one.pieces(range(len(one))) for name, one in (("source", learned.source), ("target", learned.target))
        }
        ids = {"padding": Subwords.padding, "begin": Subwords.begin, "end": Subwords.end}
        return self.fitted.network, {**pieces, **ids, "max_length": self.max_length}

    def export_files(self) -> dict[str, bytes]:
        """See `Estimator.export_files`: the models that sentencepiece cuts sources and joins targets with."""
        learned = self.fitted.learned
        return {".source.model": learned.source.to_bytes(), ".target.model": learned.target.to_bytes()}

    @verb("translate the lines of a file, or of standard input")
    def predictions(
        self,
        data: Annotated[Any, _DATA] = None,
        *,
        text: Annotated[str | None, Option(help="sentence to translate at once", group="data")] = None,
        search: Search = _SEARCH,
        prefix: Annotated[str, Option(help="what every translation begins with, in whole words")] = "",
        prefixes: Any = None,
        ensemble: Annotated[tuple[Any, ...], _ENSEMBLE] = (),
        scores: Annotated[bool, Option(help="write line, score and translation, separated by tabs")] = False,
        picture: Annotated[str | None, Option(help="PNG file that shows the attention of the first sentences")] = None,
    ) -> "Translations":
        """Translate sentences, as they come.

        Args:
            data: sentences, or the path of a text file with a sentence a line; "-", or None without a text: standard
                input. A blank sentence has a blank translation; of one that is longer than `max_length` subwords the
                rest is left out, which the log says.
            text: a sentence instead. Each line of it is a sentence.
            search: how.
            prefix: what every translation begins with, in whole words.
            prefixes: what the translation of each sentence begins with.
            ensemble: other translators, or their runs, with the same target vocabulary; probabilities are averaged.
            scores: whether the text has scores too.
            picture: a PNG file to draw the attention of the first sentences into.

        Raises:
            ParameterError: there are both data and a text, an ensemble has different target vocabularies, or there is
                not one prefix a sentence.
            DataError: the file cannot be used.
        """
        from recurra.tasks.translate.results import Translations

        if data is None and text is None:
            data = STANDARD_INPUT
        check_one_of(data, text)
        models = [self.fitted, *(self._as_translator(other).fitted for other in ensemble)]
        source = data if text is None else text.splitlines() or [""]
        return Translations(models, source, search, prefixes or prefix, scores, picture)

    def text_rows(self, reading: Any) -> TextRows:
        return TextRows()

    def predict_texts(self, texts: "Sequence[str]", reading: Any, **options: Any) -> "pl.DataFrame":
        return self.predictions(texts, **options).frame

    @verb("test a trained run beside simple baselines")
    def evaluate(
        self, data: Any, *, search: Search = _SEARCH, ensemble: Annotated[tuple[Any, ...], _ENSEMBLE] = ()
    ) -> "Evaluation":
        """BLEU and chrF on sentence pairs, as sacreBLEU computes them, beside those of copying the source.

        Args:
            data: anything that `fit` takes.
            search: how.
            ensemble: as in `predictions`.

        Raises:
            MissingExtraError: sacrebleu is not installed.
            DataError: the data cannot be used.
        """
        from recurra.tasks.translate.results import evaluate

        models = [self.fitted, *(self._as_translator(other).fitted for other in ensemble)]
        return evaluate(models, read_pairs(data).text, search, [str(other) for other in ensemble])

    @verb("see inside a trained run: gradients through time, gates, memory, as one page")
    def view(
        self,
        data: Any,
        *,
        row: Annotated[int | None, Option(help="pair to show, from 1; by default one of about 15 subwords")] = None,
        subword: Annotated[
            int | None,
            Option(help="subword of its translation, from 1; by default the last that is not punctuation"),
        ] = None,
        name: str = "",
    ) -> "View":
        """Inspect how one subword of a reference translation is predicted, and the same subword of some others.

        The encoder is shown in both directions, and the decoder, which reads the reference up to there. The loss
        is the surprise of the subword; the output attributed is its log-probability, attributed to the embeddings
        of the source and of the subwords of the translation before it.

        Args:
            data: sentence pairs, anything that `fit` takes.
            row: the pair to show, from 1; None: one whose translation has about 15 subwords.
            subword: the subword of its translation, from 1; None: the last that is not punctuation.
            name: of the run, for the page.

        Raises:
            DataError: the data cannot be used.
            ParameterError: there is no such pair or subword.
        """
        from recurra.tasks.translate.view import view

        return view(self.fitted, read_pairs(data).text, row, subword, name)

    def alignment(self, source: str, target: str | None = None) -> "tuple[list[str], list[str], np.ndarray]":
        """What each subword of a translation attends to.

        Args:
            source: a sentence.
            target: its translation; None: the best one.

        Returns:
            The source's subwords (S) with the end, the target's (T) with the end, and the weights (T, S).
        """
        from recurra.tasks.translate.translation import attention

        return attention(self.fitted, source, self.predict([source])[0] if target is None else target)

    def _as_translator(self, other: Any) -> "Translator":
        return other if isinstance(other, Translator) else Translator.load(other)
