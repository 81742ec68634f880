"""The translator as an estimator: fit, predict, evaluate, save, load."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from recurra.data.text.parallel import ParallelText, read_parallel
from recurra.errors import ParameterError
from recurra.tasks.translate.fit import describe_data, learn_subwords, make_trainer, split
from recurra.tasks.translate.fitted import FittedModel
from recurra.tasks.translate.run import TranslationRun
from recurra.tasks.translate.scores import Evaluation, score
from recurra.tasks.translate.search import Search, Translation, translate
from recurra.tasks.translate.settings import TranslationSettings
from recurra.training import Estimator
from recurra.training.device import check_device

__all__ = ["Translator", "as_parallel"]

_DEFAULT_SEARCH = Search()


class Translator(Estimator[TranslationSettings, TranslationRun]):
    """A recurrent encoder-decoder with attention, from raw text to raw text.

    Args:
        **options: any field of `TranslationSettings`, by name.

    Raises:
        ParameterError: for an unknown option, or a value out of its range.

    Example:
        >>> translator = Translator(max_steps=5000).fit(("train.de.gz", "train.en.gz"), ("val.de.gz", "val.en.gz"))
        >>> translator.predict(["Ein Hund rennt."])
        >>> translator.save("runs/de-en")
    """

    noun = "translator"
    settings_class = TranslationSettings
    run_class = TranslationRun

    @property
    def model(self) -> FittedModel:
        """The trained model. Raises RunError where the translator is not fitted."""
        return self._fitted().model

    def fit(
        self,
        data: Any,
        validation: Any = None,
        folder: str | Path | None = None,
        resume: bool = False,
        tensorboard: bool = False,
        progress: bool | None = None,
    ) -> Self:
        """Learn subwords and train on sentence pairs.

        Args:
            data: a pair of files (source and target, line by line), the path of a table of two columns, a pair of
                lists of sentences, or a `ParallelText`.
            validation: pairs to choose the best weights by, in any of these forms; a twentieth of the data, up to
                1,000 pairs, where None.
            folder: where the run is kept while it trains, so that it can be resumed; None to keep it in memory.
            resume: go on with the run in `folder`.
            tensorboard: also log to TensorBoard.
            progress: show a bar; None shows one only in a terminal.

        Returns:
            The translator itself.

        Raises:
            DataError: where the data cannot be used; the message names the file, the line and the way out.
            RunError: where the folder already holds a run, or has none to resume.
            MissingExtraError: without sentencepiece.
            TrainingInterruptedError: on Ctrl-C, after the step under way was finished and saved.
        """
        check_device(self.settings.device)
        given = as_parallel(data)
        training, held_out = split(given, None if validation is None else as_parallel(validation))
        described = describe_data(training, held_out)
        path = None if folder is None else Path(folder)
        kept = self._kept_run(path, resume, described)
        run = kept or self._new_run(training, described)
        trainer = make_trainer(run.model, training, held_out, path, tensorboard, progress)
        return self._train(run, trainer, path, resume=kept is not None)

    def predict(self, lines: Sequence[str], **search: Any) -> list[str]:
        """The best translation of each sentence; the other arguments are those of `Search`."""
        return [found[0].text for found in self.translate(lines, Search(**search))]

    def translate(
        self,
        lines: Sequence[str],
        search: Search = _DEFAULT_SEARCH,
        prefixes: Sequence[str] | None = None,
        ensemble: Sequence["Translator"] = (),
    ) -> list[list[Translation]]:
        """The `n_best` translations of each sentence, best first.

        Args:
            lines: source sentences. A blank one has a blank translation; of one that is longer than `max_length`
                subwords the rest is left out, which the log says.
            search: how.
            prefixes: what the translation of each line must begin with, in whole words.
            ensemble: other translators whose probabilities are averaged with these, with the same target vocabulary.

        Raises:
            ParameterError: for an ensemble of different target vocabularies, or prefixes that are not one a line.
            RunError: where the translator is not fitted.
        """
        if isinstance(lines, str):
            raise ParameterError("lines", "a list of sentences", lines)
        return translate([self.model, *(other.model for other in ensemble)], lines, search, prefixes)

    def evaluate(
        self, data: Any, search: Search = _DEFAULT_SEARCH, ensemble: Sequence["Translator"] = ()
    ) -> Evaluation:
        """BLEU and chrF on sentence pairs, beside those of copying the source.

        Args:
            data: anything `fit` takes.
            search: how.
            ensemble: as of `translate`.

        Raises:
            MissingExtraError: without sacrebleu.
            DataError: where the data cannot be used.
        """
        pairs = as_parallel(data)
        copy = score(pairs.source, pairs.target)
        started = time.perf_counter()
        found = self.translate(pairs.source, search, ensemble=ensemble)
        seconds = time.perf_counter() - started
        translations = tuple(best[0].text for best in found)
        return Evaluation(score(translations, pairs.target), copy, translations, seconds)

    def attention(self, source: str, target: str | None = None) -> tuple[list[str], list[str], np.ndarray]:
        """What each subword of a translation attends to.

        Args:
            source: a sentence.
            target: its translation; the best one where None.

        Returns:
            The source's subwords (S) with the end, the target's (T) with the end, and the weights (T, S).
        """
        return self.model.attention(source, self.predict([source])[0] if target is None else target)

    def _new_run(self, data: ParallelText, described: dict[str, Any]) -> TranslationRun:
        return TranslationRun(FittedModel(self.settings, *learn_subwords(data, self.settings)), described)


def as_parallel(data: Any) -> ParallelText:
    """Sentence pairs from whatever a user has: files, lists, or a `ParallelText`.

    Raises:
        DataError: where they cannot be used.
        ParameterError: where they are none of these.
    """
    if isinstance(data, ParallelText):
        return data
    if isinstance(data, str | Path):
        return read_parallel([data])
    if isinstance(data, tuple | list) and data and all(isinstance(part, str | Path) for part in data):
        return read_parallel(data)
    if isinstance(data, tuple | list) and len(data) == 2:
        return ParallelText(tuple(data[0]), tuple(data[1]))
    raise ParameterError("data", "two files, a table, or two lists of sentences", type(data).__name__)
