"""Plain text for tagging: one sentence per line, with spaces between words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from recurra.data.files.text_file import TextForm, read_text_and_form
from recurra.data.text.conll import Sentence

__all__ = ["TokenLines", "parse_token_lines", "read_token_lines"]


@dataclass(frozen=True)
class TokenLines:
    """Sentences, one per line.

    Attributes:
        source: the path of the file, or the name of what the sentences are from.
        lines: the lines of the file, blank lines included.
        sentences: the sentences of the lines that are not blank.
        form: of the file, in which it is written too.
    """

    source: str
    lines: tuple[str, ...]
    sentences: tuple[Sentence, ...]
    form: TextForm = field(default_factory=TextForm)

    def with_tags(self, tags: Sequence[Sequence[str]], confidence: Sequence[Sequence[float]] | None = None) -> str:
        """The text as `word/TAG`, or `word/TAG/0.9876` with confidence. Words may contain slashes; the last separate.

        Args:
            tags: the tag of each word, for each sentence.
            confidence: the confidence of each tag, 0 to 1. None: it is not written.
        """
        lines = [""] * len(self.lines)
        for k, (sentence, predicted) in enumerate(zip(self.sentences, tags, strict=True)):
            parts = [f"{word}/{tag}" for word, tag in zip(sentence.words, predicted, strict=True)]
            if confidence is not None:
                parts = [f"{part}/{value:.4f}" for part, value in zip(parts, confidence[k], strict=True)]
            lines[sentence.lines[0] - 1] = " ".join(parts)
        return self.form.applied("\n".join(lines) + "\n")


def read_token_lines(path: str | Path) -> TokenLines:
    """Read a file of sentences. Raises DataError if the file cannot be read or is empty."""
    return parse_token_lines(*read_text_and_form(path), str(path))


def parse_token_lines(
    text: str, form: TextForm, source: str, split: Callable[[str], Sequence[str]] = str.split
) -> TokenLines:
    """Sentences from the lines of a text.

    Args:
        text: with newlines at the ends of lines.
        form: of the file.
        source: the name of the file in messages.
        split: a function that splits a line into words; by default, they are between spaces.
    """
    lines = tuple(text.removesuffix("\n").split("\n"))
    numbered = ((line_number, tuple(split(line))) for line_number, line in enumerate(lines, start=1))
    sentences = tuple(Sentence(words, lines=(line_number,) * len(words)) for line_number, words in numbered if words)
    return TokenLines(source, lines, sentences, form)
