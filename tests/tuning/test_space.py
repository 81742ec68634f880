"""Which values of which options a search tries."""

from pathlib import Path
from typing import Any

import pytest

import recurra.tasks  # noqa: F401 - registers the tasks
from recurra.errors import ParameterError, RecurraError
from recurra.options import Range
from recurra.task import find_task, task_names
from recurra.tuning.settings import tune_settings
from recurra.tuning.space import default_space, distributions, make_space, plain_space, rounded, value_from
from toy import Toy


@pytest.mark.parametrize("name", [name for name in task_names() if name != "toy"])
def test_every_task_states_ranges_that_its_options_allow(name: str) -> None:
    kind = find_task(name)
    space = default_space(kind())
    assert {"learning_rate", "dropout"} - {"dropout" if name == "draw" else ""} <= set(space)
    assert make_space(plain_space(space), kind) == space
    for option, distribution in distributions(space, kind).items():
        for value in (getattr(distribution, "low", None), getattr(distribution, "high", None)):
            if value is not None:
                kind(**{option: value})
    assert {"trials", "space", "data", *space} <= set(tune_settings(kind))
    assert "resume" not in tune_settings(kind)


def test_options_that_are_set_are_not_searched() -> None:
    assert list(default_space(Toy(hidden_size=3))) == ["learning_rate", "weight_decay"]
    with pytest.raises(ParameterError, match=r"space: .*--space"):
        default_space(Toy(hidden_size=3, learning_rate=0.1, weight_decay=0.1))


def test_a_file_and_a_dictionary_say_the_same(tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(
        "learning-rate: {low: 1e-4, high: 1.0e-2, log: true}\nhidden_size: {low: 2, high: 8, step: 2}\n"
        "optimizer: [AdamW, SGD]\nbetas: [[0.9, 0.999], '0.8,0.99']\n"
    )
    space = make_space(
        {
            "learning_rate": Range(1e-4, 1e-2, log=True),
            "hidden_size": {"low": 2, "high": 8, "step": 2},
            "optimizer": ["AdamW", "SGD"],
            "betas": [(0.9, 0.999), (0.8, 0.99)],
        },
        Toy,
    )
    assert make_space(file, Toy) == space
    made = distributions(space, Toy)
    assert type(made["hidden_size"]).__name__ == "IntDistribution"
    assert made["betas"].choices == ("0.9,0.999", "0.8,0.99")  # type: ignore[attr-defined]
    assert value_from(Toy.settings()["betas"], "0.8,0.99") == (0.8, 0.99)


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"hiden_size": [1, 2]}, r"hidden_size"),
        ({"hidden_size": {"low": 2}}, r"hidden_size: .*high"),
        ({"hidden_size": {"low": 2, "high": 4, "base": 2}}, r"low, high, log, step.*'base'"),
        ({"hidden_size": {"low": 0, "high": 4}}, r"hidden_size: .*at least 1"),
        ({"hidden_size": {"low": 4, "high": 4}}, r"above low = 4"),
        ({"hidden_size": {"low": 2, "high": 7, "step": 2}}, r"divides the range"),
        ({"weight_decay": {"low": 0, "high": 0.1, "log": True}}, r"weight_decay: .*above 0"),
        ({"optimizer": {"low": 0, "high": 1}}, r"optimizer: .*list of choices"),
        ({"optimizer": ["SGD", "SGD"]}, r"each choice once"),
        ({"optimizer": []}, r"low and high, or a list"),
        ({"hidden_size": ["many"]}, r"hidden_size: expected a whole number"),
        ({}, r"at least one option"),
    ],
)
def test_bad_spaces_are_refused(values: dict[str, Any], fault: str) -> None:
    with pytest.raises(ParameterError, match=fault):
        make_space(values, Toy)


def test_a_fault_in_a_file_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text("hidden-size: [2, 4]\nhiden-size: [2]\n")
    with pytest.raises(RecurraError, match=rf"space: {file}, line 2: .*hidden_size"):
        make_space(file, Toy)
    with pytest.raises(RecurraError, match="cannot be read"):
        make_space(tmp_path / "none.yaml", Toy)


def test_numbers_are_rounded_within_their_range() -> None:
    assert rounded(0.00123456, Range(0, 1)) == 0.001235
    assert rounded(0.00123456, Range(0, 0.00123456)) == 0.00123456
    assert rounded(7, Range(1, 9)) == 7
    assert rounded("SGD", ("SGD",)) == "SGD"
