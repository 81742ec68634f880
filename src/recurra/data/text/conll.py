"""Reading tagged sentences in CoNLL columns or CoNLL-U, and writing them with other tags and no other change."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from recurra.data.files.text_file import TextForm, read_text_and_form
from recurra.errors import DataError, ParameterError

__all__ = [
    "CONLLU_COLUMNS",
    "ConllColumns",
    "ConllText",
    "Sentence",
    "column_counts",
    "is_conllu",
    "parse_conll",
    "read_conll",
]

CONLLU_COLUMNS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")

_FIELD = re.compile(r"[^ \t]+")
_WHOLE_WORD = re.compile(r"\d+")
_NO_WORD = re.compile(r"\d+-\d+|\d+\.\d+")
_CONFIDENCE = "TagConfidence"


@dataclass(frozen=True)
class Sentence:
    """The words of a sentence, with their tags and their lines in a file.

    Attributes:
        words: one or more words.
        tags: the tag of each word. A word without annotation has None. None: there is no tag column.
        document: the index of the sentence's document, from 0.
        lines: the line of each word in the file, from 1. Empty: the sentence is not from a file.
    """

    words: tuple[str, ...]
    tags: tuple[str | None, ...] | None = None
    document: int = 0
    lines: tuple[int, ...] = ()


@dataclass(frozen=True)
class ConllColumns:
    """The columns of a file.

    A column is selected by its name, or by its number: "1" is the first, "-1" the last.

    Args:
        names: the column names, in order. The names of CoNLL-U are built in.
        word: the column of the words. None: "form" in CoNLL-U, the first column in other files.
        tag: the column of the tags. None: "upos" in CoNLL-U, the last column in other files.
        separator: the text between columns in other files than CoNLL-U. None: tabs in a line that has one, else spaces.

    Raises:
        ParameterError: a name occurs twice, or the separator is empty.
    """

    names: tuple[str, ...] = ()
    word: str | None = None
    tag: str | None = None
    separator: str | None = None

    def __post_init__(self) -> None:
        if self.separator == "":
            raise ParameterError("separator", "at least one character, or None for tabs or spaces", "")
        names = tuple(self.names)
        if len(set(names)) < len(names):
            raise ParameterError("columns", "names, each once", ",".join(names))
        object.__setattr__(self, "names", names)

    def position(self, column: str, count: int, source: object) -> int:
        """The index (from 0) of a column among `count` columns.

        Raises:
            DataError: there is no such column. The message names the file.
        """
        names = self.names
        if column in names and names.index(column) < count:
            return names.index(column)
        if re.fullmatch(r"-?[1-9]\d*", column):
            position = int(column)
            if abs(position) <= count:
                return position - 1 if position > 0 else count + position
        known = f" ({', '.join(names)})" if names else ""
        raise DataError(
            f"{source}: no column {column!r} among {count}{known}. Give a name (--columns names them), "
            "a number from 1, or -1 for the last."
        )


@dataclass(frozen=True)
class ConllText:
    """A file of sentences, with all its lines.

    Attributes:
        source: the path of the file.
        conllu: whether the file is CoNLL-U.
        lines: the lines of the file.
        sentences: the sentences, in order.
        count: the number of columns.
        word: the index of the words' column, from 0.
        tag: the index of the tags' column, from 0. It is `count` if the file has no tags; they are then appended.
        separator: the text between columns; None: tabs or spaces.
        form: of the file, in which it is written too.
    """

    source: str
    conllu: bool
    lines: tuple[str, ...]
    sentences: tuple[Sentence, ...]
    count: int
    word: int
    tag: int
    separator: str | None = None
    form: TextForm = field(default_factory=TextForm)

    def with_tags(self, tags: Sequence[Sequence[str]], confidence: Sequence[Sequence[float]] | None = None) -> str:
        """The text with its tags replaced. Comments, other columns and blank lines do not change.

        Args:
            tags: the tag of each word, for each sentence.
            confidence: the confidence of each tag, 0 to 1. CoNLL-U stores it as `TagConfidence` in MISC, other files in
                one more column. None: it is not written.
        """
        put = self._in_conllu if self.conllu else self._in_columns
        lines = [line if self.conllu else self._widened(line, confidence is not None) for line in self.lines]
        for k, (sentence, predicted) in enumerate(zip(self.sentences, tags, strict=True)):
            values = [None] * len(predicted) if confidence is None else confidence[k]
            for line_number, tag, value in zip(sentence.lines, predicted, values, strict=True):
                lines[line_number - 1] = put(self.lines[line_number - 1], tag, value)
        return self.form.applied("\n".join(lines) + "\n")

    def _in_conllu(self, line: str, tag: str, confidence: float | None) -> str:
        fields = line.split("\t")
        fields[self.tag] = tag
        if confidence is not None:
            others = [part for part in fields[-1].split("|") if part != "_" and not part.startswith(f"{_CONFIDENCE}=")]
            fields[-1] = "|".join([*others, f"{_CONFIDENCE}={confidence:.4f}"])
        return "\t".join(fields)

    def _in_columns(self, line: str, tag: str, confidence: float | None) -> str:
        separator = self.separator or _separator(line)
        if self.tag == self.count:
            line = f"{line.rstrip()}{separator}{tag}"
        else:
            start, end = _spans(line, self.separator)[self.tag]
            line = line[:start] + tag + line[end:]
        return line if confidence is None else f"{line.rstrip()}{separator}{confidence:.4f}"

    def _widened(self, line: str, confidence: bool) -> str:
        """A line that marks a document, widened to the number of columns of the other lines."""
        if not line.startswith("-DOCSTART-"):
            return line
        fields = ["O"] * (self.tag == self.count) + ["1"] * confidence
        return "".join([line, *((self.separator or _separator(line)) + field for field in fields)])


def column_counts(text: str, separator: str | None = None) -> tuple[set[int], bool]:
    """The numbers of columns that lines have, if they are read as columns, and whether blank lines divide them.

    Args:
        text: that may be in columns.
        separator: see `ConllColumns`.
    """
    lines = [line for line in text.strip("\n").split("\n") if not _begins_document(line, False)]
    counts = {len(_spans(line, separator)) for line in lines if line.strip()}
    return counts, any(not line.strip() for line in lines)


def is_conllu(path: str | Path) -> bool:
    """Whether the name of a file ends in `.conllu` or `.conllu.gz`."""
    return str(path).lower().removesuffix(".gz").endswith(".conllu")


def read_conll(
    path: str | Path,
    columns: ConllColumns | None = None,
    kind: Literal["auto", "conllu", "columns"] = "auto",
    needs_tags: bool = True,
) -> ConllText:
    """Read sentences with one word per line and blank lines between sentences, plain or gzipped.

    In CoNLL-U the lines of multi-word tokens (1-2) and of empty nodes (1.1) are not words of the sentence, `# newdoc`
    begins a document, and the UPOS `_` means that the word has no annotation. In other files tabs or spaces separate
    columns, and `-DOCSTART-` or `#begin document` begins a document.

    Args:
        path: the file.
        columns: the columns of words and tags. None: `ConllColumns()`.
        kind: "conllu", "columns", or "auto", which chooses by the file name.
        needs_tags: whether there must be a tag column. If false, a file in columns may lack it, and if `columns` does
            not name it, all columns are read as other data.

    Raises:
        DataError: the file cannot be read or holds no words, a line does not fit, or a column is missing. The message
            names file and line.
    """
    content, form = read_text_and_form(path)
    conllu = is_conllu(path) if kind == "auto" else kind == "conllu"
    return parse_conll(content, form, str(path), columns or ConllColumns(), conllu, needs_tags)


def parse_conll(
    content: str, form: TextForm, source: str, columns: ConllColumns, conllu: bool, needs_tags: bool
) -> ConllText:
    """Sentences from the content of a file; see `read_conll`.

    Args:
        content: the text of the file, with newlines at the ends of lines.
        form: of the file.
        source: the name of the file in messages.
        columns: the columns of words and tags.
        conllu: whether it is CoNLL-U.
        needs_tags: as in `read_conll`.

    Raises:
        DataError: as in `read_conll`.
    """
    lines = content.removesuffix("\n").split("\n")
    if conllu and not columns.names:
        columns = ConllColumns(CONLLU_COLUMNS, columns.word, columns.tag)
    separator = None if conllu else columns.separator
    groups, count = _grouped(source, lines, conllu, separator)
    word = columns.position(columns.word or ("form" if conllu else "1"), count, source)
    tag = _tag_position(source, columns, count, conllu, needs_tags)
    if tag == word:
        hint = ", or what separates columns if neither tabs nor spaces do (--separator)" * (count == 1)
        raise DataError(
            f"{source}: words and tags are both in column {word + 1}. Name the tags' column (--tag-column){hint}."
        )
    unannotated = conllu and tag == CONLLU_COLUMNS.index("upos")
    sentences = []
    for document, line_numbers in groups:
        fields = [_fields(lines[line_number - 1], conllu, separator) for line_number in line_numbers]
        for line_number, row in zip(line_numbers, fields, strict=True):
            if not row[word]:
                raise DataError(f"{source}, line {line_number}: the word is empty.")
        tags = None
        if tag < count:
            tags = tuple(None if unannotated and row[tag] == "_" else row[tag] for row in fields)
        sentences.append(Sentence(tuple(row[word] for row in fields), tags, document, tuple(line_numbers)))
    return ConllText(source, conllu, tuple(lines), tuple(sentences), count, word, tag, separator, form)


def _grouped(
    source: str, lines: Sequence[str], conllu: bool, separator: str | None
) -> tuple[list[tuple[int, list[int]]], int]:
    """The document and the word lines of each sentence, and the number of columns."""
    groups: list[tuple[int, list[int]]] = []
    current: list[int] = []
    document, count = 0, 10 if conllu else 0
    for line_number, line in enumerate([*lines, ""], start=1):
        boundary = _begins_document(line, conllu)
        if not line.strip() or boundary:
            if current:
                groups.append((document, current))
                current = []
            # The mark before the first sentence begins document 0.
            document += boundary and bool(groups)
            continue
        if _is_comment(line, conllu, bool(current)):
            continue
        fields = _fields(line, conllu, separator)
        if not count:
            count = len(fields)
        if len(fields) != count:
            what = "tab-separated columns of CoNLL-U" if conllu else "columns as in the lines before"
            raise DataError(f"{source}, line {line_number}: expected {count} {what}, got {len(fields)}.")
        if conllu and not _WHOLE_WORD.fullmatch(fields[0]):
            if _NO_WORD.fullmatch(fields[0]):
                continue
            raise DataError(f"{source}, line {line_number}: expected an ID such as 1, 1-2 or 1.1, got {fields[0]!r}.")
        current.append(line_number)
    if not groups:
        raise DataError(f"{source}: the file holds no words.")
    return groups, count


def _tag_position(source: str, columns: ConllColumns, count: int, conllu: bool, needed: bool) -> int:
    if needed or conllu:
        return columns.position(columns.tag or ("upos" if conllu else "-1"), count, source)
    if columns.tag is None:
        return count
    numbered = [str(count + 1)] + ([columns.names[count]] if len(columns.names) == count + 1 else [])
    return count if columns.tag in numbered else columns.position(columns.tag, count, source)


def _begins_document(line: str, conllu: bool) -> bool:
    if conllu:
        return line.startswith("# newdoc")
    return line.startswith(("-DOCSTART-", "#begin document"))


def _is_comment(line: str, conllu: bool, within: bool) -> bool:
    if conllu:
        return line.startswith("#") and not within
    return line.startswith("#end document")


def _fields(line: str, conllu: bool, separator: str | None = None) -> list[str]:
    if conllu:
        return line.split("\t")
    return [line[start:end] for start, end in _spans(line, separator)]


def _spans(line: str, separator: str | None) -> list[tuple[int, int]]:
    """The spans of the columns of a line. Without a separator, tabs are if the line has tabs, else spaces."""
    if separator is None and "\t" not in line:
        return [match.span() for match in _FIELD.finditer(line)]
    parts = line.rstrip("\t").split("\t") if separator is None else line.split(separator)
    spans, start = [], 0
    for part in parts:
        spans.append((start, start + len(part)))
        start += len(part) + len(separator or "\t")
    return spans


def _separator(line: str) -> str:
    return "\t" if "\t" in line else " "
