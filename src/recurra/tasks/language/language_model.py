"""The language model as an estimator: fit, generate, score, evaluate, save, load."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Self, overload

import numpy as np
import torch

from recurra.data.text.tokens import EncodedText, Tokenization, learn_tokens
from recurra.errors import DataError, ParameterError
from recurra.shapes import check_positive
from recurra.tasks.language.corpus import Corpus, read_corpus
from recurra.tasks.language.evaluation import Evaluation, evaluate_text
from recurra.tasks.language.fit import make_trainer
from recurra.tasks.language.fitted import FittedModel
from recurra.tasks.language.generation import generate_tokens, score_tokens
from recurra.tasks.language.reader import Reader
from recurra.tasks.language.run import LanguageRun
from recurra.tasks.language.sampling import Sampling
from recurra.tasks.language.settings import LanguageSettings
from recurra.tasks.language.surprise import ScoredToken
from recurra.training import Estimator
from recurra.training.device import check_device

__all__ = ["LanguageModel"]

_log = logging.getLogger("recurra.language")


class LanguageModel(Estimator[LanguageSettings, LanguageRun]):
    """A recurrent language model: what comes next in a text, token by token.

    Every text, to score, to evaluate or to go on from, is read as if it began a line.

    Args:
        **options: fields of `LanguageSettings`, by name.

    Raises:
        ParameterError: for an unknown option, or a value out of its range.

    Example:
        >>> model = LanguageModel(tokens="characters", hidden_size=256).fit("shakespeare.txt")
        >>> model.generate("ROMEO:", length=300, temperature=0.8, seed=1)
        >>> model.save("runs/shakespeare")
    """

    noun = "language model"
    settings_class = LanguageSettings
    run_class = LanguageRun

    @property
    def model(self) -> FittedModel:
        """Tokens and network. Raises RunError where the language model is not fitted."""
        return self._fitted().model

    @property
    def tokens(self) -> Tokenization:
        """How text is cut; raises as `model`."""
        return self.model.tokens

    @property
    def parts(self) -> dict[str, EncodedText]:
        """The texts given to `fit` as tokens, "train", "valid" and perhaps "test"; raises as `model`."""
        return self._fitted().parts

    def fit(
        self,
        data: str | Path | Mapping[str, str] | Corpus,
        validation_share: float | None = None,
        test_share: float | None = None,
        folder: str | Path | None = None,
        resume: bool = False,
        tensorboard: bool = False,
        progress: bool | None = None,
    ) -> Self:
        """Train on a text; the weights of the best validation are kept.

        Args:
            data: the path of a text file, or of a folder with a file for each part; or the texts by part, "train",
                "valid" and perhaps "test".
            validation_share: of a single file, at its end but for the test; a tenth where None.
            test_share: of a single file, at its very end; nothing where None.
            folder: where the run is kept while it trains, so that it can be resumed; None to keep it in memory.
            resume: go on with the run in `folder`.
            tensorboard: also log to TensorBoard.
            progress: show a bar; None shows one only in a terminal.

        Returns:
            The language model itself.

        Raises:
            DataError: where the texts cannot be used.
            ParameterError: for shares, or a vocabulary, that do not fit them.
            RunError: where the folder already holds a run, has none to resume, or one of other settings or data.
            MissingExtraError: for subwords without sentencepiece.
            TrainingInterruptedError: on Ctrl-C, after the step under way was finished and saved.
        """
        check_device(self.settings.device)
        corpus = data if isinstance(data, Corpus) else read_corpus(data, validation_share, test_share)
        path = None if folder is None else Path(folder)
        kept = self._kept_run(path, resume, corpus)
        run = kept or self._new_run(corpus)
        trainer = make_trainer(run.model, run.parts, path, tensorboard, progress)
        return self._train(run, trainer, path, resume=kept is not None)

    def stream(
        self,
        prompt: str = "",
        length: int = 500,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 0,
        include_prompt: bool = False,
    ) -> Iterator[ScoredToken]:
        """Go on from a prompt, token by token as they are drawn, each computed once from the state carried.

        Surprise is what the model itself expected, whatever the temperature. The unknown is never drawn.

        Args:
            prompt: what the text begins with.
            length: tokens to generate.
            temperature: as of `Sampling`.
            top_k: as of `Sampling`.
            top_p: as of `Sampling`.
            seed: of the draws; the same seed gives the same text.
            include_prompt: whether the tokens of the prompt come first.

        Raises:
            ParameterError: for a value out of its range.
            DataError: for a character in the prompt that a model of characters has never seen.
        """
        sampling = Sampling(temperature, top_k, top_p)
        check_positive("length", length, at_least=0)
        check_positive("seed", seed, at_least=0)
        codes = self._encode_prompt(prompt)
        reader = Reader(self.model)
        given = score_tokens(self.model, reader, codes)
        previous = given[-1].code if given else None
        follows = generate_tokens(self.model, reader, previous, length, sampling, np.random.default_rng(seed))
        return chain(given, follows) if include_prompt else follows

    @overload
    def generate(
        self,
        prompt: str = ...,
        length: int = ...,
        temperature: float = ...,
        top_k: int = ...,
        top_p: float = ...,
        seed: int = ...,
    ) -> str: ...

    @overload
    def generate(
        self,
        prompt: Sequence[str],
        length: int = ...,
        temperature: float = ...,
        top_k: int = ...,
        top_p: float = ...,
        seed: int = ...,
    ) -> list[str]: ...

    def generate(
        self,
        prompt: str | Sequence[str] = "",
        length: int = 500,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 0,
    ) -> str | list[str]:
        """What `stream` generates, without the prompt, as one text; of several prompts a list.

        The i-th of several has a generator of its own, of seed + i, and a state of its own: it is what it would be
        alone, to the bit.

        Args:
            prompt: what the text begins with; or several.
            length: as of `stream`, and the others too.

        Raises:
            ParameterError: as `stream`.
            DataError: as `stream`.
        """
        if isinstance(prompt, str):
            return "".join(token.text for token in self.stream(prompt, length, temperature, top_k, top_p, seed))
        return [self.generate(one, length, temperature, top_k, top_p, seed + i) for i, one in enumerate(prompt)]

    def predict(self, prompt: str = "", top: int = 10) -> list[ScoredToken]:
        """What is likeliest to come next, likeliest first, each token with its surprise.

        Args:
            prompt: what the text begins with.
            top: how many tokens; all of a smaller vocabulary.

        Raises:
            ParameterError: for a number below 1.
            DataError: for a character that a model of characters has never seen.
        """
        check_positive("top", top)
        reader = Reader(self.model)
        given = score_tokens(self.model, reader, self._encode_prompt(prompt))
        previous = given[-1].code if given else None
        expected = reader.log_probabilities()
        likeliest = np.argsort(-expected, kind="stable")[:top].tolist()
        return [ScoredToken(code, self.tokens.speller(previous)(code), -float(expected[code])) for code in likeliest]

    def score(self, text: str) -> list[ScoredToken]:
        """The surprise of each token of a text, given all before it.

        Raises:
            DataError: for a character that a model of characters has never seen.
        """
        return score_tokens(self.model, Reader(self.model), self._encode_prompt(text))

    def evaluate(self, text: str | None = None, name: str = "text") -> Evaluation:
        """How well a text is predicted, beside an n-gram of the same training text.

        Args:
            text: any; where None the test text given to `fit`, or the validation text where there was none.
            name: of the text.

        Raises:
            DataError: for an empty text.
        """
        if text is None:
            return self.evaluate_part("test" if "test" in self.parts else "valid")
        return evaluate_text(self.model, self.parts["train"], self.tokens.encode(text), name)

    def evaluate_part(self, part: str) -> Evaluation:
        """As `evaluate`, of a text given to `fit`: "train", "valid" or "test".

        Raises:
            ParameterError: where there was no such text.
        """
        if part not in self.parts:
            raise ParameterError("part", f"one of {', '.join(self.parts)}", part)
        return evaluate_text(self.model, self.parts["train"], self.parts[part], part)

    def _new_run(self, corpus: Corpus) -> LanguageRun:
        settings = self.settings
        tokens = learn_tokens(corpus.texts["train"], settings.tokens, settings.vocabulary_size, settings.min_count)
        return LanguageRun.of(FittedModel(settings, tokens), corpus)

    def _encode_prompt(self, text: str) -> torch.Tensor:
        unknown = self.tokens.find_unknown(text)
        if unknown:
            symbol, at = unknown
            if self.tokens.name == "characters":
                raise DataError(
                    f"prompt, character {at + 1}: the model has never seen {symbol!r}. Leave it out, or train with "
                    "--tokens bytes or subwords, which know every character."
                )
            _log.warning("prompt: %r is not in the vocabulary, and is read as an unknown word", symbol)
        return self.tokens.encode(text).codes
