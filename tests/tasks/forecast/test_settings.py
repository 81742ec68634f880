from dataclasses import fields
from typing import Any

import pytest

from recurra.errors import ParameterError
from recurra.tasks.forecast import Forecaster, ForecastSettings

BAD: list[tuple[str, Any]] = [
    ("horizon", 0),
    ("horizon", 2.5),
    ("horizon", True),
    ("horizon", "7"),
    ("seasons", (0,)),
    ("seasons", (24, 7)),
    ("seasons", (7, 7)),
    ("seasons", 7),
    ("seasons", ("7",)),
    ("seasons", "7"),
    ("context_length", 1),
    ("model", "transformer"),
    ("cell", "tcn"),
    ("num_layers", 0),
    ("hidden_size", -1),
    ("dropout", 1.5),
    ("dropout", "0.1"),
    ("output", "gaussian"),
    ("quantiles", ()),
    ("quantiles", (0.1, 0.9)),
    ("quantiles", (0.5, 0.1)),
    ("quantiles", (0.0, 0.5)),
    ("quantiles", (0.5, 1.0)),
    ("quantiles", 0.5),
    ("quantiles", ("low", 0.5)),
    ("sample_paths", 0),
    ("validation_windows", -1),
    ("batch_size", 0),
    ("device", "tpu"),
    ("device", None),
    ("max_steps", 0),
    ("optimizer", "Adamm"),
    ("learning_rate", 0),
    ("learning_rate", float("nan")),
    ("weight_decay", -1),
    ("schedule", "cosine"),
    ("max_grad_norm", -1),
    ("averaging", 1),
    ("validate_every", 0),
    ("patience", -1),
    ("seed", -1),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_bad_value_is_refused_by_the_name_of_its_setting(name: str, value: Any):
    with pytest.raises(ParameterError, match=f"^{name}: expected .*, got "):
        Forecaster(**{"horizon": 3, name: value})


def test_settings_that_exclude_each_other():
    with pytest.raises(ParameterError, match=r"output: .*model='recursive', got 'quantiles'. Leave it at 'auto'"):
        ForecastSettings(horizon=3, model="recursive", output="quantiles")
    with pytest.raises(ParameterError, match="validation_windows: expected at least 1 with conformal"):
        ForecastSettings(horizon=3, conformal=True, validation_windows=0)


def test_an_unknown_option_is_refused():
    with pytest.raises(ParameterError, match=r"options: expected names among .*max_steps.*, got 'max_step'"):
        Forecaster(3, max_step=4)


def test_lists_are_taken_for_tuples():
    lists: dict[str, Any] = {"seasons": [7, 30], "quantiles": [0.1, 0.5]}
    assert ForecastSettings(horizon=3, **lists) == ForecastSettings(horizon=3, seasons=(7, 30), quantiles=(0.1, 0.5))


def test_auto_is_what_the_model_needs():
    assert ForecastSettings(horizon=3).output_kind == "quantiles"
    assert ForecastSettings(horizon=3, model="recursive").output_kind == "student_t"
    assert ForecastSettings(horizon=3, output="normal").output_kind == "normal"


def test_every_setting_is_documented():
    documented = ForecastSettings.__doc__ or ""
    assert [field.name for field in fields(ForecastSettings) if f"\n        {field.name}: " not in documented] == []
