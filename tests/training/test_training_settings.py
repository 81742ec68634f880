"""The settings of training name what is wrong with them."""

import math
from typing import Any

import pytest

from recurra.errors import ParameterError
from recurra.training.settings import CLIPPINGS, OPTIMIZERS, PRECISIONS, SCHEDULES, TrainingSettings


def make(**values: Any) -> TrainingSettings:
    return TrainingSettings(**values)


@pytest.mark.parametrize("name", ["max_steps", "validate_every", "accumulation", "keep"])
def test_counts_are_whole_and_positive(name: str) -> None:
    for value in (0, -1, 1.0, True, None):
        with pytest.raises(ParameterError, match=f"^{name}: expected .* at least 1, got {value!r}"):
            make(**{name: value})


@pytest.mark.parametrize(
    "name", ["patience", "seed", "warmup_steps", "max_skipped", "triggered_averaging", "health_every"]
)
def test_counts_from_zero_are_whole(name: str) -> None:
    for value in (-1, 0.0, False, "0"):
        with pytest.raises(ParameterError, match=f"^{name}: expected .* at least 0, got {value!r}"):
            make(**{name: value})


RATES = [
    "learning_rate",
    "weight_decay",
    "max_grad_norm",
    "clip_value",
    "clip_factor",
    "clip_percentile",
    "clip_zscore",
    "activation_penalty",
    "temporal_activation_penalty",
]


@pytest.mark.parametrize("name", RATES)
def test_rates_are_numbers(name: str) -> None:
    for value in (-1e-9, math.nan, math.inf, "0.1", None, True):
        with pytest.raises(ParameterError, match=f"^{name}: expected .* 0.*, got {value!r}"):
            make(**{name: value})


@pytest.mark.parametrize("name", ["learning_rate", "clip_value", "clip_factor", "clip_zscore"])
def test_some_rates_are_not_zero(name: str) -> None:
    with pytest.raises(ParameterError, match=f"^{name}: expected a number above 0, got 0"):
        make(**{name: 0})


def test_a_percentile_is_at_most_a_hundred() -> None:
    with pytest.raises(ParameterError, match=r"^clip_percentile: expected a number from 0 to 100, got 101"):
        TrainingSettings(clip_percentile=101)


@pytest.mark.parametrize("name", ["averaging", "momentum"])
def test_a_decay_is_a_probability(name: str) -> None:
    for value in (-0.1, 1.1, math.nan, "0.9"):
        with pytest.raises(
            ParameterError, match=f"^{name}: expected a number of at least 0 and below 1, got {value!r}"
        ):
            make(**{name: value})


@pytest.mark.parametrize("name", ["averaging", "momentum"])
def test_a_decay_is_below_one(name: str) -> None:
    with pytest.raises(ParameterError, match=f"^{name}: expected .* below 1, got 1"):
        make(**{name: 1.0})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.9, "2 values"),
        ((0.9,), "2 values"),
        ((0.9, 1.0), "2 values, each .* below 1"),
        ((-1, 0.9), "2 values, each .* at least 0"),
    ],
)
def test_betas_are_two_decays(value: Any, expected: str) -> None:
    with pytest.raises(ParameterError, match=f"^betas: expected {expected}.*, got"):
        TrainingSettings(betas=value)


def test_betas_of_a_file_are_a_list() -> None:
    assert TrainingSettings(betas=[0.8, 0.9]) == TrainingSettings(betas=(0.8, 0.9))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("name", "choices", "bad"),
    [
        ("optimizer", OPTIMIZERS, "LBFGS"),
        ("schedule", SCHEDULES, "none"),
        ("clipping", CLIPPINGS, "agc"),
        ("precision", PRECISIONS, "bf16"),
    ],
)
def test_names_are_of_those_known(name: str, choices: tuple[str, ...], bad: str) -> None:
    with pytest.raises(ParameterError, match=f"^{name}: expected one of {', '.join(choices)}, got {bad!r}"):
        make(**{name: bad})
    for choice in choices:
        assert getattr(make(**{name: choice}), name) == choice


def test_compile_is_yes_or_no() -> None:
    with pytest.raises(ParameterError, match=r"^compile: expected True or False, got 1"):
        TrainingSettings(compile=1)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"momentum": 0.9}, r"^momentum: expected 0 with AdamW, got 0\.9\. RMSprop and SGD"),
        ({"betas": (0.8, 0.9), "optimizer": "SGD"}, r"^betas: expected .* SGD, .* got"),
        ({"warmup_steps": 5}, r"^warmup_steps: expected 0 with OneCycleLR, .* got 5"),
        ({"warmup_steps": 5, "schedule": "ReduceLROnPlateau"}, r"^warmup_steps: expected 0 with ReduceLROnPlateau"),
        (
            {"warmup_steps": 5, "schedule": "constant", "max_steps": 5},
            r"^warmup_steps: expected less than max_steps = 5",
        ),
        (
            {"triggered_averaging": 5},
            r"^triggered_averaging: expected 0 .* = 0\.99, got 5\. Set .* 0",
        ),
    ],
)
def test_what_another_setting_makes_useless_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        TrainingSettings(**settings)


def test_what_is_at_the_edge_is_accepted() -> None:
    settings = TrainingSettings(
        max_steps=1,
        validate_every=1,
        patience=0,
        seed=0,
        weight_decay=0,
        max_grad_norm=0,
        averaging=0,
        learning_rate=1,
        clip_percentile=100,
        max_skipped=0,
        health_every=0,
        triggered_averaging=1,
    )
    assert settings.averaging == 0
    assert TrainingSettings(max_steps=2, warmup_steps=1, schedule="constant").warmup_steps == 1


def test_every_setting_is_explained() -> None:
    assert not [name for name, setting in TrainingSettings.settings().items() if len(setting.option.help.split()) < 2]
