"""What a run of this task keeps."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from recurra.data.text.conll import ConllColumns, Sentence
from recurra.data.text.word_encoding import WordEncoding
from recurra.errors import RunError
from recurra.files import prepare_folder, write_text
from recurra.tasks.tag.baseline import MostFrequentTags
from recurra.tasks.tag.encoding import TagSet
from recurra.tasks.tag.fitted import FittedTagger
from recurra.tasks.tag.settings import TagSettings
from recurra.training import Checkpoint, Run, load_checkpoint, read_run, save_checkpoint, write_run

__all__ = ["Layout", "TagRun", "fingerprint"]

_TASK = "tag"
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


@dataclass(frozen=True)
class TagRun(Run):
    """What `Run` is, of a tagger.

    Attributes:
        model: its weights are in `best.safetensors`.
        baseline: of the training data.
        layout: of the training file; None where sentences were not given as a file.
        data: facts of the training data: source, sentences, words and a fingerprint.
    """

    model: FittedTagger
    baseline: MostFrequentTags
    layout: Layout | None
    data: dict[str, Any]

    def write(self, folder: Path) -> None:
        prepare_folder(folder)
        model = self.model
        vocabulary = {"encoding": model.encoding.to_json(), "baseline": self.baseline.to_json()}
        write_text(folder / _VOCABULARY, json.dumps(vocabulary, ensure_ascii=False) + "\n")
        if model.vectors is not None:
            save_checkpoint(Checkpoint({"vectors": model.vectors}), folder / _VECTORS)
        values = {
            "settings": asdict(model.settings),
            "tag_set": model.tag_set.to_json(),
            "layout": None if self.layout is None else asdict(self.layout),
            "pretrained": model.vectors is not None,
            "data": self.data,
        }
        write_run(folder, _TASK, values)

    @classmethod
    def read(cls, folder: Path) -> Self:
        values = read_run(folder, _TASK)
        try:
            vocabulary = json.loads((folder / _VOCABULARY).read_text(encoding="utf-8"))
            layout = values["layout"]
            vectors = load_checkpoint(folder / _VECTORS).tensors["vectors"] if values["pretrained"] else None
            return cls(
                FittedTagger(
                    TagSettings(**values["settings"]),
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

    def differences(self, given: "TagRun") -> list[str]:
        same = {
            "data": self.data["fingerprint"] == given.data["fingerprint"],
            "columns": self.layout == given.layout,
            "vectors": _same(self.model.vectors, given.model.vectors),
        }
        return [name for name, kept in same.items() if not kept]


def fingerprint(*parts: Sequence[Sentence] | None) -> str:
    """A checksum of sentences and their tags, to tell data from other data."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b"part\n")
        for sentence in part or ():
            digest.update(json.dumps([sentence.words, sentence.tags]).encode())
    return digest.hexdigest()


def _same(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None:
        return one is other
    return torch.equal(one, other)
