"""One update: accumulation, weights of batches, penalties, precision, compilation."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from small_task import ManyToOne, assert_same, batches, differ, make_trainer, rows
from torch import nn
from torch.nn import functional as F

from recurra.errors import ParameterError
from recurra.training import Batch, Mean, evaluate

STILL: dict[str, Any] = {"optimizer": "SGD", "averaging": 0.0, "schedule": "constant", "clipping": "none"}


def cut(step: int) -> Batch:
    """The batch of the task, in three parts of different size, one after the other."""
    whole = batches((step - 1) // 3 + 1)
    part = slice(*((0, 5), (5, 6), (6, 8))[(step - 1) % 3])
    target = whole.target[part]
    return Batch(whole.inputs[part], target, len(target))


def trained(**options: Any) -> dict[str, torch.Tensor]:
    module = ManyToOne(dropout=0.0)
    settings = STILL | options.pop("settings", {})
    make_trainer(module=module, settings=settings, validate=None, **options).fit()
    return dict(module.state_dict())


def test_accumulated_parts_are_the_whole_batch() -> None:
    whole = trained()
    for name, tensor in trained(batches=cut, settings={"accumulation": 3}).items():
        torch.testing.assert_close(tensor, whole[name], rtol=1e-4, atol=1e-6)


def test_the_logged_loss_is_that_of_all_parts(tmp_path: Path) -> None:
    options: dict[str, Any] = {"settings": STILL, "validate": None}
    make_trainer(tmp_path / "whole", module=ManyToOne(dropout=0.0), **options).fit()
    options["settings"] = STILL | {"accumulation": 3}
    make_trainer(tmp_path / "parts", module=ManyToOne(dropout=0.0), batches=cut, **options).fit()
    expected = [float(row["loss"]) for row in rows(tmp_path / "whole")]
    assert [float(row["loss"]) for row in rows(tmp_path / "parts")] == pytest.approx(expected, rel=1e-4)


def test_a_part_of_no_weight_changes_nothing() -> None:
    def with_nothing(step: int) -> Batch:
        batch = batches((step + 1) // 2)
        return batch if step % 2 else Batch(batch.inputs * 2, batch.target - 9, 0.0)

    assert_same(trained(batches=with_nothing, settings={"accumulation": 2}), trained())


@pytest.mark.parametrize("optimizer", ["AdamW", "SGD"])
def test_frozen_weights_stay_until_their_step(optimizer: str) -> None:
    settings = {"optimizer": optimizer, "weight_decay": 0.1, "max_steps": 6, "clipping": "norm", "max_grad_norm": 1e-3}
    start = dict(ManyToOne(dropout=0.0).state_dict())
    frozen = {"encoder.weight_hh_l0": 5, "encoder.bias_ih_l0": 6}
    # A module of its own for each length: its weights after 5 and after 6 steps.
    after_five, after_six = (trained(settings={**settings, "max_steps": steps}, frozen=frozen) for steps in (5, 6))
    assert torch.equal(after_five["encoder.weight_hh_l0"], start["encoder.weight_hh_l0"])
    assert not torch.equal(after_six["encoder.weight_hh_l0"], start["encoder.weight_hh_l0"])
    assert torch.equal(after_six["encoder.bias_ih_l0"], start["encoder.bias_ih_l0"])
    assert not torch.equal(after_five["encoder.weight_ih_l0"], start["encoder.weight_ih_l0"])
    # The limit of the norm is spent on what trains.
    assert differ(
        {"x": after_five["head.weight"]}, {"x": trained(settings={**settings, "max_steps": 5})["head.weight"]}
    )


def test_a_name_that_no_parameter_has_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"frozen: .*'encoder\.weight'"):
        make_trainer(frozen={"encoder.weight": 3})


def test_an_update_of_no_weight_is_none(tmp_path: Path) -> None:
    def every_other(step: int) -> Batch:
        batch = batches((step + 1) // 2)
        return batch if step % 2 else Batch(batch.inputs, batch.target * math.nan, 0.0)

    module = ManyToOne(dropout=0.0)
    settings = STILL | {"max_steps": 40}
    result = make_trainer(tmp_path, module=module, settings=settings, validate=None, batches=every_other).fit()
    assert result.skipped == 0
    assert_same(dict(module.state_dict()), trained())
    assert [row["loss"] == "" for row in rows(tmp_path)] == [False, True, True, True, True]


def test_buffers_are_those_before_a_skipped_step() -> None:
    class Normalized(ManyToOne):
        def __init__(self) -> None:
            super().__init__(dropout=0.0)
            self.norm = nn.BatchNorm1d(2)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, Any]:
            return super().forward(self.norm(x.transpose(1, 2)).transpose(1, 2))

    def spoiled(step: int) -> Batch:
        batch = batches(step)
        return Batch(batch.inputs * (math.inf if step == 5 else 1), batch.target)

    module = Normalized()
    assert make_trainer(module=module, batches=spoiled).fit().skipped == 1
    assert module.norm.running_mean is not None
    assert module.norm.running_mean.isfinite().all()


def test_penalties_are_in_the_gradient_and_not_in_the_logged_loss(tmp_path: Path) -> None:
    found = {}
    for weight in (0.0, 5.0):
        module = ManyToOne(dropout=0.0)
        penalties = {"activation_penalty": weight, "temporal_activation_penalty": weight}
        settings = STILL | penalties | {"learning_rate": 0.1}
        make_trainer(tmp_path / f"{weight}", module=module, settings=settings).fit()
        output, _ = module.encoder(batches(1).inputs)
        found[weight] = float(output.detach().square().mean())
    assert found[5.0] < 0.8 * found[0.0]
    first = [rows(tmp_path / f"{weight}")[0] for weight in (0.0, 5.0)]
    assert first[0]["loss"] == first[1]["loss"]
    assert float(first[1]["grad_norm"]) > 1.1 * float(first[0]["grad_norm"])


@pytest.mark.filterwarnings("ignore:.*backend.*")
def test_mixed_precision_learns_with_weights_in_float32() -> None:
    module = ManyToOne(dropout=0.0)
    seen = []
    module.head.register_forward_hook(lambda *given: seen.append(given[2].dtype))
    result = make_trainer(module=module, settings={"precision": "bfloat16", "max_steps": 60}).fit()
    assert torch.bfloat16 in seen
    assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}
    assert result.best_loss < 0.5 * F.mse_loss(torch.zeros(8, 1), batches(10_000).target).item()


def test_half_precision_is_refused_on_a_cpu() -> None:
    with pytest.raises(ParameterError, match=r"precision: expected float32 or bfloat16 .* CPU, got 'float16'"):
        make_trainer(settings={"precision": "float16"})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_compiled_module_trains_as_it_does_without() -> None:
    plain = trained(settings={"max_steps": 3})
    for name, tensor in trained(settings={"max_steps": 3, "compile": True}).items():
        torch.testing.assert_close(tensor, plain[name], rtol=1e-4, atol=1e-6)


def test_a_module_without_parameters_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"module: expected a module .* got 'Identity'"):
        make_trainer(module=nn.Identity())


def test_evaluation_counts_batches_by_weight() -> None:
    module = ManyToOne(dropout=0.0).eval()
    total, weight = evaluate(module, F.mse_loss, [cut(1), cut(2), Batch(cut(3).inputs, None, 0.0), cut(3)])
    whole = batches(1)
    with torch.no_grad():
        expected = F.mse_loss(module(whole.inputs)[0], whole.target).item()
    assert weight == 8
    assert total / weight == pytest.approx(expected, rel=1e-5)


def test_a_validation_may_give_its_mean_in_parts() -> None:
    first = make_trainer(validate=lambda module: 0.25).fit()
    second = make_trainer(validate=lambda module: Mean(1.0, 4.0)).fit()
    assert first.best_loss == second.best_loss == 0.25
