"""The words of docstrings, comments and messages: what the glossary bans stays out."""

import re
import tokenize
from pathlib import Path

import pytest

import recurra

# By phrase, what to write instead.
BANNED = {
    r"\bwhere None\b": '"None: ..." or "if None, ..."',
    r"\b[Aa]s of `": "see `...`",
    r"\bgo(es)? on with\b": "continue, resume",
    r"\bmake known\b": "register",
}
# Packages whose words have been gone through; others follow.
CLEAN = (
    "data",
    "inspection",
    "models",
    "training",
    "task",
    "tasks/forecast",
    "tasks/translate",
    "options.py",
    "progress.py",
    "errors.py",
)


def words(path: Path) -> list[tuple[int, str]]:
    """The strings and comments of a module, by the line on which they begin."""
    with path.open("rb") as file:
        found = list(tokenize.tokenize(file.readline))
    return [(one.start[0], one.string) for one in found if one.type in (tokenize.STRING, tokenize.COMMENT)]


def faults(text: str) -> list[str]:
    return [
        f"{match[0]!r}: write {instead}" for phrase, instead in BANNED.items() if (match := re.search(phrase, text))
    ]


@pytest.mark.parametrize("package", CLEAN)
def test_banned_phrases_stay_out(package: str) -> None:
    root = Path(recurra.__file__).parent / package
    paths = sorted(root.rglob("*.py")) if root.is_dir() else [root]
    found = [f"{path}:{line}: {fault}" for path in paths for line, text in words(path) for fault in faults(text)]
    assert not found, "\n".join(found)


def test_a_banned_phrase_is_named() -> None:
    assert faults("lengths; all where None") == ['\'where None\': write "None: ..." or "if None, ..."']
    assert not faults("None: all lengths")
