import csv
import io
import json
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from recurra.tasks.classify import Evaluation, Explanation, Prediction
from recurra.tasks.classify.calibration import reliability
from recurra.tasks.classify.metrics import score
from recurra.tasks.classify.pictures import (
    draw_confusion,
    draw_early_decision,
    draw_reliability,
    draw_series_explanation,
)
from recurra.tasks.classify.tables import evaluation_table, prediction_csv, write_evaluation
from recurra.text_table import one_line

# What a label may hold: formulas, separators, other scripts, nothing a font has, and control codes.
ODD = (
    "$x$ and $\\frac{1}", "a|b, c", 'with "quotes"', "两个字", "🙂", "two\nlines", "\x1b[31mred\x07", "_^{}%#&",
    "a very long name of a label that goes on and on 1", "a very long name of a label that goes on and on 2",
    "tab\there", "\r", "العربية", "\u202eright to left",
)  # fmt: skip


def evaluation(labels: tuple[str, ...] = ODD, several: bool = False, loss: float = 0.5) -> Evaluation:
    true = [(label,) for label in labels] * 2
    said = [(label,) for label in labels] + [(labels[0],)] * len(labels)
    scores = score(true, said, labels[:-1], several)
    curve = reliability(np.linspace(0, 1, len(true)), np.arange(len(true)) % 2 == 0)
    early = {k / 10: 0.5 + k / 30 for k in range(1, 11)}
    unseen = {labels[-1]: 2}
    return Evaluation("here", several, scores, scores, "naive Bayes", loss, curve, curve, 1.5, early, unseen)


def drawn(path: Path) -> np.ndarray:
    picture = matplotlib.image.imread(path)
    assert picture.std() > 0.01
    return picture


@pytest.mark.parametrize("count", [2, len(ODD)])
def test_the_confusion_of_labels_of_any_name(count: int, tmp_path: Path) -> None:
    labels = ODD[:count]
    found = score([(label,) for label in labels], [(labels[0],)] * count, labels, several=False)
    assert found.confusion is not None
    draw_confusion(found.labels, found.confusion, tmp_path / "a.png")
    drawn(tmp_path / "a.png")


def test_of_many_labels_those_most_frequent_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recurra.tasks.classify.pictures._MOST_LABELS", 3)
    confusion = np.diag([1, 9, 0, 9, 9])
    draw_confusion(tuple("abcde"), confusion, tmp_path / "a.png")
    draw_confusion(tuple("bde"), confusion[[1, 3, 4]][:, [1, 3, 4]], tmp_path / "b.png")
    assert np.array_equal(drawn(tmp_path / "a.png"), drawn(tmp_path / "b.png"))


@pytest.mark.parametrize("several", [False, True])
def test_pictures_of_an_evaluation(several: bool, tmp_path: Path) -> None:
    draw_reliability(evaluation(several=several), tmp_path / "a.png")
    draw_early_decision(evaluation(several=several), tmp_path / "b.png")
    drawn(tmp_path / "a.png")
    drawn(tmp_path / "b.png")


@pytest.mark.parametrize("first", [0, 4, 7])
def test_a_series_with_any_names(first: int, tmp_path: Path) -> None:
    names = ODD[first : first + 3]
    values = np.array([[1.0, np.nan, 5.0], [2.0, np.nan, 5.0], [np.nan, np.nan, 5.0]])
    found = Explanation(names[0], 0.9, None, (), values, np.zeros((3, 3)), 2.2, 0.1, 0.0)
    draw_series_explanation(found, names, tmp_path / "a.png")
    drawn(tmp_path / "a.png")


