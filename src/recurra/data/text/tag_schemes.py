"""Entities as tags of words: the schemes IOB1, IOB2 and IOBES, recognised, read and converted.

IOB1 (Ramshaw and Marcus 1995): `I-X` within an entity, `B-X` only where one of the same type follows another at once.
IOB2: every entity begins with `B-X`. IOBES: its last word is `E-X`, and an entity of one word is `S-X`.
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
    """An entity: words start to end, the end not included, from 0.

    Attributes:
        type: such as "PER"; empty for tags without one.
        start: its first word.
        end: the word after its last.
    """

    type: str
    start: int
    end: int


def split_tag(tag: str) -> tuple[str, str] | None:
    """The prefix, one of B, I, E, S and O, and the type of a tag; None where it is no tag of an entity."""
    prefix, dash, kind = tag.partition("-")
    if prefix == "O" and not dash:
        return "O", ""
    if len(prefix) == 1 and prefix in "BIES" and (kind or not dash):
        return prefix, kind
    return None


def spans_of(tags: Sequence[str]) -> list[Span]:
    """The entities of a sentence, of any scheme, as the reference scorer conlleval reads them.

    An entity begins at B and S, after O, E and S, and where the type changes, so that tags which break their scheme
    are entities still. Tags of no entity count as O.
    """
    spans: list[Span] = []
    start = 0
    before, kind_before = "O", ""
    for place, tag in enumerate([*tags, "O"]):
        prefix, kind = split_tag(tag) or ("O", "")
        goes_on = before in "BI" and prefix in "IE" and kind == kind_before
        if before != "O" and not goes_on:
            spans.append(Span(kind_before, start, place))
        if prefix != "O" and not goes_on:
            start = place
        before, kind_before = prefix, kind
    return spans


def tags_of(spans: Iterable[Span], length: int, scheme: str) -> list[str]:
    """Tags of a sentence of this length, in a scheme; spans in order, without overlap.

    Raises:
        ParameterError: for an unknown scheme.
    """
    _check(scheme)
    tags = ["O"] * length
    before: Span | None = None
    for span in spans:
        suffix = f"-{span.type}" if span.type else ""
        for place in range(span.start, span.end):
            tags[place] = f"I{suffix}"
        adjoins = before is not None and before.end == span.start and before.type == span.type
        if scheme != "iob1" or adjoins:
            tags[span.start] = f"B{suffix}"
        if scheme == "iobes":
            tags[span.end - 1] = f"E{suffix}" if span.end - span.start > 1 else f"S{suffix}"
        before = span
    return tags


def recognise_scheme(sentences: Iterable[Sequence[str]]) -> str | None:
    """The scheme of tags; None where they are no tags of entities.

    IOBES where there is an E or S, IOB1 where an entity begins with I, else IOB2. Nothing but O has no scheme.
    """
    prefixes: set[str] = set()
    begins_inside = False
    for tags in sentences:
        before, kind_before = "O", ""
        for tag in tags:
            found = split_tag(tag)
            if found is None:
                return None
            prefix, kind = found
            prefixes.add(prefix)
            begins_inside |= prefix == "I" and (before == "O" or kind != kind_before)
            before, kind_before = found
    if not prefixes - {"O"}:
        return None
    if prefixes & {"E", "S"}:
        return "iobes"
    return "iob1" if begins_inside else "iob2"


def entity_types(sentences: Iterable[Sequence[str]]) -> list[str]:
    """The types of the entities in tags, sorted."""
    found = (split_tag(tag) for tags in sentences for tag in tags)
    return sorted({kind for prefix, kind in filter(None, found) if prefix != "O"})


def scheme_tags(types: Sequence[str], scheme: str) -> list[str]:
    """All tags of a scheme over these types, O first.

    Raises:
        ParameterError: for an unknown scheme.
    """
    _check(scheme)
    return ["O", *(f"{p}-{kind}" if kind else p for kind in types for p in _PREFIXES[scheme])]


def allowed_transitions(tags: Sequence[str], scheme: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a scheme allows.

    Args:
        tags: K, all of the scheme.
        scheme: one of `SCHEMES`.

    Returns:
        Whether a tag may follow another, bool (K, K), from row to column; whether it may begin a sentence, (K,); and
        whether it may end one, (K,).

    Raises:
        ParameterError: for an unknown scheme, or a tag that is none of it.
    """
    _check(scheme)
    parts = []
    for tag in tags:
        found = split_tag(tag)
        if found is None or found[0] not in f"O{_PREFIXES[scheme]}":
            raise ParameterError("tags", f"tags of the scheme {scheme}", tag)
        parts.append(found)
    outside = ("O", "")
    pairs = np.array([[_may_follow(one, other, scheme) for other in parts] for one in parts], dtype=bool)
    starts = np.array([_may_follow(outside, part, scheme) for part in parts], dtype=bool)
    ends = np.array([_may_follow(part, outside, scheme) for part in parts], dtype=bool)
    return pairs, starts, ends


def _may_follow(one: tuple[str, str], other: tuple[str, str], scheme: str) -> bool:
    """Whether `other` may come after `one`, each a prefix and a type."""
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
