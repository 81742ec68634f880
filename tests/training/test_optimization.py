"""Optimisers and schedules by name, what weight decay spares, and their state through a file."""

import json
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

import covering
from recurra import Recurrent, cells
from recurra.errors import ParameterError
from recurra.layers import RecurrentCell
from recurra.training.optimization import (
    make_optimizer,
    make_schedule,
    restore_optimizer,
    restore_schedule,
    schedule_values,
    split_optimizer,
)
from recurra.training.settings import OPTIMIZERS, SCHEDULES, TrainingSettings

WITH_WARMUP = ("constant", "CosineAnnealingLR", "LinearLR")


class Quadratic(nn.Module):
    """The sum of squared distances to 1 of a matrix, a vector and a number."""

    def __init__(self, dtype: torch.dtype = torch.float32, seed: int = 1) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.matrix = nn.Parameter(torch.randn(3, 2, generator=generator).to(dtype))
        self.vector = nn.Parameter(torch.randn(4, generator=generator).to(dtype))
        self.number = nn.Parameter(torch.randn((), generator=generator).to(dtype))

    def forward(self) -> Tensor:
        return sum(((parameter - 1) ** 2).sum() for parameter in self.parameters())  # pyright: ignore[reportReturnType]


def step(module: Quadratic, optimizer: Any, schedule: Any, plateau: bool = False) -> float:
    optimizer.zero_grad()
    loss = module()
    loss.backward()
    rate = optimizer.param_groups[0]["lr"]
    optimizer.step()
    if plateau:
        schedule.step(1.0)
    elif schedule is not None:
        schedule.step()
    return rate


def through_json(values: Any) -> Any:
    return json.loads(json.dumps(values))


def assert_resumed_is_straight(settings: TrainingSettings, dtype: torch.dtype = torch.float32) -> None:
    plateau = settings.schedule == "ReduceLROnPlateau"
    straight = Quadratic(dtype)
    optimizer = make_optimizer(settings, straight)
    schedule = make_schedule(settings, optimizer)
    for _ in range(settings.max_steps // 2):
        step(straight, optimizer, schedule, plateau)
    tensors, groups = split_optimizer(optimizer)
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    groups, values = through_json(groups), through_json(schedule_values(schedule))
    resumed = Quadratic(dtype, seed=5)
    resumed.load_state_dict(straight.state_dict())
    other = make_optimizer(settings, resumed)
    other_schedule = make_schedule(settings, other)
    restore_optimizer(other, tensors, groups)
    restore_schedule(other_schedule, values)
    for _ in range(settings.max_steps - settings.max_steps // 2):
        rate = step(straight, optimizer, schedule, plateau)
        assert step(resumed, other, other_schedule, plateau) == rate
    for name, tensor in straight.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], tensor), name
        assert not torch.equal(tensor, Quadratic(dtype).state_dict()[name]), name


@covering.parametrize(
    {"optimizer": OPTIMIZERS, "schedule": SCHEDULES, "warmup_steps": [0, 4, 12]},
    where=lambda optimizer, schedule, warmup_steps: not warmup_steps or schedule in WITH_WARMUP,
)
def test_resumed_is_straight(optimizer: Any, schedule: Any, warmup_steps: int) -> None:
    assert_resumed_is_straight(
        TrainingSettings(
            max_steps=16,
            optimizer=optimizer,
            learning_rate=0.1,
            weight_decay=0.01,
            schedule=schedule,
            warmup_steps=warmup_steps,
        )
    )


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_resumed_is_straight_in_other_types(optimizer: Any) -> None:
    for dtype in (torch.float64, torch.bfloat16):
        assert_resumed_is_straight(TrainingSettings(max_steps=16, optimizer=optimizer, learning_rate=1.0), dtype)


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "SGD", "momentum": 0.9},
        {"optimizer": "RMSprop", "momentum": 0.9},
        {"optimizer": "Adam", "betas": (0.8, 0.95)},
    ],
)
def test_momentum_and_betas_reach_the_optimizer(options: dict[str, Any]) -> None:
    settings = TrainingSettings(max_steps=16, learning_rate=0.01, **options)
    for group in make_optimizer(settings, Quadratic()).param_groups:
        for name in ("momentum", "betas"):
            if name in options:
                assert group[name] == options[name]
    assert_resumed_is_straight(settings)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_is_of_that_class_with_these_rates(name: Any) -> None:
    optimizer = make_optimizer(TrainingSettings(optimizer=name, learning_rate=0.3, weight_decay=0.2), Quadratic())
    assert type(optimizer) is getattr(torch.optim, name)
    assert [(group["lr"], group["weight_decay"]) for group in optimizer.param_groups] == [(0.3, 0.2), (0.3, 0.0)]


