from typing import Any

import pytest
from made_series import tiny

from recurra.errors import ParameterError
from recurra.tasks.forecast import Forecaster, ForecastReading
from recurra.tasks.forecast.model import output_of

BAD: list[tuple[str, Any]] = [
    ("horizon", 0),
    ("folds", -1),
    ("seasons", (0,)),
    ("seasons", (24, 7)),
    ("seasons", (7, 7)),
    ("seasons", "7"),
    ("context_length", 1),
    ("cell", "tcn"),
    ("quantiles", ()),
    ("quantiles", (0.1, 0.9)),
    ("quantiles", (0.5, 0.1)),
    ("quantiles", (0.0, 0.5)),
    ("quantiles", (0.5, 1.0)),
    ("quantiles", ("low", 0.5)),
    ("validation_windows", -1),
    ("device", "tpu"),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_bad_value_is_refused_by_the_name_of_its_option(name: str, value: Any):
    with pytest.raises(ParameterError, match=f"^{name}: expected .*, got "):
        tiny(**{name: value})


def test_options_that_exclude_each_other():
    with pytest.raises(ParameterError, match=r"output: .*model='recursive', got 'quantiles'. Leave it at 'auto'"):
        tiny(model="recursive", output="quantiles")


def test_a_horizon_that_nothing_states_is_refused_with_the_way_out():
    with pytest.raises(
        ParameterError, match=r"^horizon: expected a whole number of at least 1, got 'nothing'\. Say .*horizon=24"
    ):
        Forecaster().fit("air_passengers")


def test_lists_are_taken_for_tuples():
    assert tiny(seasons=[7, 30], quantiles=[0.1, 0.5]) == tiny(seasons=(7, 30), quantiles=(0.1, 0.5))


def test_auto_is_what_the_model_needs():
    assert output_of(tiny().get_params()) == "quantiles"
    assert output_of(tiny(model="recursive").get_params()) == "student_t"
    assert output_of(tiny(output="normal").get_params()) == "normal"
    assert output_of(Forecaster(reservoir=True).get_params()) == "normal"


def test_a_column_has_one_role_and_a_frequency_is_known():
    with pytest.raises(ParameterError, match="columns: expected each column in one role, got 'y'"):
        tiny().fit("air_passengers", reading=ForecastReading(known=("y",)))
    with pytest.raises(ParameterError, match=r"frequency: expected .*, got 'fortnight'"):
        ForecastReading(frequency="fortnight")


def test_the_target_is_a_column_and_no_argument():
    with pytest.raises(ParameterError, match="y: expected None"):
        tiny().fit("air_passengers", [1, 2])


def test_the_reading_of_later_files_is_that_of_the_training_file():
    found = tiny(horizon=3).fit("air_passengers").fitted.reading
    assert found == ForecastReading(frequency="1mo")