def test_of_many_channels_those_that_add_most_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recurra.tasks.classify.pictures._MOST_CHANNELS", 2)
    values, contributions = np.arange(4.0)[None], np.array([[0.1, -3.0, 0.2, 2.0]])
    found = Explanation("up", 0.9, None, (), values, contributions, 2.2, 0.1, 0.0)
    draw_series_explanation(found, tuple("abcd"), tmp_path / "a.png")
    kept = Explanation("up", 0.9, None, (), values[:, [1, 3]], contributions[:, [1, 3]], 2.2, 0.1, 0.0)
    draw_series_explanation(kept, ("b", "d"), tmp_path / "b.png")
    assert np.array_equal(drawn(tmp_path / "a.png"), drawn(tmp_path / "b.png"))


def test_tables_are_read_as_they_were_written(tmp_path: Path) -> None:
    given = evaluation()
    write_evaluation(given, tmp_path)
    rows = list(csv.reader(io.StringIO((tmp_path / "confusion.csv").read_bytes().decode(), newline="")))
    assert rows[0] == ["true \\ predicted", *ODD]
    assert [row[0] for row in rows[1:]] == list(ODD)
    assert given.model.confusion is not None
    assert [list(map(int, row[1:])) for row in rows[1:]] == given.model.confusion.tolist()
    by_label = list(csv.DictReader(io.StringIO((tmp_path / "by_label.csv").read_bytes().decode(), newline="")))
    assert [row["label"] for row in by_label] == [*ODD, *ODD]
    assert {row["method"] for row in by_label} == {"model", "baseline"}
    values = json.loads((tmp_path / "evaluation.json").read_text())
    assert values["unseen_labels"] == {ODD[-1]: 2}
    assert values["loss_nats"] == 0.5
    assert values["expected_calibration_error"]["with_temperature"] == given.after.expected_calibration_error


def test_a_loss_of_nothing_is_still_json(tmp_path: Path) -> None:
    write_evaluation(evaluation(loss=float("nan")), tmp_path)
    assert json.loads((tmp_path / "evaluation.json").read_text(), parse_constant=pytest.fail)["loss_nats"] is None


def test_several_labels_have_no_confusion(tmp_path: Path) -> None:
    write_evaluation(evaluation(several=True), tmp_path)
    assert not (tmp_path / "confusion.csv").exists()
    assert "micro F1" in evaluation_table(evaluation(several=True))


def test_a_line_a_label_in_the_terminal() -> None:
    lines = evaluation_table(evaluation()).split("\n")
    assert lines[0].split() == ["accuracy", "macro", "F1"]
    assert len(lines) == 3 + 2 + len(ODD)
    assert len({len(line) for line in lines[4:]}) == 1
    assert all(line.isprintable() for line in lines)
    many = evaluation_table(evaluation(tuple(f"l{k}" for k in range(40))))
    assert many.endswith("\n(and 10 more labels)")


def test_predictions_as_a_table() -> None:
    found = [Prediction(("a,b", "c"), {"a,b": 0.75, "c": 0.5}), Prediction((), {"a,b": 0.25, "c": 0.125})]
    table = prediction_csv(["one\r", 'two "x"\n'], "text", found, "|", probabilities=True)
    assert list(csv.reader(io.StringIO(table, newline=""))) == [
        ["text", "label", "confidence", "p(a,b)", "p(c)"],
        ["one\r", "a,b|c", "0.500000", "0.750000", "0.500000"],
        ['two "x"\n', "", "0.750000", "0.250000", "0.125000"],
    ]
    assert (
        prediction_csv(["x"], "id", found[:1], "|", probabilities=False) == 'id,label,confidence\nx,"a,b|c",0.500000\n'
    )
    assert prediction_csv([], "id", [], "|", probabilities=True) == "id,label,confidence\n"


def test_a_name_on_one_line() -> None:
    assert one_line(" a\n\tb ") == "a b"
    assert one_line("\x1b[1mx\x9b\u202e\ud800") == "\ufffd[1mx\ufffd\ufffd\ufffd"
    assert one_line("0123456789abcdef", longest=9) == "01234…def"
    assert one_line("012345678", longest=9) == "012345678"
