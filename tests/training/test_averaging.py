"""Averages of the weights: the exponential one, and the triggered mean of AWD-LSTM."""

from typing import Any

import pytest
import torch
from torch import nn

from recurra.training.averaging import Averaging
from recurra.training.settings import TrainingSettings


def module_of(value: float) -> nn.Module:
    module = nn.Linear(1, 1, bias=False)
    nn.init.constant_(module.weight, value)
    return module


def settings(**options: Any) -> TrainingSettings:
    values: dict[str, Any] = {"averaging": 0.0} | options
    return TrainingSettings(**values)


def value(module: nn.Module) -> float:
    return next(module.parameters()).item()


def go_to(module: nn.Module, weight: float, averaging: Averaging) -> None:
    nn.init.constant_(module.get_parameter("weight"), weight)
    averaging.update()


def test_without_an_average_the_module_itself_is_validated() -> None:
    module = module_of(1.0)
    averaging = Averaging(module, settings())
    go_to(module, 2.0, averaging)
    averaging.validated(1.0)
    assert averaging.module is module


def test_the_exponential_average() -> None:
    module = module_of(0.0)
    averaging = Averaging(module, settings(averaging=0.75))
    for weight in (1.0, 2.0, 4.0):
        go_to(module, weight, averaging)
    # The first step is taken whole, of the second 9 / 10, of the third 9 / 11.
    early = 2 / 11 * (0.1 * 1 + 0.9 * 2) + 9 / 11 * 4
    assert value(averaging.module) == pytest.approx(early)
    for _ in range(24):
        go_to(module, early, averaging)
    # After 27 steps 27 / 36 is the decay of the settings, and stays that.
    for weight in (8.0, 16.0):
        go_to(module, weight, averaging)
    assert value(averaging.module) == pytest.approx(0.75 * (0.75 * early + 0.25 * 8) + 0.25 * 16)


def test_averaging_is_triggered_by_validations_that_do_not_improve() -> None:
    module = module_of(0.0)
    averaging = Averaging(module, settings(triggered_averaging=2))
    losses = [5.0, 4.0, 3.0, 3.5, 3.2, 3.1]
    begun = []
    for number, loss in enumerate(losses):
        go_to(module, float(number), averaging)
        averaging.validated(loss)
        begun.append(averaging.module is not module)
    # 3.1 is worse than 3.0, which is more than two validations back; 3.2 is not compared with it yet.
    assert begun == [False] * 5 + [True]
    for weight in (9.0, 10.0):
        go_to(module, weight, averaging)
    assert value(averaging.module) == pytest.approx((5 + 9 + 10) / 3)


@pytest.mark.parametrize("options", [{}, {"averaging": 0.5}, {"triggered_averaging": 1}])
def test_it_goes_on_after_saving_and_loading(options: dict[str, Any]) -> None:
    module, other = module_of(0.0), module_of(0.0)
    straight, resumed = Averaging(module, settings(**options)), Averaging(other, settings(**options))
    for number, loss in enumerate([1.0, 2.0, 0.5, 3.0, 4.0]):
        go_to(module, float(number), straight)
        straight.validated(loss)
        go_to(other, float(number), resumed)
        resumed.validated(loss)
        tensors, values = resumed.state_dict()
        copies = {name: tensor.clone() for name, tensor in tensors.items()}
        resumed = Averaging(other, settings(**options))
        resumed.load_state_dict(copies, values)
        assert torch.equal(next(straight.module.parameters()), next(resumed.module.parameters()))
