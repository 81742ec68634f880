import logging
from pathlib import Path

import pytest

from recurra.data.files.problems import Problem, log_problems, problems_table, refuse_unusable
from recurra.errors import DataError

PROBLEMS = [
    Problem("list.csv, line 2", "a.png", "a.png: cannot\nbe read."),
    Problem("list.csv, line 3", "b.png", "a strange size.", usable=True),
    Problem("list.csv, line 9", "c.png", "no such file."),
]


def test_a_row_a_problem() -> None:
    header, *rows = problems_table(PROBLEMS).splitlines()
    assert header.split("\t") == ["use", "where", "file", "reason"]
    assert [row.split("\t")[0] for row in rows] == ["left out", "used", "left out"]
    assert str(PROBLEMS[0]).count("a.png") == 1


def test_too_many_are_refused_after_all_are_written(tmp_path: Path) -> None:
    report = tmp_path / "problems.tsv"
    with pytest.raises(DataError, match=r"(?s)list.csv: 2 of 20 images .* 5 % .*a\.png.*c\.png.*problems\.tsv"):
        refuse_unusable("list.csv", "images", 20, 2, PROBLEMS, 0.05, report)
    assert report.read_text() == problems_table(PROBLEMS)


def test_those_left_out_and_those_used_are_logged_apart(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        log_problems(logging.getLogger("recurra.test"), "list.csv", "images", 20, 2, PROBLEMS)
    left_out, used = [record.getMessage() for record in caplog.records]
    assert "2 of 20 images" in left_out
    assert "c.png" in left_out
    assert "b.png" not in left_out
    assert "1 of 20 images" in used
    assert "b.png" in used
