"""The language model: its options and verbs."""

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from recurra.errors import DataError, ParameterError
from recurra.options import Option, Range, option
from recurra.task import Estimator, task, verb
from recurra.task.architecture import ArchitectureOptions, trunk_of
from recurra.task.checks import check_cell
from recurra.tasks.language.corpus import Corpus, LanguageLearned, read_corpus
from recurra.tasks.language.sampling import Sampling

# Modules that need torch or numpy are imported inside the hooks: the command line's help does without.
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch
    from torch import nn

    from recurra.models import RecurrentLanguageModel
    from recurra.streaming import ItemStream
    from recurra.task import Evaluation, Fitted, Objective, View
    from recurra.tasks.language.results import Generated, NextTokens
    from recurra.tasks.language.surprise import ScoredToken
    from recurra.training.truncation import Truncation

__all__ = ["LanguageModel"]

_log = logging.getLogger("recurra.language")
_SAMPLING = Sampling()
_FRACTIONS = ("validation_fraction", "test_fraction")
_TOKENS = 8_000_000  # read in a standard training: minutes on two cores
_PROMPT = Option(help="what the text begins with", group="text")
_LENGTH = Option(help="tokens to generate; 0: only the prompt's surprise", at_least=0, group="text")
_TEXT = Option(help="a text, in place of a file", group="data")
_SEED = Option(help="the same seed gives the same text", at_least=0, group="text")


def _dropout(default: float, words: str, search: Range | None = None) -> Any:
    return option(default=default, at_least=0, at_most=1, help=words, group="regularization", search=search)


