"""What a run of this task keeps."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recurra.data.conll import ConllColumns, Sentence
from recurra.data.word_encoding import WordEncoding
from recurra.errors import RunError
from recurra.files import prepare_folder, write_text
from recurra.tasks.tag.baseline import MostFrequentTags
from recurra.tasks.tag.encoding import TagSet
from recurra.tasks.tag.fitted import FittedTagger
from recurra.tasks.tag.settings import TagSettings
from recurra.training import Checkpoint, load_checkpoint, read_run, save_checkpoint, write_run

__all__ = ["TASK", "Layout", "TagRun", "fingerprint", "load_tag_run", "load_weights", "save_tag_run"]

TASK = "tag"
_VOCABULARY = "vocabulary.json"
_VECTORS = "vectors.safetensors"


@dataclass(frozen=True)
class Layout:
    """The form of the training file.

    Attributes:
        conllu: whether it is CoNLL-U.
        names: of its columns, where they have names.
        word: position of the words' column, from 0.
        tag: position of the tags' column, from 0.
    """

    conllu: bool
    names: tuple[str, ...]
    word: int
    tag: int

    @property
    def columns(self) -> ConllColumns:
        """The column map for files of the same form."""
        return ConllColumns(self.names, str(self.word + 1), str(self.tag + 1))


@dataclass
class TagRun:
    """A run folder's content, beside weights and log.

    Attributes:
        model: the weights are in `best.safetensors`.
        baseline: of the training data.
        layout: of the training file; None where sentences were not given as a file.
        data: facts of the training data: source, sentences, words and a fingerprint.
    """

    model: FittedTagger
    baseline: MostFrequentTags
    layout: Layout | None
    data: dict[str, Any]


def fingerprint(*parts: Sequence[Sentence] | None) -> str:
    """A checksum of sentences and their tags, to tell data from other data."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b"part\n")
        for sentence in part or ():
            digest.update(json.dumps([sentence.words, sentence.tags]).encode())
    return digest.hexdigest()


def save_tag_run(run: TagRun, folder: Path) -> None:
    """Write all but the weights.

    Raises:
        RunError: where the folder cannot be written.
    """
    prepare_folder(folder)
    model = run.model
    vocabulary = {"encoding": model.encoding.to_json(), "baseline": run.baseline.to_json()}
    write_text(folder / _VOCABULARY, json.dumps(vocabulary, ensure_ascii=False) + "\n")
    if model.vectors is not None:
        save_checkpoint(Checkpoint({"vectors": model.vectors}), folder / _VECTORS)
    values = {
        "settings": asdict(model.settings),
        "tag_set": model.tag_set.to_json(),
        "layout": None if run.layout is None else asdict(run.layout),
        "pretrained": model.vectors is not None,
        "data": run.data,
    }
    write_run(folder, TASK, values)


def load_tag_run(folder: Path) -> TagRun:
    """Read all but the weights.

    Raises:
        RunError: where the folder is not a run of this task, or is damaged.
    """
    values = read_run(folder, TASK)
    path = folder / _VOCABULARY
    try:
        vocabulary = json.loads(path.read_text(encoding="utf-8"))
        settings: dict[str, Any] = {
            name: tuple(v) if isinstance(v, list) else v for name, v in values["settings"].items()
        }
        layout = values["layout"]
        vectors = load_checkpoint(folder / _VECTORS).tensors["vectors"] if values["pretrained"] else None
        return TagRun(
            FittedTagger(
                TagSettings(**settings),
                WordEncoding.from_json(vocabulary["encoding"]),
                TagSet.from_json(values["tag_set"]),
                vectors,
            ),
            MostFrequentTags.from_json(vocabulary["baseline"]),
            None if layout is None else Layout(**{**layout, "names": tuple(layout["names"])}),
            values["data"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{folder}: damaged run.json or {_VOCABULARY} ({error!r})") from error


def load_weights(model: FittedTagger, folder: Path) -> None:
    """Load the best weights of a run into its model.

    Raises:
        RunError: where they are missing or damaged.
    """
    path = folder / "best.safetensors"
    weights = load_checkpoint(path).group("model")
    try:
        model.network.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise RunError(f"{path}: not the weights of the model in run.json ({reason})") from error
    model.network.eval()
