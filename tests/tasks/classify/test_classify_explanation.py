import re
from typing import Any

import numpy as np
import pytest

from made_classes import WORDS, series, several, texts
from recurra.data.text.tokenization import Piece
from recurra.errors import ParameterError
from recurra.tasks.classify import Classifier, Explanation
from recurra.tasks.classify.explanation import colored_text, contribution_lines, explanation_page

SMALL: dict[str, Any] = {
    "hidden_size": 6, "word_size": 6, "max_steps": 40, "batch_size": 12, "validate_every": 20, "learning_rate": 0.05,
    "dropout": 0.1, "averaging": 0.8, "validation_fraction": 0.0, "device": "cpu",
}  # fmt: skip


@pytest.fixture(scope="module")
def of_texts() -> Classifier:
    return Classifier(
        **{**SMALL, "max_steps": 100, "pooling": "max"}, characters="convolution", character_hidden_size=4
    ).fit(*texts(90), progress=False)


@pytest.fixture(scope="module")
def of_series() -> Classifier:
    given, labels = series(40)
    for one in given[::5]:
        one[0, 0] = np.nan
    return Classifier(**SMALL, members=2).fit(given, labels, progress=False)


@pytest.fixture(scope="module")
def of_several() -> Classifier:
    return Classifier(**SMALL).fit(*several(60), progress=False)


def complete(found: Explanation) -> None:
    difference = found.log_odds - found.baseline_log_odds
    assert found.contributions.sum() + found.residual == pytest.approx(difference, abs=1e-6)
    assert abs(found.residual) < 0.05 * abs(difference) + 1e-3
    assert found.log_odds == pytest.approx(np.log(found.probability / (1 - found.probability)), abs=1e-3)


def test_the_word_that_decides_adds_most(of_texts: Classifier) -> None:
    for text, label in zip(*texts(5, 7), strict=True):
        found = of_texts.explain(text=text)
        complete(found)
        assert found.label == label
        assert [text[piece.start : piece.end] for piece in found.pieces] == text.split()
        assert len(found.contributions) == len(found.pieces)
        assert found.pieces[int(found.contributions.argmax())].text in WORDS[label]


def test_a_label_named_is_explained(of_texts: Classifier) -> None:
    good, bad = (of_texts.explain(text="film great today", label=label) for label in ("good", "bad"))
    assert (good.label, bad.label) == ("good", "bad")
    assert good.probability + bad.probability == pytest.approx(1)
    # Of two labels the log-odds of one are those of the other, turned round.
    assert good.contributions == pytest.approx(-bad.contributions, abs=1e-4)
    assert good.log_odds == pytest.approx(-bad.log_odds, abs=1e-4)


def test_several_labels_are_explained_each_by_its_word(of_several: Classifier) -> None:
    for label, word in (("good", "great"), ("bad", "dull")):
        found = of_several.explain(text="great the dull film", label=label)
        complete(found)
        assert found.pieces[int(found.contributions.argmax())].text == word


def test_steps_and_channels_of_a_series(of_series: Classifier) -> None:
    for values, label in zip(*series(4, 3), strict=True):
        found = of_series.explain([values])
        complete(found)
        assert found.label == label
        assert found.pieces == ()
        assert found.series is not None
        assert found.series.shape == found.contributions.shape == values.shape
        # The second channel says it all.
        level, change = np.abs(found.contributions).sum(0)
        assert change > 2 * level
    (values,), _ = series(1)
    values[1] = np.nan
    complete(of_series.explain([values]))


@pytest.mark.slow
def test_it_does_not_depend_on_what_was_done_before() -> None:
    """Right after training there is no dropout."""
    classifier = Classifier(**{**SMALL, "max_steps": 2}).fit(*series(8), progress=False)
    values = series(1, 9)[0][0]
    assert np.array_equal(classifier.explain([values]).contributions, classifier.explain([values]).contributions)


def test_a_blank_text(of_texts: Classifier) -> None:
    with pytest.raises(ParameterError, match="one or more words"):
        of_texts.explain(text=" ")
    found = of_texts.explain([" "])
    assert found.pieces == (Piece("<unknown>", 0, 0),)
    assert np.isfinite(found.contributions).all()
    assert colored_text(found) == " "
    assert "<unknown>" in contribution_lines(found)[0]
    assert '<p class="text"> </p>' in explanation_page(found, "blank")


def made(text: str, pieces: list[Piece], contributions: list[float], label: str = "x") -> Explanation:
    return Explanation(label, 0.75, text, tuple(pieces), None, np.array(contributions), 1.1, 0.25, -0.01)


def test_colours_are_by_the_share_of_the_largest_contribution() -> None:
    found = made("a b c d ", [Piece(t, 2 * k, 2 * k + 1) for k, t in enumerate("abcd")], [4.0, -2.0, 0.3, -0.9])
    shown = colored_text(found)
    assert re.sub(r"\x1b\[[\d;]*m", "", shown) == "a b c d "
    assert re.findall(r"\x1b\[38;5;16;48;5;(\d+)m(.)\x1b\[0m", shown) == [("75", "a"), ("216", "b"), ("230", "d")]
    assert contribution_lines(found) == [
        f"  a    +4.00  {'+' * 20}",
        f"  b    -2.00  {'-' * 10}",
        "  c    +0.30  ++",
        "  d    -0.90  ----",
    ]
    shortened = contribution_lines(found, most=2)
    assert [line.split()[0] for line in shortened[:2]] == ["a", "b"]
    assert shortened[2:] == ["  (2 other tokens, together -0.60)"]
    page = explanation_page(found, "a title")
    titles = re.findall(r'<span style="background:rgba\((\d+),[^"]*" title="([^"]+)">(.)</span>', page)
    assert titles == [("31", "+4.00", "a"), ("214", "-2.00", "b"), ("31", "+0.30", "c"), ("214", "-0.90", "d")]
    assert "probability 75.0 %" in page
    assert "from +0.25" in page
    assert "to +1.10 (unexplained: -0.01)" in page
    nothing = made("a", [Piece("a", 0, 1)], [0.0])
    assert colored_text(nothing) == "a"
    assert contribution_lines(nothing) == ["  a    +0.00"]


def test_what_was_not_read_is_said() -> None:
    found = made("a b c", [Piece("a", 0, 1)], [1.0])
    assert colored_text(found).endswith("m … (4 characters more are not read)")
    assert "… (4 characters more are not read)</p>" in explanation_page(found, "cut")


def test_what_would_control_a_terminal_or_a_page_is_text() -> None:
    word = "\x1b]0;x\x07<script>"
    end = len(word)
    pieces = [Piece(word, 0, end), Piece("{0}", end + 1, end + 4), Piece("&", end + 5, end + 6)]
    found = made(f"{word} {{0}}\n&", pieces, [1.0, 0.0, 0.0], label="<b>&{label}")
    shown = colored_text(found)
    assert re.sub(r"\x1b\[[\d;]*m", "", shown) == "\ufffd]0;x\ufffd<script> {0}\n&"
    assert contribution_lines(found)[0].startswith("  \ufffd]0;x\ufffd<script>  ")
    page = explanation_page(found, "<title>")
    assert "<script>" not in page
    assert "&lt;script&gt;</span> {0}\n&amp;</p>" in page
    assert "<b>&lt;b&gt;&amp;{label}</b>" in page
    assert "<title>&lt;title&gt;</title>" in page


def test_a_very_long_token_is_shortened_in_a_table() -> None:
    found = made("x" * 99, [Piece("x" * 99, 0, 99)], [1.0])
    assert contribution_lines(found)[0].split()[0] == "x" * 23 + "…"
