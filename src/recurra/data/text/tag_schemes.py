"""Entities as tags of words: detecting, decoding and encoding the schemes IOB1, IOB2 and IOBES.

IOB1 (Ramshaw and Marcus 1995): the words of an entity are `I-X`. An entity begins with `B-X` only if it directly
follows another of the same type. IOB2: every entity begins with `B-X`. IOBES: as IOB2, but the last word of an entity
is `E-X`, and an entity of one word is `S-X`.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from recurra.errors import ParameterError

__all__ = [
    "SCHEMES",
    "Span",
    "allowed_transitions",
    "entity_types",
    "recognise_scheme",
    "scheme_tags",
    "spans_of",
    "split_tag",
    "tags_of",
]

SCHEMES = ("iob1", "iob2", "iobes")

_PREFIXES = {"iob1": "IB", "iob2": "BI", "iobes": "BIES"}


class Span(NamedTuple):
    """An entity: the words from `start` up to, but not including, `end`.

    Attributes:
        type: the entity type, such as "PER". Empty: its tags have no type.
        start: the index of its first word, from 0.
        end: the index after its last word.
    """

    type: str
    start: int
    end: int


def split_tag(tag: str) -> tuple[str, str] | None:
    """The prefix of a tag (one of B, I, E, S and O) and its type. None: the tag is not an entity tag."""
    prefix, dash, kind = tag.partition("-")
    if prefix == "O" and not dash:
        return "O", ""
    if len(prefix) == 1 and prefix in "BIES" and (kind or not dash):
        return prefix, kind
    return None


def spans_of(tags: Sequence[str]) -> list[Span]:
    """The entities of a sentence in any scheme, as the reference scorer conlleval decodes them.

    An entity begins at B and S, after O, E and S, and at each change of type. Tags that violate their scheme therefore
    form entities too. Tags that are not entity tags count as O.
    """
    spans: list[Span] = []
    start = 0
    before, kind_before = "O", ""
    for position, tag in enumerate([*tags, "O"]):
        prefix, kind = split_tag(tag) or ("O", "")
        continues = before in "BI" and prefix in "IE" and kind == kind_before
        if before != "O" and not continues:
            spans.append(Span(kind_before, start, position))
        if prefix != "O" and not continues:
            start = position
        before, kind_before = prefix, kind
    return spans


def tags_of(spans: Iterable[Span], length: int, scheme: str) -> list[str]:
    """The tags of a sentence with these entities.

    Args:
        spans: the entities, in order and without overlap.
        length: the number of words in the sentence.
        scheme: one of `SCHEMES`.

    Raises:
        ParameterError: the scheme is unknown.
    """
    _check(scheme)
    tags = ["O"] * length
    before: Span | None = None
    for span in spans:
        suffix = f"-{span.type}" if span.type else ""
        for position in range(span.start, span.end):
            tags[position] = f"I{suffix}"
        adjoins = before is not None and before.end == span.start and before.type == span.type
        if scheme != "iob1" or adjoins:
            tags[span.start] = f"B{suffix}"
        if scheme == "iobes":
            tags[span.end - 1] = f"E{suffix}" if span.end - span.start > 1 else f"S{suffix}"
        before = span
    return tags


def recognise_scheme(sentences: Iterable[Sequence[str]]) -> str | None:
    """Detect the scheme of tags. The result is None if some tag is not an entity tag, or if all tags are O.

    Tags with an E or S are IOBES. Otherwise, if an entity begins with I, they are IOB1, else IOB2.
    """
    prefixes: set[str] = set()
    begins_inside = False
    for tags in sentences:
        before, kind_before = "O", ""
        for tag in tags:
            parts = split_tag(tag)
            if parts is None:
                return None
            prefix, kind = parts
            prefixes.add(prefix)
            begins_inside |= prefix == "I" and (before == "O" or kind != kind_before)
            before, kind_before = parts
    if not prefixes - {"O"}:
        return None
    if prefixes & {"E", "S"}:
        return "iobes"
    return "iob1" if begins_inside else "iob2"


def entity_types(sentences: Iterable[Sequence[str]]) -> list[str]:
    """The entity types of tags, sorted."""
    split_tags = (split_tag(tag) for tags in sentences for tag in tags)
    return sorted({kind for prefix, kind in filter(None, split_tags) if prefix != "O"})


def scheme_tags(types: Sequence[str], scheme: str) -> list[str]:
    """All tags of a scheme for these entity types. O comes first.

    Raises:
        ParameterError: the scheme is unknown.
    """
    _check(scheme)
    return ["O", *(f"{p}-{kind}" if kind else p for kind in types for p in _PREFIXES[scheme])]


def allowed_transitions(tags: Sequence[str], scheme: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The transitions between tags that a scheme allows.

    Args:
        tags: K tags of the scheme.
        scheme: one of `SCHEMES`.

    Returns:
        Three bool arrays: (K, K), whether the tag of the column may follow the tag of the row; (K,), whether a tag may
        begin a sentence; (K,), whether a tag may end a sentence.

    Raises:
        ParameterError: the scheme is unknown, or a tag does not belong to it.
    """
    _check(scheme)
    parts = []
    for tag in tags:
        split = split_tag(tag)
        if split is None or split[0] not in f"O{_PREFIXES[scheme]}":
            raise ParameterError("tags", f"tags of the scheme {scheme}", tag)
        parts.append(split)
    outside = ("O", "")
    pairs = np.array([[_may_follow(one, other, scheme) for other in parts] for one in parts], dtype=bool)
    starts = np.array([_may_follow(outside, part, scheme) for part in parts], dtype=bool)
    ends = np.array([_may_follow(part, outside, scheme) for part in parts], dtype=bool)
    return pairs, starts, ends


def _may_follow(one: tuple[str, str], other: tuple[str, str], scheme: str) -> bool:
    """Whether `other` may follow `one`. Each is a prefix and a type."""
    (before, kind_before), (prefix, kind) = one, other
    if scheme == "iob1":
        return prefix != "B" or (before != "O" and kind == kind_before)
    opened = before in "BI" and before != "O"
    inside = prefix in ("I", "E")
    if scheme == "iob2":
        return not inside or (opened and kind == kind_before)
    return inside == opened and (not inside or kind == kind_before)


def _check(scheme: str) -> None:
    if scheme not in SCHEMES:
        raise ParameterError("scheme", f"one of {', '.join(SCHEMES)}", scheme)
