"""Labels of items: one label each, or any number (multi-label)."""

from collections.abc import Callable, Sequence
from typing import Literal

from recurra.errors import DataError, ParameterError

__all__ = ["LabelType", "Labels", "check_separator", "item_labels"]

Labels = tuple[str, ...]

# What labels were before they became text. Of a file that declares it, a target is a number to predict, and a class is
# not one, though its name may be a number.
LabelType = Literal["text", "integer", "number", "boolean", "target", "class"]


def check_separator(separator: str | None) -> None:
    """Raise ParameterError if the separator of labels is empty."""
    if separator == "":
        raise ParameterError("label_separator", "at least one character, or None for one label per item", separator)


def item_labels(
    fields: Sequence[str | Labels | None], separator: str | None, needed: bool, location: Callable[[int], str]
) -> tuple[Labels, ...] | None:
    """Split the label fields of items. Spaces around labels and repeated labels are removed.

    Args:
        fields: the label field of each item: text, labels that are already split, or None for a missing field.
        separator: the text between the labels of a field; a blank field is then an item without labels. None: each
            field is one label, and must not be blank.
        needed: whether every item must have its field.
        location: a function that names item k in messages, with the file's name.

    Returns:
        The labels of each item. None if a field is missing and labels are not needed.

    Raises:
        DataError: a label is missing or blank.
    """
    labels: list[Labels] = []
    for k, field in enumerate(fields):
        parts = _parts(field, separator)
        if parts is None:
            if not needed:
                return None
            raise DataError(f"{location(k)}: the label is missing. Fill it in, or remove the item.")
        if not all(parts):
            raise DataError(f"{location(k)}: one of {len(parts)} labels is blank. Remove it.")
        labels.append(tuple(dict.fromkeys(parts)))
    return tuple(labels)


def _parts(field: str | Labels | None, separator: str | None) -> list[str] | None:
    """The labels of a field. None: the field is missing."""
    if isinstance(field, str):
        if not field.strip():
            return None if separator is None else []
        field = (field,) if separator is None else tuple(field.split(separator))
    return None if field is None else [part.strip() for part in field]
