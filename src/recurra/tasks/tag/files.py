"""Sentences from whatever a user has."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from recurra.data.text.conll import ConllColumns, ConllText, Sentence, is_conllu, read_conll
from recurra.data.text.token_lines import TokenLines, read_token_lines
from recurra.errors import DataError, ParameterError
from recurra.tasks.tag.run import Layout

__all__ = ["Format", "Given", "read_tagged", "read_to_tag"]

Format = Literal["auto", "conllu", "columns", "text"]


@dataclass(frozen=True)
class Given:
    """Tagged sentences, and where they are from.

    Attributes:
        sentences: at least one.
        source: the path, or "the data" for sentences that are of no file.
        layout: of the file; None where there is none.
    """

    sentences: tuple[Sentence, ...]
    source: str
    layout: Layout | None

    @property
    def words(self) -> int:
        """Words in all sentences."""
        return sum(len(sentence.words) for sentence in self.sentences)


def read_tagged(
    data: Any, columns: ConllColumns | None = None, kind: Format = "auto", like: Layout | None = None
) -> Given:
    """Tagged sentences.

    Args:
        data: the path of a file, sentences, each a `Sentence` or a sequence of pairs of word and tag, or what this
            function returned.
        columns: the column map of a file; what it does not say is as in `like`, where the file is of the same form.
        kind: of the file, "conllu" or "columns"; by its name where "auto".
        like: the form of the training file.

    Raises:
        DataError: where the data cannot be used.
        ParameterError: for plain text, which has no tags.
    """
    if isinstance(data, Given):
        return data
    if isinstance(data, str | Path):
        if kind == "text":
            raise ParameterError("format", "'auto', 'conllu' or 'columns', as plain text has no tags", kind)
        completed = _completed(data, columns, kind, like)
        text = read_conll(data, completed, kind)
        layout = Layout(text.conllu, completed.names, text.word, text.tag)
        return Given(text.sentences, text.source, layout)
    sentences = tuple(_as_sentence(number, sentence) for number, sentence in enumerate(data))
    if not sentences:
        raise DataError("the data: no sentences are in it.")
    return Given(sentences, "the data", None)


def read_to_tag(
    path: str | Path, columns: ConllColumns | None, kind: Format, like: Layout | None
) -> ConllText | TokenLines:
    """A file to be tagged: CoNLL-U, columns, with or without a tag column, or plain text.

    Args:
        path: of the file.
        columns: its column map; what it does not say is as in `like`, where the file is of the same form. Tags become
            a column of their own where nothing says which is theirs.
        kind: "auto" is CoNLL-U for `.conllu`, plain text for `.txt`, and columns for all others.
        like: the form of the training file.

    Raises:
        DataError: where the file cannot be used.
        ParameterError: for a CoNLL-U file, where training had none, without a column for the tags.
    """
    if kind == "auto" and str(path).lower().removesuffix(".gz").endswith(".txt"):
        kind = "text"
    if kind == "text":
        return read_token_lines(path)
    columns = _completed(path, columns, kind, like)
    if columns.tag is None and _is_conllu(path, kind):
        raise ParameterError(
            "tag_column",
            "the column of a CoNLL-U file that the tags go into",
            None,
            "The run was not trained on CoNLL-U: name it, as in --tag-column misc.",
        )
    return read_conll(path, columns, kind, needs_tags=False)


def _completed(path: str | Path, columns: ConllColumns | None, kind: Format, like: Layout | None) -> ConllColumns:
    columns = columns or ConllColumns()
    if like is None or _is_conllu(path, kind) != like.conllu:
        return columns
    known = like.columns
    return ConllColumns(columns.names or known.names, columns.word or known.word, columns.tag or known.tag)


def _is_conllu(path: str | Path, kind: Format) -> bool:
    return is_conllu(path) if kind == "auto" else kind == "conllu"


def _as_sentence(number: int, given: Any) -> Sentence:
    if isinstance(given, Sentence) and len(given.words) == len(given.words if given.tags is None else given.tags) > 0:
        return given
    if isinstance(given, Sentence):
        raise DataError(f"the data, sentence {number + 1}: expected words and as many tags, got {given!r}.")
    pairs: Sequence[tuple[str, str | None]] = tuple(given)
    for pair in pairs:
        if len(pair) != 2 or not isinstance(pair[0], str) or not isinstance(pair[1], str | None) or not pair[0]:
            raise DataError(f"the data, sentence {number + 1}: expected pairs of word and tag, got {pair!r}.")
    if not pairs:
        raise DataError(f"the data, sentence {number + 1}: no words are in it.")
    words, tags = zip(*pairs, strict=True)
    return Sentence(words, tags)
