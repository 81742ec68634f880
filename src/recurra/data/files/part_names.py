"""Which part of the data a file or a folder is named after."""

import re

__all__ = ["PARTS", "part_of"]

PARTS = ("train", "validation", "test")
_OTHER_NAMES = {
    "training": "train",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "testing": "test",
}
_WITH_DATA = re.compile(r"(train|valid|test)data")


def part_of(name: str) -> str | None:
    """The part, "train", "validation" or "test", that a name has in it as a word; None: none, or more than one.

    "ptb.valid.txt", "dev" and "traindata" are such names.
    """
    words = [_WITH_DATA.sub(r"\1", word) for word in re.split(r"[^a-z]+", name.lower())]
    parts = {_OTHER_NAMES.get(word, word) for word in words} & set(PARTS)
    return parts.pop() if len(parts) == 1 else None
