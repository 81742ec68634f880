"""The words of docstrings, comments, messages and pages: phrases that the glossary bans stay out."""

import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# By phrase, what to write instead.
BANNED = {
    r"\bwhere None\b": '"None: ..." or "if None, ..."',
    r"[;,:] (empty|null|-?[01]|NaN|infinite) where\b": "... if",
    r"\b[Aa]s of `": "see `...`",
    r"\bgo(es|ing)? on with\b": "continue, resume",
    r"\bgoes on\b": "continues",
    r"\bma[dk]es? known\b": "register",
    r"\b[Ll]ate[ _]gates?\b": "second-stage gates",
    r"\b[Zz]one masks?\b": "zoneout mask",
    r"\b[Oo]bstacles?\b": "reason, precondition",
    r"\b[Mm]embers of (a|the) vmap\b": "elements of vmap's batch dimension",
    r"\b(is|are) drawn (anew|again)\b": "is sampled again, is plotted again",
    r"\bkept for the backward\b": "saved for the backward pass",
    r"\btorch looks on\b": "tracing, under a transform",
    r"\bheld[- ]out data\b": "validation data",
    r"Error: where\b": "...Error: if",
    r"\bwhere there (is|are) (none|no)\b": "if there is none",
    r"\bis no (?!longer|more|less|other|better|worse|larger|smaller|faster|slower|earlier|later|need|such|one\b|way)"
    r"(?<!there is no )(?<!There is no )": "is not a",
    r"\bso that\b[^.;:]*\bso that\b": "two sentences",
    r"\b(padding|unknown)_shares?\b|\b(the|a|this|its) share of\b": "fraction",
    r"\bwhat (was|is) (found|said|kept|given)\b": "result, prediction, saved, argument",
}
SOURCES = sorted(
    [
        *(ROOT / "src" / "recurra").rglob("*.py"),
        *(path for path in (ROOT / "csrc").rglob("*.[hc]pp") if "generated" not in path.name),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    ]
)


def words(path: Path) -> list[tuple[int, str]]:
    """What a file says to its readers, by the line on which it begins: strings, comments or paragraphs."""
    if path.suffix == ".py":
        return _of_python(path)
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        pieces = re.finditer(r"(?:.+\n?)+", text)
    else:
        # Comments of their own lines together, comments at the end of a line, strings.
        pieces = re.finditer(r"(?m:^[ \t]*//.*\n)+|//.*|\"[^\"\n]*\"", text)
    return [(text.count("\n", 0, piece.start()) + 1, _on_one_line(piece[0])) for piece in pieces]


def _of_python(path: Path) -> list[tuple[int, str]]:
    """Strings, and comments, each joined with those on the lines below."""
    pieces: list[tuple[int, str]] = []
    last_comment = -1
    for token in _tokens(path):
        if token.type == tokenize.COMMENT:
            text = _on_one_line(token.string)
            if token.start[0] == last_comment + 1:
                pieces[-1] = pieces[-1][0], f"{pieces[-1][1]} {text}"
            else:
                pieces.append((token.start[0], text))
            last_comment = token.start[0]
        elif tokenize.tok_name[token.type] in ("STRING", "FSTRING_MIDDLE"):  # the latter from Python 3.12 on
            pieces.append((token.start[0], _on_one_line(token.string)))
    return pieces


def _tokens(path: Path) -> list[tokenize.TokenInfo]:
    with path.open("rb") as file:
        return list(tokenize.tokenize(file.readline))


def _on_one_line(text: str) -> str:
    """The text without the marks of comments, so that a phrase over two lines is found."""
    return " ".join(re.sub(r"^[ \t]*(//|#)[ \t]*", "", text, flags=re.MULTILINE).split())


def faults(text: str) -> list[str]:
    return [
        f"{match[0]!r}: write {instead}" for phrase, instead in BANNED.items() if (match := re.search(phrase, text))
    ]


