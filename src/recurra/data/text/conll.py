"""Tagged sentences in CoNLL columns or CoNLL-U: read, and written back with other tags, all else as it was."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from recurra.data.files.text_file import read_text
from recurra.errors import DataError, ParameterError

__all__ = ["CONLLU_COLUMNS", "ConllColumns", "ConllText", "Sentence", "is_conllu", "read_conll"]

CONLLU_COLUMNS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")

_FIELD = re.compile(r"[^ \t]+")
_WHOLE_WORD = re.compile(r"\d+")
_NO_WORD = re.compile(r"\d+-\d+|\d+\.\d+")
_CONFIDENCE = "TagConfidence"


@dataclass(frozen=True)
class Sentence:
    """Words, and what is known of them.

    Attributes:
        words: at least one.
        tags: one a word, None for a word without annotation; None where there is no tag column.
        document: the number of its document, from 0.
        lines: of its words in the file, from 1; empty where it is of no file.
    """

    words: tuple[str, ...]
    tags: tuple[str | None, ...] | None = None
    document: int = 0
    lines: tuple[int, ...] = ()


@dataclass(frozen=True)
class ConllColumns:
    """The column map of a file.

    A column is given by its name, or by its number: "1" is the first, "-1" the last.

    Args:
        names: of the columns in their order; those of CoNLL-U are known.
        word: "form" in CoNLL-U and the first column elsewhere, where None.
        tag: "upos" in CoNLL-U and the last column elsewhere, where None.

    Raises:
        ParameterError: for a name that is there twice.
    """

    names: tuple[str, ...] = ()
    word: str | None = None
    tag: str | None = None

    def __post_init__(self) -> None:
        names = tuple(self.names)
        if len(set(names)) < len(names):
            raise ParameterError("columns", "names, each once", ",".join(names))
        object.__setattr__(self, "names", names)

    def position(self, column: str, count: int, source: object) -> int:
        """The position, from 0, of a column among `count`.

        Raises:
            DataError: where it is not there; the message names the file.
        """
        names = self.names
        if column in names and names.index(column) < count:
            return names.index(column)
        if re.fullmatch(r"-?[1-9]\d*", column):
            number = int(column)
            if abs(number) <= count:
                return number - 1 if number > 0 else count + number
        known = f" ({', '.join(names)})" if names else ""
        raise DataError(
            f"{source}: no column {column!r} among {count}{known}. Give a name (--columns names them), "
            "a number from 1, or -1 for the last."
        )


@dataclass(frozen=True)
class ConllText:
    """A file of sentences, with every line as it is.

    Attributes:
        source: the path.
        conllu: whether it is CoNLL-U.
        lines: of the file.
        sentences: in their order.
        count: columns of each line.
        word: position of the words' column, from 0.
        tag: position of the tags' column, from 0; `count` where the file has none and tags are appended.
    """

    source: str
    conllu: bool
    lines: tuple[str, ...]
    sentences: tuple[Sentence, ...]
    count: int
    word: int
    tag: int

    def with_tags(self, tags: Sequence[Sequence[str]], confidence: Sequence[Sequence[float]] | None = None) -> str:
        """The text with these tags in place of its own: comments, other columns and blank lines as they were.

        Args:
            tags: one a word of each sentence.
            confidence: of each tag, 0 to 1; in CoNLL-U written as `TagConfidence` into MISC, else as one more column.
        """
        put = self._in_conllu if self.conllu else self._in_columns
        lines = [line if self.conllu else self._widened(line, confidence is not None) for line in self.lines]
        for k, (sentence, found) in enumerate(zip(self.sentences, tags, strict=True)):
            given = [None] * len(found) if confidence is None else confidence[k]
            for number, tag, certainty in zip(sentence.lines, found, given, strict=True):
                lines[number - 1] = put(self.lines[number - 1], tag, certainty)
        return "\n".join(lines) + "\n"

    def _in_conllu(self, line: str, tag: str, confidence: float | None) -> str:
        fields = line.split("\t")
        fields[self.tag] = tag
        if confidence is not None:
            kept = [part for part in fields[-1].split("|") if part != "_" and not part.startswith(f"{_CONFIDENCE}=")]
            fields[-1] = "|".join([*kept, f"{_CONFIDENCE}={confidence:.4f}"])
        return "\t".join(fields)

    def _in_columns(self, line: str, tag: str, confidence: float | None) -> str:
        separator = _separator(line)
        if self.tag == self.count:
            line = f"{line.rstrip()}{separator}{tag}"
        else:
            start, end = _spans(line)[self.tag]
            line = line[:start] + tag + line[end:]
        return line if confidence is None else f"{line.rstrip()}{separator}{confidence:.4f}"

    def _widened(self, line: str, confidence: bool) -> str:
        """A line that marks a document, with as many columns as the others will have."""
        if not line.startswith("-DOCSTART-"):
            return line
        fields = ["O"] * (self.tag == self.count) + ["1"] * confidence
        return "".join([line, *(_separator(line) + field for field in fields)])


def is_conllu(path: str | Path) -> bool:
    """Whether a file is CoNLL-U by its name (`.conllu`, `.conllu.gz`)."""
    return str(path).lower().removesuffix(".gz").endswith(".conllu")


def read_conll(
    path: str | Path,
    columns: ConllColumns | None = None,
    kind: Literal["auto", "conllu", "columns"] = "auto",
    needs_tags: bool = True,
) -> ConllText:
    """Read sentences: a word a line, blank lines between sentences; plain or gzip.

    In CoNLL-U the lines of multi-word tokens (1-2) and empty nodes (1.1) are no words of the sentence, comments are
    kept, `# newdoc` begins a document, and a UPOS of `_` is no annotation. In other files columns are separated by
    tabs or spaces, and `-DOCSTART-` or `#begin document` begins a document.

    Args:
        path: of the file.
        columns: which columns hold what.
        kind: "conllu", "columns", or "auto" for CoNLL-U by the file's name.
        needs_tags: whether the tag column must be there. Else it may be missing at the end of each line, and where
            `columns` does not say which it is, it is taken to be.

    Raises:
        DataError: where the file cannot be read, a line does not fit, a column is not there, or no word is; the message
            names file and line.
    """
    lines = read_text(path).removesuffix("\n").split("\n")
    conllu = is_conllu(path) if kind == "auto" else kind == "conllu"
    columns = columns or ConllColumns()
    if conllu and not columns.names:
        columns = ConllColumns(CONLLU_COLUMNS, columns.word, columns.tag)
    groups, count = _grouped(path, lines, conllu)
    word = columns.position(columns.word or ("form" if conllu else "1"), count, path)
    tag = _tag_position(path, columns, count, conllu, needs_tags)
    if tag == word:
        raise DataError(f"{path}: words and tags are both in column {word + 1}. Name the tags' column (--tag-column).")
    unannotated = conllu and tag == CONLLU_COLUMNS.index("upos")
    sentences = []
    for document, members in groups:
        fields = [_fields(lines[number - 1], conllu) for number in members]
        for number, row in zip(members, fields, strict=True):
            if not row[word]:
                raise DataError(f"{path}, line {number}: the word is empty.")
        tags = None
        if tag < count:
            tags = tuple(None if unannotated and row[tag] == "_" else row[tag] for row in fields)
        sentences.append(Sentence(tuple(row[word] for row in fields), tags, document, tuple(members)))
    return ConllText(str(path), conllu, tuple(lines), tuple(sentences), count, word, tag)


def _grouped(path: object, lines: Sequence[str], conllu: bool) -> tuple[list[tuple[int, list[int]]], int]:
    """The document and the lines of the words of each sentence, and the number of columns."""
    groups: list[tuple[int, list[int]]] = []
    current: list[int] = []
    document, count = 0, 10 if conllu else 0
    for number, line in enumerate([*lines, ""], start=1):
        boundary = _begins_document(line, conllu)
        if not line.strip() or boundary:
            if current:
                groups.append((document, current))
                current = []
            # What begins the first document stands before any sentence.
            document += boundary and bool(groups)
            continue
        if _is_comment(line, conllu, bool(current)):
            continue
        fields = _fields(line, conllu)
        if not count:
            count = len(fields)
        if len(fields) != count:
            what = "tab-separated columns of CoNLL-U" if conllu else "columns as in the lines before"
            raise DataError(f"{path}, line {number}: expected {count} {what}, got {len(fields)}.")
        if conllu and not _WHOLE_WORD.fullmatch(fields[0]):
            if _NO_WORD.fullmatch(fields[0]):
                continue
            raise DataError(f"{path}, line {number}: expected an ID such as 1, 1-2 or 1.1, got {fields[0]!r}.")
        current.append(number)
    if not groups:
        raise DataError(f"{path}: no words are in it.")
    return groups, count


def _tag_position(path: object, columns: ConllColumns, count: int, conllu: bool, needed: bool) -> int:
    if needed or conllu:
        return columns.position(columns.tag or ("upos" if conllu else "-1"), count, path)
    if columns.tag is None:
        return count
    numbered = [str(count + 1)] + ([columns.names[count]] if len(columns.names) == count + 1 else [])
    return count if columns.tag in numbered else columns.position(columns.tag, count, path)


def _begins_document(line: str, conllu: bool) -> bool:
    if conllu:
        return line.startswith("# newdoc")
    return line.startswith(("-DOCSTART-", "#begin document"))


def _is_comment(line: str, conllu: bool, within: bool) -> bool:
    if conllu:
        return line.startswith("#") and not within
    return line.startswith("#end document")


def _fields(line: str, conllu: bool) -> list[str]:
    if conllu:
        return line.split("\t")
    return [line[start:end] for start, end in _spans(line)]


def _spans(line: str) -> list[tuple[int, int]]:
    """Where the columns of a line are; a tab, where there is one, is what separates them."""
    if "\t" not in line:
        return [match.span() for match in _FIELD.finditer(line)]
    found, start = [], 0
    for field in line.rstrip("\t").split("\t"):
        found.append((start, start + len(field)))
        start += len(field) + 1
    return found


def _separator(line: str) -> str:
    return "\t" if "\t" in line else " "
