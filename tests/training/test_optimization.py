"""Optimisers and schedules by name, and their state through a file."""

import json
import math
from typing import Any

import pytest
import torch
from torch import nn

from recurra.errors import ParameterError
from recurra.training import OPTIMIZERS, SCHEDULES, make_optimizer, make_schedule
from recurra.training.optimization import restore_optimizer, split_optimizer


def parameters(dtype: torch.dtype, seed: int) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, generator=generator).to(dtype)) for shape in ((3, 2), (4,), ())]


def step(optimizer: Any, held: list[nn.Parameter], number: int) -> None:
    generator = torch.Generator().manual_seed(number)
    for parameter in held:
        parameter.grad = torch.randn(parameter.shape, generator=generator).to(parameter.dtype)
    optimizer.step()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_goes_on_through_json(name: str, dtype: torch.dtype) -> None:
    straight = parameters(dtype, 1)
    optimizer = make_optimizer(name, straight, 0.1, 0.01)
    for number in range(10):
        step(optimizer, straight, number)
    tensors, values = split_optimizer(optimizer)
    tensors = {key: tensor.clone() for key, tensor in tensors.items()}
    resumed = [nn.Parameter(parameter.detach().clone()) for parameter in straight]
    other = make_optimizer(name, resumed, 5.0, 0.5)
    restore_optimizer(other, tensors, json.loads(json.dumps(values)))
    for number in range(10, 20):
        step(optimizer, straight, number)
        step(other, resumed, number)
    for one, another in zip(straight, resumed, strict=True):
        assert torch.equal(one, another)
    fresh = parameters(dtype, 1)
    assert any(not torch.equal(one, another) for one, another in zip(straight, fresh, strict=True))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_is_of_that_class_with_these_rates(name: str) -> None:
    optimizer = make_optimizer(name, parameters(torch.float32, 0), 0.3, 0.2)
    assert type(optimizer) is getattr(torch.optim, name)
    assert (optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["weight_decay"]) == (0.3, 0.2)


def rates(name: str, max_steps: int) -> list[float]:
    """The learning rate of each step, and the one after the last."""
    optimizer = make_optimizer("SGD", parameters(torch.float32, 0), 0.1)
    schedule = make_schedule(name, optimizer, 0.1, max_steps)
    found = [optimizer.param_groups[0]["lr"]]
    for _ in range(max_steps):
        optimizer.step()
        if schedule is not None:
            schedule.step()
        found.append(optimizer.param_groups[0]["lr"])
    return found


@pytest.mark.parametrize("name", [name for name in SCHEDULES if name != "ReduceLROnPlateau"])
def test_a_schedule_lasts_any_number_of_steps(name: str) -> None:
    for max_steps in (*range(1, 31), 99, 100):
        found = rates(name, max_steps)
        assert all(0 <= rate <= 0.1 * (1 + 1e-12) for rate in found), max_steps
        if name == "constant":
            assert set(found) == {0.1}
        else:
            assert max(found) > 0.09, max_steps
            assert found[-1] < 0.0011 or max_steps == 1, max_steps


def test_one_cycle_rises_over_the_first_tenth() -> None:
    found = rates("OneCycleLR", 199)
    top = found.index(max(found))
    assert top == 19
    assert found[0] == pytest.approx(0.1 / 25)
    assert found[top] == pytest.approx(0.1)
    assert found[: top + 1] == sorted(found[: top + 1])
    assert found[top:] == sorted(found[top:], reverse=True)


def test_a_plateau_halves_the_rate_after_three_validations_without_a_better_loss() -> None:
    optimizer = make_optimizer("SGD", parameters(torch.float32, 0), 0.1)
    schedule = make_schedule("ReduceLROnPlateau", optimizer, 0.1, 100)
    found = []
    for loss in (3.0, 2.0, 2.0, 2.0, 2.0, math.nan, 1.0):
        schedule.step(loss)
        found.append(optimizer.param_groups[0]["lr"])
    assert found == [0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05]


def test_an_unknown_name_is_refused_with_those_known() -> None:
    with pytest.raises(ParameterError, match=r"optimizer: expected one of Adam, .*SGD, got 'adam'"):
        make_optimizer("adam", parameters(torch.float32, 0), 0.1)
    optimizer = make_optimizer("SGD", parameters(torch.float32, 0), 0.1)
    with pytest.raises(ParameterError, match=r"schedule: expected one of constant, .*, got 'StepLR'"):
        make_schedule("StepLR", optimizer, 0.1, 10)