def test_the_sources_are_found() -> None:
    assert {path.suffix for path in SOURCES} == {".py", ".hpp", ".cpp", ".md"}
    assert len(SOURCES) > 200


@pytest.mark.parametrize("folder", sorted({path.relative_to(ROOT).parts[:-1] for path in SOURCES}), ids="/".join)
def test_banned_phrases_stay_out(folder: tuple[str, ...]) -> None:
    paths = [path for path in SOURCES if path.relative_to(ROOT).parts[:-1] == folder]
    all_faults = [f"{path}:{line}: {fault}" for path in paths for line, text in words(path) for fault in faults(text)]
    assert not all_faults, "\n".join(all_faults)


# What no name may have as a part between underscores, and what no name may be; letters of any case.
BANNED_PART = r"(\w*_)?(found|given|kept|drawn|said|places|share|obstacles?)(_\w*)?"
BANNED_NAME = r"_*(late_gates|place|shares)"
# In the engine these are vmap's batch dimension and zoneout masks. Elsewhere ensembles have members, and times zones.
BANNED_IN_ENGINE = r"(\w*_)?members(_\w*)?|_*zones?(_\w+)?"
ENGINE = ("kernels", "layers", "cells", "codegen")
OTHERS = (
    "inspection",
    "models",
    "training",
    "task",
    "data",
    "detection",
    "tasks",
    "program",
    "streaming",
    "export",
    "server",
    "cli",
)


def is_banned(name: str, engine: bool = False) -> bool:
    pattern = f"{BANNED_PART}|{BANNED_NAME}" + (f"|{BANNED_IN_ENGINE}" if engine else "")
    return re.fullmatch(pattern, name, re.IGNORECASE) is not None


@pytest.mark.parametrize("folder", ENGINE + OTHERS)
def test_banned_names_stay_out(folder: str) -> None:
    """There is one word for each thing, the field's."""
    names = [
        f"{path}:{token.start[0]}: {token.string}"
        for path in (ROOT / "src" / "recurra" / folder).rglob("*.py")
        for token in _tokens(path)
        if token.type == tokenize.NAME and is_banned(token.string, folder in ENGINE)
    ]
    assert not names, "\n".join(names)


def test_a_banned_name_is_found_in_any_form() -> None:
    banned = ["found", "_given", "is_kept", "found_at", "num_kept", "LEAST_SHARE", "_places", "Shares"]
    assert [name for name in banned if not is_banned(name)] == []
    assert [name for name in ("zone_step", "num_members") if not is_banned(name, engine=True)] == []
    allowed = ["keep_going", "founder", "in_place", "shares_gradient", "shared", "time_zone", "zoneout", "remembers"]
    assert [name for name in allowed if is_banned(name, engine=True)] == []


@pytest.mark.parametrize(
    ("suffix", "source", "expected"),
    [
        (".py", '"""Lengths; all where\nNone."""\n', [(1, "where None")]),
        (".py", "x = 1  # a scan is\n# no loop\n", [(1, "is no ")]),
        (".py", 'print(f"an obstacle at {1}")\n', [(1, "obstacle")]),
        (".hpp", "int a;  // late\n// gates\n", []),
        (".hpp", "// The late\n// gates.\nint a;\n", [(1, "late gates")]),
        (".md", "# Title\n\nIt goes\non with the text.\n", [(3, "goes on with")]),
        (".md", "There is no loop, and it is no longer needed.\n", []),
    ],
)
def test_a_banned_phrase_is_found_over_lines(
    tmp_path: Path, suffix: str, source: str, expected: list[tuple[int, str]]
) -> None:
    path = tmp_path / f"file{suffix}"
    path.write_text(source, encoding="utf-8")
    first = [(line, faults(text)[0]) for line, text in words(path) if faults(text)]
    assert len(first) == len(expected)
    for (line, fault), (expected_line, phrase) in zip(first, expected, strict=True):
        assert line == expected_line
        assert fault.startswith(f"{phrase!r}: write ")
