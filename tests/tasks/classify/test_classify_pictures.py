import csv
import io
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from recurra.data.labelled.label_set import LabelSet
from recurra.task.label_evaluation import by_label_table, confusion_table, doubts
from recurra.task.label_pictures import draw_confusion, draw_early_decision, draw_reliability
from recurra.task.reliability import reliability
from recurra.tasks.classify import Classes, Explanation
from recurra.tasks.classify.explanation import draw_series_explanation
from recurra.text_table import one_line
from recurra.training.label_scores import LabelScores, score_labels

# What a label may hold: formulas, separators, other scripts, nothing a font has, and control codes.
ODD = (
    "$x$ and $\\frac{1}", "a|b, c", 'with "quotes"', "两个字", "🙂", "two\nlines", "\x1b[31mred\x07", "_^{}%#&",
    "a very long name of a label that goes on and on 1", "a very long name of a label that goes on and on 2",
    "tab\there", "\r", "العربية", "\u202eright to left",
)  # fmt: skip


def scores(labels: tuple[str, ...] = ODD, multi_label: bool = False) -> LabelScores:
    true = [(label,) for label in labels] * 2
    said = [(label,) for label in labels] + [(labels[0],)] * len(labels)
    return score_labels(true, said, labels[:-1], multi_label)


def drawn(path: Path) -> np.ndarray:
    picture = matplotlib.image.imread(path)
    assert picture.std() > 0.01
    return picture


@pytest.mark.parametrize("count", [2, len(ODD)])
def test_the_confusion_of_labels_of_any_name(count: int, tmp_path: Path) -> None:
    labels = ODD[:count]
    found = score_labels([(label,) for label in labels], [(labels[0],)] * count, labels, multi_label=False)
    assert found.confusion is not None
    draw_confusion(found.labels, found.confusion, tmp_path / "a.png")
    drawn(tmp_path / "a.png")


