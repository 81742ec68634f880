"""Labels of items: one each, or with several labels any number."""

from collections.abc import Callable, Sequence

from recurra.errors import DataError, ParameterError

__all__ = ["Labels", "check_separator", "item_labels"]

Labels = tuple[str, ...]


def check_separator(separator: str | None) -> None:
    """Refuse an empty separator of labels. Raises ParameterError."""
    if separator == "":
        raise ParameterError("label_separator", "at least one character, or None for one label an item", separator)


def item_labels(
    fields: Sequence[str | Labels | None], separator: str | None, needed: bool, place: Callable[[int], str]
) -> tuple[Labels, ...] | None:
    """The labels of each item, without the spaces around them, each once.

    Args:
        fields: what the file says of each: a field's text, labels already apart, or None where it says nothing.
        separator: what stands between labels in a field, so that a blank one is an item without labels; None for
            fields of one label, of which none may be blank.
        needed: whether an item without its field is an error; else there are then no labels at all.
        place: how messages call item k, with the file's name.

    Returns:
        labels, or None where they are not needed and one is not there.

    Raises:
        DataError: a label that is missing or blank.
    """
    found: list[Labels] = []
    for k, field in enumerate(fields):
        parts = _parts(field, separator)
        if parts is None:
            if not needed:
                return None
            raise DataError(f"{place(k)}: the label is missing. Fill it in, or remove the item.")
        if not all(parts):
            raise DataError(f"{place(k)}: one of {len(parts)} labels is blank. Remove it.")
        found.append(tuple(dict.fromkeys(parts)))
    return tuple(found)


def _parts(field: str | Labels | None, separator: str | None) -> list[str] | None:
    """The labels of a field, None where it is missing."""
    if isinstance(field, str):
        if not field.strip():
            return None if separator is None else []
        field = (field,) if separator is None else tuple(field.split(separator))
    return None if field is None else [part.strip() for part in field]