@task("language")
class LanguageModel(ArchitectureOptions, Estimator[Corpus, LanguageLearned, "RecurrentLanguageModel"]):
    """A recurrent language model: what comes next in a text, token by token.

    Data are the path of a text file, whose end is held out for validation; a folder with a file for each part (train,
    validation and, perhaps, test); or the texts by part. Every text is read as if it began a line.

    Example:
        >>> model = LanguageModel(tokens="characters", hidden_size=256).fit("shakespeare.txt")
        >>> model.generate("ROMEO:", length=300, sampling=Sampling(temperature=0.8), seed=1)
        >>> model.save("runs/shakespeare")
    """

    noun = "language model"
    learned_class = LanguageLearned

    tokens: Literal["characters", "bytes", "words", "subwords"] = option(
        default="characters",
        help="what is predicted; subwords are learned by byte-pair encoding (needs the extra text)",
        group="text",
        main=True,
    )
    vocabulary_size: int | None = option(
        default=None,
        at_least=1,
        help="tokens at most; by default all words and characters, 2000 subwords",
        group="text",
    )
    min_count: int = option(
        default=1, at_least=1, help="occurrences below which a word or a character is unknown", group="text"
    )
    validation_fraction: float = option(
        default=0.1, above=0, below=1, help="fraction of a single file that is held out for validation", group="text"
    )
    test_fraction: float = option(
        default=0.0, at_least=0, below=1, help="fraction of a single file, at its end, held out for evaluate",
        group="text",
    )  # fmt: skip
    map_above: int = option(
        default=100,
        at_least=0,
        help="megabytes of text above which its tokens are not held in memory but mapped from a file in the user's "
        "cache folder",
        group="text",
    )
    cell: str = option(
        default="lstm", check=check_cell, help="name of a cell, or module:Class of your own", group="network", main=True
    )
    num_layers: int = option(
        default=1, at_least=1, help="recurrent layers", group="network", main=True, search=Range(1, 2)
    )
    hidden_size: int = option(
        default=256, at_least=1, help="units of each layer", group="network", main=True, search=Range(128, 512, step=64)
    )
    embedding_size: int | None = option(
        default=None,
        at_least=1,
        help="features of a token; by default the hidden size if tied, else at most 256",
        group="network",
    )
    tied: bool = option(default=False, help="the softmax has the embeddings as its weights", group="network")
    cutoffs: tuple[int, ...] = option(
        default=(),
        at_least=1,
        help="of an adaptive softmax, as 2000,10000: how many of the most frequent tokens are in its head, and where "
        "each tail ends; by default a full softmax",
        group="network",
    )
    initialization: Literal["orthogonal", "identity", "uniform"] = option(
        default="orthogonal", help="of the recurrent weights", group="network"
    )
    forget_bias: float = option(default=1.0, help="first bias of the gate that retains the state", group="network")
    dropout: float = _dropout(0.0, "dropout of the output of every recurrent layer", search=Range(0, 0.6))
    input_dropout: float = _dropout(0.0, "dropout of the embeddings", search=Range(0, 0.4))
    embedding_dropout: float = _dropout(0.0, "dropout of whole tokens of the vocabulary, wherever they occur")
    recurrent_dropout: float = _dropout(0.0, "dropout of what the recurrent weights read, the same at every step")
    weight_dropout: float = _dropout(0.0, "dropout of the recurrent weights themselves")
    variational: bool = option(
        default=False,
        help="dropout and input_dropout drop the same features at every step of a segment",
        group="regularization",
    )
    truncation_length: int | None = option(
        default=None,
        at_least=1,
        help="steps back that the gradient of a loss flows at most; by default 35 words, or 100 tokens of other kinds",
        group="training",
        main=True,
    )
    stride: int | None = option(
        default=None, at_least=1, help="steps between updates; by default the truncation length", group="training"
    )
    batch_size: int = option(
        default=32,
        at_least=1,
        help="lanes that the text is cut into and read in parallel",
        group="training",
        main=True,
        search=(16, 32, 64),
    )
    learning_rate: float = option(default=4e-3)
    validate_every: int = option(default=250)
    patience: int = option(default=5)

    def check(self) -> None:
        self._truncation()
        if self.validation_fraction + self.test_fraction >= 1:
            expected = "less than 1 together with test_fraction"
            raise ParameterError("validation_fraction", expected, self.validation_fraction)

    def read(self, source: Any, y: Any, reading: Any, labelled: bool) -> Corpus:
        return (
            source
            if isinstance(source, Corpus)
            else read_corpus(source, self.validation_fraction, self.test_fraction, self.map_above)
        )

    def describe(self, training: Corpus, validation: Corpus | None) -> str:
        corpus = training if validation is None else training.validated_on(validation)
        sizes = ", ".join(f"{part} {len(text):,}" for part, text in corpus.texts.items())
        return f"{corpus.source}: {sizes} characters ({corpus.split}), as {self.tokens}"

    def learn(self, training: Corpus, validation: Corpus | None) -> LanguageLearned:
        from recurra.data.text.tokens import learn_stored_tokens, learn_tokens

        fractions = {name: value for name, value in self.changed().items() if name in _FRACTIONS}
        if fractions and not training.is_cut:
            name, value = next(iter(fractions.items()))
            way_out = f"Leave it out, or train on a single file; {training.source} has its own parts."
            raise ParameterError(name, "no fraction of texts that are parted already", value, way_out)
        corpus = training if validation is None else training.validated_on(validation)
        text = corpus.texts["train"]
        if isinstance(text, str):
            tokens = learn_tokens(text, self.tokens, self.vocabulary_size, self.min_count)
        else:
            tokens = learn_stored_tokens(text, self.tokens, self.vocabulary_size, self.min_count)
        return LanguageLearned.of(tokens, corpus, self.cutoffs)

    def network(self, learned: LanguageLearned) -> "RecurrentLanguageModel":
        from recurra.layers import initialize
        from recurra.models import RecurrentLanguageModel

        features = self.embedding_size or (self.hidden_size if self.tied else min(self.hidden_size, 256))
        network = RecurrentLanguageModel(
            trunk_of(self.cell, self.architecture),
            len(learned.tokens),
            features,
            self.hidden_size,
            self.num_layers,
            self.dropout,
            self.input_dropout,
            self.embedding_dropout,
            self.recurrent_dropout,
            self.weight_dropout,
            self.variational,
            self.tied,
            self.cutoffs,
        )
        initialized = initialize(network, self.initialization, forget_bias=self.forget_bias)
        network.initialization = {"embedding.weight": f"normal, variance 1 / {features}", **initialized}
        return network

    def objective(
        self, fitted: "Fitted[LanguageLearned, RecurrentLanguageModel]", training: Corpus, validation: Corpus | None
    ) -> "Objective":
        import torch

        from recurra.data.batches.lanes import Lanes
        from recurra.task import Objective
        from recurra.tasks.language.ngram import BASELINE, baseline_loss
        from recurra.training import evaluate, processes

        truncation, partition = self._truncation(), processes().partition
        lanes, validating = (
            Lanes.from_stream(
                fitted.learned.text(part).ids.to(fitted.device),
                truncation.segment_length,
                self.batch_size,
                partition=partition,
                dtype=torch.int64,
            )
            for part in ("train", "validation")
        )

        def validate(network: Any) -> Any:
            # The text is read in as many lanes, each from empty state. The loss is a little worse than in one stream,
            # as in `evaluate`, and this is many times as fast.
            batches = (validating(step + 1) for step in range(validating.steps_per_epoch))
            return evaluate(network, network.loss, batches, carry=True)

        return Objective(
            lanes,
            lambda features, target: fitted.network.loss(features, target),
            validate,
            truncation,
            {"initialization": fitted.network.initialization},
            steps_per_epoch=lanes.steps_per_epoch,
            unit=f"nats per {fitted.learned.tokens.unit}",
            baselines={BASELINE: baseline_loss(fitted.learned)},
        )

    def standard_steps(self, steps_per_epoch: int) -> int:
        a_step = self.batch_size * self._truncation().segment_length
        # An epoch, unless that takes more than four times as long as the usual number of tokens.
        tokens = max(_TOKENS, min(steps_per_epoch * a_step, 4 * _TOKENS))
        return max(1, round(tokens / a_step))

    @verb("see what is likeliest to come next, with its probability")
    def predictions(
        self,
        prompt: Annotated[str, _PROMPT] = "",
        *,
        data: Annotated[Any, Option(help="file with the prompt; - is standard input", group="data")] = None,
        text: Annotated[str | None, Option(help="the prompt, as in other tasks", group="data")] = None,
        top: Annotated[int, Option(help="how many tokens", at_least=1, group="text")] = 10,
    ) -> "NextTokens":
        """The tokens that are likeliest to come next, likeliest first.

        Args:
            prompt: what the text begins with.
            data: the path of a text file that holds the prompt instead, without the end of its last line; "-": standard
                input.
            text: the prompt too, by the name that it has in other tasks.
            top: how many tokens; all of a smaller vocabulary.

        Raises:
            DataError: a model of characters never saw a character of the prompt, or the file cannot be read.
            ParameterError: there are several prompts.
        """
        from recurra.tasks.language.results import next_tokens

        if data is not None or text is not None:
            if prompt:
                raise ParameterError("prompt", "none beside a text or a file", prompt)
            prompt = _text_of(data, text).removesuffix("" if data is None else "\n")
        return next_tokens(self.fitted, self._encode_prompt(prompt), top)

    @verb("continue a prompt with a trained language model", endings=(".txt", ".html", ".htm", ""))
    def generation(
        self,
        prompt: Annotated[str, _PROMPT] = "",
        *,
        length: Annotated[int, _LENGTH] = 500,
        sampling: Sampling = _SAMPLING,
        seed: Annotated[int, _SEED] = 0,
    ) -> "Generated":
        """Continue a prompt, token by token. In a terminal the colour behind each token is its surprise.

        The surprise is that of the model itself, whatever the temperature. The unknown token is never sampled. With
        `--out page.html` the text and the surprise of each token become a page.

        Args:
            prompt: what the text begins with.
            length: tokens to generate.
            sampling: how tokens are sampled.
            seed: of the random generator; the same seed gives the same text.

        Raises:
            DataError: a model of characters never saw a character of the prompt.
        """
        from recurra.tasks.language.results import Generated

        return Generated(self.fitted, prompt, self._encode_prompt(prompt), length, sampling, seed)

    def generate(
        self,
        prompt: "str | Sequence[str]" = "",
        *,
        length: int = 500,
        sampling: Sampling = _SAMPLING,
        seed: int = 0,
    ) -> Any:
        """The text that `generation` generates, without the prompt; for several prompts, a list.

        The i-th of several prompts has its own random generator, with seed + i, and its own state: its text is the same
        as without the others.
        """
        if isinstance(prompt, str):
            return "".join(token.text for token in self.stream(prompt, length=length, sampling=sampling, seed=seed))
        return [
            self.generate(one, length=length, sampling=sampling, seed=seed + index) for index, one in enumerate(prompt)
        ]

    def stream(
        self, prompt: str = "", *, length: int = 500, sampling: Sampling = _SAMPLING, seed: int = 0
    ) -> "Iterator[ScoredToken]":
        """The tokens that `generation` generates, each as it is sampled, with its surprise."""
        return self.generation(prompt, length=length, sampling=sampling, seed=seed).tokens()

    def open_stream(self, weights: str = "float32", look_ahead: int | None = None) -> "ItemStream":
        """See `Estimator.open_stream`: an item is a piece of text, and the result says what is likely to come next."""
        from recurra.tasks.language.reader import open_stream

        self.refuse_look_ahead(look_ahead)
        return open_stream(self.fitted, self._encode_prompt, weights)

    def export_network(self) -> "tuple[nn.Module, dict[str, Any]]":
        """See `Estimator.export_network`. The outputs are log probabilities of the tokens to come next."""
        tokens = self.fitted.learned.tokens
        names = [name.decode("utf-8", "replace") for name in tokens.names()]
        facts = {"tokens": names, "kind": tokens.name, "line_end": tokens.line_end, "unknown": tokens.unknown}
        return self.fitted.network, facts

    def surprise(self, text: str) -> "list[ScoredToken]":
        """The surprise of each token of a text, given all before it.

        Raises:
            DataError: a model of characters never saw a character of the text.
        """
        from recurra.tasks.language.reader import Reader
        from recurra.tasks.language.results import score_tokens

        return score_tokens(self.fitted, Reader(self.fitted), self._encode_prompt(text))

    @verb("test a trained run beside simple baselines")
    def evaluate(
        self,
        data: Any = None,
        *,
        text: Annotated[str | None, _TEXT] = None,
        part: Annotated[
            Literal["train", "validation", "test"] | None,
            Option(help="text of the run; by default the test text if there is one, else the validation text"),
        ] = None,
    ) -> "Evaluation":
        """How well a text is predicted, beside an n-gram of the same training text.

        Args:
            data: the path of a text file; None: `text`, or a text of the run.
            text: any.
            part: which text of the run; None: the test text if there is one, else the validation text.

        Raises:
            DataError: the text is empty, or cannot be read.
            ParameterError: the run has no such text.
        """
        from recurra.tasks.language.results import evaluate

        learned = self.fitted.learned
        if data is not None or text is not None:
            if part is not None:
                raise ParameterError("part", "None with another text", part)
            return evaluate(self.fitted, learned.tokens.encode(_text_of(data, text)), str(data or "text"))
        part = part or ("test" if "test" in learned.sizes else "validation")
        if part not in learned.sizes:
            raise ParameterError("part", f"one of {', '.join(learned.sizes)}", part)
        return evaluate(self.fitted, learned.text(part), part)

    @verb("see inside a trained run: gradients through time, gates, memory, as one page")
    def view(
        self,
        data: Any = None,
        *,
        text: Annotated[str | None, _TEXT] = None,
        row: Annotated[int | None, Option(help="stretch of the text to show, from 1; by default the first")] = None,
        name: str = "",
    ) -> "View":
        """Inspect stretches of a text, spread over it, each read from a state of zeros.

        The loss is the surprise of the token that follows a stretch; the output attributed is its log-probability,
        attributed to the embeddings of the tokens before.

        Args:
            data: the path of a text file; None: `text`, or the validation text.
            text: any.
            row: the stretch to show, from 1; None: the first.
            name: of the run, for the page.

        Raises:
            DataError: the text is too short, or cannot be read.
            ParameterError: there is no such stretch.
        """
        from recurra.tasks.language.view import view

        learned = self.fitted.learned
        if data is None and text is None:
            encoded, source = learned.text("validation"), "the validation text"
            shown = view(self.fitted, encoded.ids, source, row, name)
            return replace(shown, evaluate=lambda: self.evaluate(part="validation"))
        shown = view(self.fitted, learned.tokens.encode(_text_of(data, text)).ids, str(data or "the text"), row, name)
        return replace(shown, evaluate=lambda: self.evaluate(data, text=text))

    def _truncation(self) -> "Truncation":
        from recurra.training.truncation import Truncation

        usual = 35 if self.tokens == "words" else 100
        return Truncation(self.truncation_length or usual, self.stride)

    def _encode_prompt(self, text: str) -> "torch.Tensor":
        tokens = self.fitted.learned.tokens
        unknown = tokens.find_unknown(text)
        if unknown:
            symbol, at = unknown
            if tokens.name == "characters":
                raise DataError(
                    f"prompt, character {at + 1}: the model has never seen {symbol!r}. Leave it out, or train with "
                    "--tokens bytes or subwords, which know every character."
                )
            _log.warning("prompt: %r is not in the vocabulary, and is read as an unknown word", symbol)
        return tokens.ids(text)


def _text_of(data: Any, text: str | None) -> str:
    """The text of a file or of standard input, or the text itself."""
    from recurra.data.files.standard_input import is_standard_input, read_standard_input
    from recurra.data.files.text_file import read_text

    if data is None:
        return text or ""
    if text is not None:
        raise ParameterError("text", "None with a file", text)
    return read_standard_input()[0] if is_standard_input(data) else read_text(data)
