"""Sentences from whatever a user has."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from recurra.data.files.standard_input import SOURCE, is_standard_input, read_standard_input
from recurra.data.files.text_file import TextForm, read_text_and_form
from recurra.data.text.conll import ConllColumns, ConllText, Sentence, column_counts, is_conllu, parse_conll
from recurra.data.text.token_lines import TokenLines, parse_token_lines
from recurra.data.text.words import split_words
from recurra.errors import DataError, ParameterError
from recurra.options import Options, option

__all__ = ["Layout", "Sentences", "TagReading", "plain_text", "read_sentences", "with_tags"]

_log = logging.getLogger("recurra.tag")

Format = Literal["auto", "conllu", "columns", "text", "spaces"]

_CONLLU_COLUMNS = 10


class TagReading(Options):
    """How a file of sentences is read. Options not set are as in the training file, if it has the same form."""

    format: Format = option(
        default="auto",
        help="auto goes by the name: .conllu, .txt for plain text with a sentence a line, else columns; .txt and "
        "standard input with the columns of the training file are read as that was; text is split into words and "
        "marks, or only at spaces by spaces",
    )
    columns: tuple[str, ...] = option(default=(), help="names of the columns, in order, as word,pos,ner")
    word_column: str | None = option(
        default=None, help="name or number of the words' column; form in CoNLL-U, else 1, the first"
    )
    tag_column: str | None = option(
        default=None, help="name or number of the tags' column; upos in CoNLL-U, else -1, the last", main=True
    )
    separator: str | None = option(
        default=None, help="text between columns, such as , or |; by default tabs in a line that has one, else spaces"
    )


@dataclass(frozen=True)
class Layout:
    """The form of a file.

    Attributes:
        conllu: whether it is CoNLL-U.
        names: of its columns, if they have names.
        word: the index of the words' column, from 0.
        tag: the index of the tags' column, from 0.
        count: how many columns it has.
        separator: the text between them; None: tabs or spaces.
    """

    conllu: bool
    names: tuple[str, ...]
    word: int
    tag: int
    count: int
    separator: str | None = None


@dataclass(frozen=True)
class Sentences:
    """Sentences, and the text they come from.

    Attributes:
        sentences: one or more.
        source: the path, or the name in messages of what is not a file.
        text: the text, which can be written with other tags; None: the sentences are from Python.
        layout: the form of the text; None: it is plain text, or there is no text.
        path: the file; None: there is no file.
    """

    sentences: tuple[Sentence, ...]
    source: str = "the data"
    text: ConllText | TokenLines | None = None
    layout: Layout | None = None
    path: Path | None = None

    @property
    def words(self) -> int:
        """The number of words."""
        return sum(len(sentence.words) for sentence in self.sentences)

    def digest(self) -> str:
        digest = hashlib.sha256()
        for sentence in self.sentences:
            digest.update(json.dumps([sentence.words, sentence.tags]).encode())
        return digest.hexdigest()


def read_sentences(
    source: Any,
    reading: TagReading | None = None,
    like: Layout | None = None,
    labelled: bool = True,
    is_tag: Callable[[str], bool] = lambda _: True,
) -> Sentences:
    """Read sentences.

    Args:
        source: the path of a file, "-" for standard input, sentences, or what this function returned. A sentence is a
            `Sentence`, a sequence of pairs of word and tag, or, if tags are not needed, a sequence of words or a text
            with spaces between them. A sequence of single words is one sentence.
        reading: how a file is read.
        like: the form of the training file.
        labelled: whether every sentence needs tags. A file without a tag column gets one if they are not needed.
        is_tag: whether a word of what may be plain text can be a tag.

    Raises:
        DataError: the data cannot be used.
        ParameterError: tags are needed of plain text, which has none, or their column in a CoNLL-U file is not known.
    """
    if isinstance(source, Sentences):
        return source
    if isinstance(source, str | Path):
        return _read_file(source, reading or TagReading(), like, labelled, is_tag)
    if not labelled:
        source = list(source)
        if source and all(isinstance(word, str) and len(word.split()) == 1 for word in source):
            # Words, not texts: they are one sentence.
            source = [source]
    sentences = tuple(_as_sentence(position, one, labelled) for position, one in enumerate(source, start=1))
    if not sentences and labelled:
        raise DataError("the data: expected sentences, got none.")
    return Sentences(sentences)


def plain_text(text: str) -> Sentences:
    """The sentences of a text, one per line, each split into words and marks. Raises DataError if it is blank."""
    lines = parse_token_lines("\n".join(text.splitlines()), TextForm(), "the text", split_words)
    if not lines.sentences:
        raise DataError(f"{lines.source}: expected one or more words, got {text!r}.")
    return Sentences(lines.sentences, lines.source, lines)


def with_tags(sentences: Iterable[Any], tags: Iterable[Sequence[str | None]]) -> list[Sentence]:
    """Sentences, each a sequence of words or a text with spaces between them, with their tags.

    Raises:
        DataError: there are not as many tags as words.
    """
    words, own_tags = list(sentences), list(tags)
    if len(words) != len(own_tags):
        raise DataError(f"y: expected tags of {len(words):,} sentences, got those of {len(own_tags):,}.")
    pairs = zip(words, own_tags, strict=True)
    return [Sentence(tuple(one.split() if isinstance(one, str) else one), tuple(own)) for one, own in pairs]


def _read_file(
    path: str | Path, reading: TagReading, like: Layout | None, labelled: bool, is_tag: Callable[[str], bool]
) -> Sentences:
    kind = reading.format
    if labelled and kind in ("text", "spaces"):
        raise ParameterError("format", "'auto', 'conllu' or 'columns', as plain text has no tags", kind)
    content = _content(path)
    if kind == "auto":
        may_be_text = is_standard_input(path) or str(path).lower().removesuffix(".gz").endswith(".txt")
        if may_be_text and not labelled:
            kind = _kind_of(content[0], content[2], reading, like, is_tag)
        else:
            kind = "conllu" if is_conllu(path) else "columns"
    if kind in ("text", "spaces"):
        lines = parse_token_lines(*content, split_words if kind == "text" else str.split)
        return Sentences(lines.sentences, lines.source, lines, path=_file(path))
    conllu = kind == "conllu"
    columns = ConllColumns(reading.columns, reading.word_column, reading.tag_column, reading.separator)
    if like is not None and conllu == like.conllu:
        columns = ConllColumns(
            columns.names or like.names,
            columns.word or str(like.word + 1),
            columns.tag or str(like.tag + 1),
            columns.separator or like.separator,
        )
    if columns.tag is None and conllu and not labelled:
        expected = "the column of a CoNLL-U file that the tags go into"
        hint = "The run was not trained on CoNLL-U: name it, as in --tag-column misc."
        raise ParameterError("tag_column", expected, None, hint)
    text = parse_conll(*content, columns, conllu, needs_tags=labelled)
    layout = Layout(text.conllu, columns.names, text.word, text.tag, text.count, text.separator)
    return Sentences(text.sentences, text.source, text, layout, _file(path))


def _content(path: str | Path) -> tuple[str, TextForm, str]:
    """The text of a file or of standard input, its form, and its name in messages."""
    return (*read_standard_input(), SOURCE) if is_standard_input(path) else (*read_text_and_form(path), str(path))


def _file(path: str | Path) -> Path | None:
    return None if is_standard_input(path) else Path(path)


def _kind_of(text: str, source: str, reading: TagReading, like: Layout | None, is_tag: Callable[[str], bool]) -> Format:
    """The form of what may be plain text: in columns if it has those of the training file.

    The log says that it is read in columns. If the form is in doubt, the log warns, with the option that decides.
    """
    if like is None:
        return "text"
    rows = [line for line in text.split("\n") if line.strip() and not line.startswith(("#", "-DOCSTART-"))]
    if like.conllu:
        return "conllu" if {line.count("\t") + 1 for line in rows} == {_CONLLU_COLUMNS} else "text"
    counts, divided = column_counts(text, reading.separator or like.separator)
    if counts == {like.count} and divided:
        _log.info("%s: read in columns, a word a line, as the training file", source)
        return "columns"
    fields = [line.split(reading.separator or like.separator or ("\t" if "\t" in line else None)) for line in rows]
    if counts == {like.count} and not all(map(is_tag, (row[like.tag] for row in fields))):
        # Such as sentences of two words, the second of which is not a tag.
        if len(rows) > 1:
            message = "%s: read as plain text, a sentence a line; if a line is a word, say so: --format columns"
            _log.warning(message, source)
        return "text"
    if counts == {like.count} or (divided and like.tag == like.count - 1 and counts == {like.tag}):
        _log.warning(
            "%s: read in columns, a word a line, as the training file; if a line is a sentence, say so: --format text",
            source,
        )
        return "columns"
    if like.count in counts or counts == {like.tag}:
        _log.warning(
            "%s: read as plain text, a sentence a line, as its lines do not all have the %d columns of the training "
            "file; if a line is a word, say so: --format columns",
            source,
            like.count,
        )
    return "text"


def _as_sentence(position: int, value: Any, labelled: bool) -> Sentence:
    where = f"the data, sentence {position}"
    if isinstance(value, Sentence):
        if len(value.words) != len(value.words if value.tags is None else value.tags) or not value.words:
            raise DataError(f"{where}: expected words and as many tags, got {value!r}.")
        return value
    parts: Sequence[Any] = tuple(value.split() if isinstance(value, str) else value)
    if not labelled and parts and all(isinstance(part, str) and part for part in parts):
        return Sentence(tuple(parts))
    for part in parts:
        if isinstance(part, str) or len(part) != 2 or not isinstance(part[0], str) or not part[0]:
            raise DataError(f"{where}: expected pairs of word and tag, got {part!r}.")
        if not isinstance(part[1], str | None):
            raise DataError(f"{where}: expected pairs of word and tag, got {part!r}.")
    if not parts:
        raise DataError(f"{where}: expected one or more words, got {value!r}.")
    words, tags = zip(*parts, strict=True)
    return Sentence(words, tags)
