"""The translator as an estimator: fit, predict, evaluate, save, load."""

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np

from recurra.data.parallel import ParallelText, read_parallel
from recurra.errors import ParameterError, RunError
from recurra.files import prepare_folder
from recurra.tasks.translate.fit import describe_data, learn_subwords, make_trainer, split
from recurra.tasks.translate.fitted import FittedModel
from recurra.tasks.translate.run import TranslationRun, load_translation_run, load_weights, save_translation_run
from recurra.tasks.translate.scores import Evaluation, score
from recurra.tasks.translate.search import Search, Translation, translate
from recurra.tasks.translate.settings import TranslationSettings
from recurra.training import Checkpoint, TrainingResult, goes_on, has_run, processes, save_checkpoint
from recurra.training.device import check_device

__all__ = ["Translator", "as_parallel"]

_DEFAULT_SEARCH = Search()


class Translator:
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

    def __init__(self, **options: Any) -> None:
        self._use(TranslationSettings.from_options(options))

    @classmethod
    def from_settings(cls, settings: TranslationSettings) -> Self:
        """A translator, not fitted, with these settings."""
        translator = cls.__new__(cls)
        translator._use(settings)
        return translator

    def _use(self, settings: TranslationSettings) -> None:
        self.settings = settings
        self.training_result: TrainingResult | None = None
        self._run: TranslationRun | None = None

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
        path = None if folder is None else Path(folder)
        if path is None and resume:
            raise ParameterError("folder", "the folder of the run to resume", None)
        given = as_parallel(data)
        training, held_out = split(given, None if validation is None else as_parallel(validation))
        described = describe_data(training, held_out)
        group = processes()
        if path is not None:
            resume = resume or goes_on(path)
            if has_run(path) and not resume:
                raise RunError(
                    f"{path}: already holds a run. Go on with it (--resume), choose another folder (--out), or delete "
                    "it first."
                )
        if path is not None and resume:
            run = load_translation_run(path)
            _check_same(path, run, self.settings, described)
        else:
            run = TranslationRun(FittedModel(self.settings, *learn_subwords(training, self.settings)), described)
        trainer = make_trainer(run.model, training, held_out, path, tensorboard, progress)
        group.wait()
        if path is not None and not resume and group.is_first:
            shutil.rmtree(path / "tensorboard", ignore_errors=True)
            save_translation_run(run, path)
        group.wait()
        self.training_result = trainer.fit(resume)
        self._run = run
        return self

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

    def save(self, folder: str | Path) -> None:
        """Write the translator into a folder; `load` reads it.

        Raises:
            RunError: where the translator is not fitted, or the folder cannot be written or holds another run.
        """
        path, run = Path(folder), self._fitted()
        if has_run(path):
            raise RunError(f"{path}: already holds a run; choose another folder")
        prepare_folder(path)
        checkpoint = Checkpoint()
        checkpoint.add_group("model", run.model.network.state_dict())
        save_checkpoint(checkpoint, path / "best.safetensors")
        save_translation_run(run, path)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a translator that `save` or `recurra train translate` wrote, finished or interrupted.

        Raises:
            RunError: where the folder is not such a run, or is damaged.
            MissingExtraError: without sentencepiece.
        """
        path = Path(folder)
        run = load_translation_run(path)
        load_weights(run.model, path)
        translator = cls.from_settings(run.model.settings)
        translator._run = run
        return translator

    def _fitted(self) -> TranslationRun:
        if self._run is None:
            raise RunError("the translator is not fitted; call fit first, or load a run")
        return self._run


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


def _check_same(folder: Path, run: TranslationRun, settings: TranslationSettings, data: dict[str, Any]) -> None:
    """Refuse to go on with other settings or other data."""
    before, now = (json.loads(json.dumps(asdict(one))) for one in (run.model.settings, settings))
    differences = [name for name in now if before[name] != now[name]]
    if any(run.data[name] != data[name] for name in ("digest", "validation_digest")):
        differences.append("data")
    if differences:
        raise RunError(
            f"{folder}: cannot resume with other {', '.join(differences)}; give the same, or train into another folder"
        )
