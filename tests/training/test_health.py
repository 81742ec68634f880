"""The health of gradients: figures by parameter, and warnings that name the layer."""

import math
import re

import pytest
import torch
from torch import nn

import recurra
from recurra.training.health import Health, layer_of, not_finite


@pytest.mark.parametrize(
    ("parameter", "layer"),
    [
        ("encoder.weight_hh_l1_reverse", "encoder layer 2 reverse"),
        ("net.encoder.bias_ih_l0", "net.encoder layer 1"),
        ("weight_hh_l0", "layer 1"),
        ("head.weight", "head"),
        ("scale", "scale"),
    ],
)
def test_the_layer_of_a_parameter(parameter: str, layer: str) -> None:
    assert layer_of(parameter) == layer


def test_every_parameter_of_a_stack_has_a_layer() -> None:
    layers = {layer_of(name) for name, _ in recurra.LSTM(2, 3, 2, bidirectional=True).named_parameters()}
    assert layers == {"layer 1", "layer 1 reverse", "layer 2", "layer 2 reverse"}


def look(health: Health, module: nn.Module, grads: list[float], step: int = 10, rate: float = 0.0) -> list:
    for parameter, size in zip(module.parameters(), grads, strict=True):
        parameter.grad = torch.full_like(parameter, size)
    health.see_gradients()
    health.see_weights()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter -= rate * parameter
    return health.figures(step)


def test_the_figures_are_norms() -> None:
    module = nn.Linear(3, 4)
    nn.init.constant_(module.weight, 2.0)
    nn.init.zeros_(module.bias)
    weight, bias = look(Health(module, 10), module, [0.5, 0.25], rate=0.125)
    assert (weight.parameter, bias.parameter) == ("weight", "bias")
    assert weight.grad_norm == pytest.approx(0.5 * math.sqrt(12))
    assert weight.weight_norm == pytest.approx(2 * math.sqrt(12))
    assert weight.update_ratio == pytest.approx(0.125)
    assert bias.grad_norm == pytest.approx(0.5)
    assert math.isnan(bias.update_ratio)


def test_it_is_due_at_the_first_step_and_every_so_many() -> None:
    module = nn.Linear(1, 1)
    assert [step for step in range(1, 11) if Health(module, 4).is_due(step)] == [1, 4, 8]
    assert not any(Health(module, 0).is_due(step) for step in range(1, 11))


def stack() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))


def test_a_layer_whose_gradient_vanishes_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    module = stack()
    health = Health(module, 1)
    for _ in range(4):
        look(health, module, [1e-9, 1.0, 1.0])
    look(health, module, [1e-3, 1.0, 1.0])  # not five in a row yet
    for _ in range(4):
        look(health, module, [1e-9, 1.0, 1.0])
    assert caplog.text == ""
    look(health, module, [1e-9, 1.0, 1.0], step=77)
    (message,) = caplog.messages
    assert re.search(r"step 77: .*vanishes in 0: 1\.0e-09", message)
    assert "chrono initialisation" in message
    for _ in range(20):
        look(health, module, [1e-9, 1.0, 1.0])
    assert len(caplog.messages) == 1


def test_a_layer_whose_gradient_explodes_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    module = stack()
    health = Health(module, 1)
    for _ in range(5):
        look(health, module, [1.0, 1.0, 1.0])
    assert caplog.text == ""
    for _ in range(3):
        look(health, module, [1.0, 1.0, 1000.0], step=9)
        health = again(health, module)
    (message,) = caplog.messages
    assert re.search(r"step 9: .*explodes in 2: .*2\.0e\+03.* 2\.0e\+00", message)
    assert "clipping" in message


def settled(module: nn.Module) -> Health:
    """Gradients that were large at first, and are tiny now that the loss is near zero."""
    health = Health(module, 1)
    for size in (3.0, 1.0, 0.1, *[1e-3] * 100):
        look(health, module, [size, size, size])
    return again(health, module)


def test_a_spike_of_a_tiny_gradient_is_not_an_explosion(caplog: pytest.LogCaptureFixture) -> None:
    module = stack()
    # A norm of 40 is thousands of times the running mean, but the run has begun with norms of 6.
    look(settled(module), module, [1e-3, 1e-3, 20.0])
    # Beside a gradient that was tiny from the beginning, a norm of 4 is large, and nevertheless harmless.
    health = Health(module, 1)
    look(health, module, [1e-5, 1e-5, 1e-5])
    look(health, module, [1e-5, 1e-5, 2.0])
    assert caplog.text == ""


def test_an_explosion_after_the_gradient_was_tiny_is_named(caplog: pytest.LogCaptureFixture) -> None:
    module = stack()
    look(settled(module), module, [1e-3, 1e-3, 50.0], step=104)
    (message,) = caplog.messages
    assert re.search(r"step 104: .*explodes in 2: its norm is 1\.0e\+02", message)


def again(health: Health, module: nn.Module) -> Health:
    """The same after saving and loading."""
    restored = Health(module, 1)
    restored.load_state_dict(health.state_dict())
    return restored


def test_parameters_without_a_gradient_count_as_zero() -> None:
    module = stack()
    health = Health(module, 1)
    health.see_gradients()
    health.see_weights()
    assert [figures.grad_norm for figures in health.figures(1)] == [0, 0, 0]


def test_gradients_that_are_not_finite_are_named() -> None:
    module = stack()
    for parameter, value in zip(module.parameters(), (1.0, math.nan, -math.inf), strict=True):
        parameter.grad = torch.ones_like(parameter)
        parameter.grad[1, 0] = value
    assert not_finite(module) == ["1.weight", "2.weight"]