def test_cells_of_the_confusion_say_fractions_and_counts(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    figures = request.getfixturevalue("drawn")
    draw_confusion(("good", "bad"), np.array([[3, 1], [0, 5]]), tmp_path / "a.png")
    ax, bar = figures[0].axes
    texts = {text.get_position(): text.get_text() for text in ax.texts}
    assert texts == {(0, 0): "75 %\n3", (1, 0): "25 %\n1", (1, 1): "100 %\n5"}
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted label", "true label")
    assert bar.get_ylabel().endswith("%")


@pytest.mark.parametrize(
    ("said", "doubt"),
    [
        (["a"] * 20, "The model answers a to every item, which is right for 50.00 % of them."),
        (
            ["a", "b"] * 10,
            "The model is at chance: its accuracy is 50.00 %, and answering a to every item gives 50.00 %.",
        ),
        (["a"] * 10 + ["b"] * 10, ""),
    ],
)
def test_a_model_at_chance_is_doubted(said: list[str], doubt: str) -> None:
    true = ["a"] * 10 + ["b"] * 10
    found = doubts(score_labels([(one,) for one in true], [(one,) for one in said], ("a", "b"), multi_label=False))
    assert [one[: len(doubt)] for one in found] == ([doubt] if doubt else [])


def test_of_many_labels_those_most_frequent_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recurra.task.label_pictures._MOST_PLOTTED", 3)
    confusion = np.diag([1, 9, 0, 9, 9])
    draw_confusion(tuple("abcde"), confusion, tmp_path / "a.png")
    draw_confusion(tuple("bde"), confusion[[1, 3, 4]][:, [1, 3, 4]], tmp_path / "b.png")
    assert np.array_equal(drawn(tmp_path / "a.png"), drawn(tmp_path / "b.png"))


@pytest.mark.parametrize("multi_label", [False, True])
def test_pictures_of_an_evaluation(multi_label: bool, tmp_path: Path) -> None:
    before = reliability(np.linspace(0, 1, 20), np.arange(20) % 2 == 0)
    after = reliability(np.linspace(0, 1, 20), np.arange(20) > 9)
    words = {"name": "temperature 1.50", "items": "items", "predicted": "confidence"}
    draw_reliability(before, after, tmp_path / "a.png", **words)
    draw_reliability(after, before, tmp_path / "b.png", **words)
    assert not np.array_equal(drawn(tmp_path / "a.png"), drawn(tmp_path / "b.png"))
    for name, last in (("c", 0.9), ("d", 0.4)):
        early = {k / 10: last * k / 10 for k in range(1, 11)}
        draw_early_decision(early, scores(multi_label=multi_label), multi_label, tmp_path / f"{name}.png")
    assert not np.array_equal(drawn(tmp_path / "c.png"), drawn(tmp_path / "d.png"))


@pytest.mark.parametrize("first", [0, 4, 7])
def test_a_series_with_any_names(first: int, tmp_path: Path) -> None:
    names = ODD[first : first + 3]
    values = np.array([[1.0, np.nan, 5.0], [2.0, np.nan, 5.0], [np.nan, np.nan, 5.0]])
    found = Explanation(names[0], 0.9, None, (), values, np.zeros((3, 3)), 2.2, 0.1, 0.0, names)
    draw_series_explanation(found, tmp_path / "a.png")
    drawn(tmp_path / "a.png")


def test_of_many_channels_those_that_add_most_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recurra.tasks.classify.explanation._MOST_CHANNELS", 2)
    values, contributions = np.arange(4.0)[None], np.array([[0.1, -3.0, 0.2, 2.0]])
    found = Explanation("up", 0.9, None, (), values, contributions, 2.2, 0.1, 0.0, tuple("abcd"))
    draw_series_explanation(found, tmp_path / "a.png")
    kept = Explanation("up", 0.9, None, (), values[:, [1, 3]], contributions[:, [1, 3]], 2.2, 0.1, 0.0, ("b", "d"))
    draw_series_explanation(kept, tmp_path / "b.png")
    assert np.array_equal(drawn(tmp_path / "a.png"), drawn(tmp_path / "b.png"))


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


def test_tables_are_read_as_they_were_written() -> None:
    found = scores()
    rows = rows_of(confusion_table(found).csv())
    assert rows[0] == ["true \\ predicted", *ODD]
    assert [row[0] for row in rows[1:]] == list(ODD)
    assert found.confusion is not None
    assert [list(map(int, row[1:])) for row in rows[1:]] == found.confusion.tolist()
    by_label = rows_of(by_label_table({"model": found, "naive Bayes": found}).csv())
    assert by_label[0][:5] == ["label", "method", "precision", "recall", "f1"]
    assert [row[0] for row in by_label[1:]] == [*ODD, *ODD]
    assert {row[1] for row in by_label[1:]} == {"model", "naive Bayes"}


def test_a_line_a_label_in_the_terminal() -> None:
    lines = by_label_table({"model": scores()}).shown.split("\n")
    assert len(lines) == 1 + len(ODD)
    assert len({len(line) for line in lines[1:]}) == 1
    assert all(line.isprintable() for line in lines)
    many = by_label_table({"model": scores(tuple(f"l{k}" for k in range(40)))}).shown
    assert many.endswith("\n(and 10 more labels)")


def test_predictions_as_a_table() -> None:
    labels = LabelSet.of([("a,b", "c"), ("a,b",)], "here")
    shares = np.array([[0.75, 0.625], [0.25, 0.125]])
    found = Classes(["one\r", 'two "x"\n'], labels, shares, with_probabilities=True)
    assert rows_of(found.table().csv()) == [
        ["text", "label", "confidence", "p(a,b)", "p(c)"],
        ["one\r", "a,b|c", "0.625000", "0.750000", "0.625000"],
        ['two "x"\n', "", "0.750000", "0.250000", "0.125000"],
    ]
    plain = Classes(["x"], labels, shares[:1], kind="series", separator=" ")
    assert plain.table().csv() == 'id,label,confidence\nx,"a,b c",0.625000\n'
    assert plain.values == [("a,b", "c")]
    assert plain[-1].probabilities == {"a,b": 0.75, "c": 0.625}


def test_a_name_on_one_line() -> None:
    assert one_line(" a\n\tb ") == "a b"
    assert one_line("\x1b[1mx\x9b\u202e\ud800") == "\ufffd[1mx\ufffd\ufffd\ufffd"
    assert one_line("0123456789abcdef", longest=9) == "01234…def"
    assert one_line("012345678", longest=9) == "012345678"