class Doubled(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return 2 * weight


def decayed(module: nn.Module) -> set[str]:
    """Names of the parameters that weight decay reaches."""
    optimizer = make_optimizer(TrainingSettings(weight_decay=0.1), module)
    found = {
        id(parameter) for group in optimizer.param_groups if group["weight_decay"] for parameter in group["params"]
    }
    return {name for name, parameter in module.named_parameters() if id(parameter) in found}


def test_weight_decay_is_for_matrices() -> None:
    module = nn.ModuleDict(
        {
            "lstm": Recurrent(cells.PeepholeLSTM(), 2, 3, bidirectional=True),
            "norm": nn.LayerNorm([2, 3]),
            "head": nn.Linear(3, 1),
        }
    )
    directions = ("", "_reverse")
    matrices = {f"lstm.{name}_l0{end}" for name in ("weight_ih", "weight_hh") for end in directions}
    assert decayed(module) == matrices | {"head.weight"}


def test_weight_decay_spares_a_diagonal_recurrence() -> None:
    layer = Recurrent(cells.IndRNN(), 2, 3, num_layers=2, bidirectional=True)
    assert layer.weight_hh_l0.ndim == 2
    assert decayed(layer) == {f"weight_ih_l{k}{end}" for k in (0, 1) for end in ("", "_reverse")}
    assert decayed(RecurrentCell(cells.IndRNN(), 2, 3)) == {"weight_ih"}
    parametrize.register_parametrization(layer, "weight_hh_l0", Doubled())
    assert not [name for name in decayed(layer) if "weight_hh" in name]


def test_only_what_requires_a_gradient_is_held() -> None:
    module = Quadratic()
    module.vector.requires_grad_(False)
    module.number.requires_grad_(False)
    optimizer = make_optimizer(TrainingSettings(weight_decay=0.1), module)
    assert [group["params"] for group in optimizer.param_groups] == [[module.matrix]]
    module.matrix.requires_grad_(False)
    with pytest.raises(ParameterError, match=r"^module: expected .* got 'Quadratic'"):
        make_optimizer(TrainingSettings(), module)


class Slow(nn.Linear):
    learning_rate_factor = 0.1


@pytest.mark.parametrize(
    ("schedule", "warmup_steps"), [("OneCycleLR", 0), ("LinearLR", 0), ("LinearLR", 2), ("ReduceLROnPlateau", 0)]
)
def test_a_part_with_a_factor_has_a_rate_of_its_own(schedule: Any, warmup_steps: int) -> None:
    module = nn.Sequential(Slow(2, 3), nn.Linear(3, 1))
    settings = TrainingSettings(learning_rate=0.1, schedule=schedule, max_steps=9, warmup_steps=warmup_steps)
    optimizer = make_optimizer(settings, module)
    slow = {id(parameter) for parameter in module[0].parameters()}
    following = make_schedule(settings, optimizer)
    for _ in range(5):
        first = optimizer.param_groups[0]["lr"]
        for group in optimizer.param_groups:
            found = {id(parameter) in slow for parameter in group["params"]}
            assert len(found) == 1
            assert group["lr"] == pytest.approx(first * (0.1 if found.pop() else 1.0))
        optimizer.step()
        following.step(*[1.0] * (schedule == "ReduceLROnPlateau"))
    assert [bool(group["weight_decay"]) for group in optimizer.param_groups] == [settings.weight_decay > 0, False] * 2


def rates(name: Any, max_steps: int, warmup_steps: int = 0) -> list[float]:
    """The learning rate of each step, and the one after the last."""
    settings = TrainingSettings(
        max_steps=max_steps, optimizer="SGD", learning_rate=0.1, schedule=name, warmup_steps=warmup_steps
    )
    module = Quadratic()
    optimizer = make_optimizer(settings, module)
    schedule = make_schedule(settings, optimizer)
    found = [step(module, optimizer, schedule) for _ in range(max_steps)]
    assert len({group["lr"] for group in optimizer.param_groups}) == 1
    return [*found, optimizer.param_groups[0]["lr"]]


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


@pytest.mark.parametrize("name", WITH_WARMUP)
@pytest.mark.parametrize(("warmup_steps", "max_steps"), [(1, 2), (1, 9), (4, 5), (5, 20)])
def test_warm_up_is_a_line_before_the_schedule(name: str, warmup_steps: int, max_steps: int) -> None:
    found = rates(name, max_steps, warmup_steps)
    line = [0.1 * k / (warmup_steps + 1) for k in range(1, warmup_steps + 1)]
    assert found[:warmup_steps] == pytest.approx(line)
    # What follows is the schedule as it is without warm-up, over the steps that are left.
    assert found[warmup_steps:] == pytest.approx(rates(name, max_steps - warmup_steps), abs=1e-12)


def test_a_plateau_halves_the_rate_after_three_validations_without_a_better_loss() -> None:
    settings = TrainingSettings(optimizer="SGD", learning_rate=0.1, schedule="ReduceLROnPlateau")
    optimizer = make_optimizer(settings, Quadratic())
    schedule = make_schedule(settings, optimizer)
    found = []
    for loss in (3.0, 2.0, 2.0, 2.0, 2.0, math.nan, 1.0):
        schedule.step(loss)
        found.append(optimizer.param_groups[0]["lr"])
    assert found == [0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05]


def test_a_constant_rate_has_no_schedule_and_no_state() -> None:
    settings = TrainingSettings(schedule="constant")
    schedule = make_schedule(settings, make_optimizer(settings, Quadratic()))
    assert schedule is None
    assert schedule_values(schedule) is None
    restore_schedule(schedule, None)
