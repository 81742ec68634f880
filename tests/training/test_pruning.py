"""Gradual pruning by blocks: its schedule, which blocks it takes, and that they stay zero."""

from pathlib import Path
from typing import Any

import pytest
import torch
from small_task import assert_same, make_trainer, signal_at, validate, weights
from torch import Tensor, nn

import covering
import recurra
from recurra.cells import LMU, MGU, IndRNN
from recurra.errors import ParameterError, RunError
from recurra.layers import Recurrent
from recurra.training import (
    BlockPruning,
    TrainingInterruptedError,
    TrainingSettings,
    block_sparsity,
    scheduled_sparsity,
)

SPARSE: dict[str, Any] = {"sparsity": 0.75, "pruning_every": 3, "pruning_end": 0.8}


class Wide(nn.Module):
    """The small task with a layer that has blocks: reads (B, T, 2), answers (B, 1)."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.inputs = nn.Linear(2, 32)
        self.encoder = recurra.GRU(32, 40, batch_first=True)
        self.head = nn.Linear(40, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Any]:
        output, state = self.encoder(self.inputs(x))
        return self.head(output[:, -1]), state


def pruning(module: nn.Module, **options: Any) -> BlockPruning:
    values: dict[str, Any] = {"max_steps": 10, "sparsity": 0.5, "pruning_begin": 0.0, "pruning_end": 0.1}
    return BlockPruning(module, TrainingSettings(**values | options))


def test_the_schedule_is_the_published_cubic() -> None:
    settings = TrainingSettings(
        max_steps=1000, sparsity=0.9, initial_sparsity=0.1, pruning_begin=0.2, pruning_end=0.6, pruning_every=100
    )
    # t0 = 200, n = 4, dt = 100.
    expected = {199: 0.0, 200: 0.1, 299: 0.1, 300: 0.9 - 0.8 * 0.75**3, 399: 0.9 - 0.8 * 0.75**3, 500: 0.9 - 0.8 / 64}
    expected |= {599: expected[500], 600: 0.9, 1000: 0.9}
    assert {step: scheduled_sparsity(settings, step) for step in expected} == pytest.approx(expected)


@pytest.mark.parametrize("by", ["mean", "max"])
def test_the_blocks_of_the_smallest_magnitude_are_pruned(by: str) -> None:
    """Of two gates of 20 units, which read 40 columns: blocks at the edges are smaller ones."""
    layer = Recurrent(MGU(), 40, 20)
    weight = layer.get_parameter("weight_ih_l0")
    magnitudes = torch.arange(1.0, 13.0).view(2, 2, 3)[torch.tensor([1, 0])]
    with torch.no_grad():
        wide = magnitudes.repeat_interleave(16, 1)[:, :20].repeat_interleave(16, 2)[:, :, :40]
        signs = torch.where(torch.arange(40) % 2 == 0, 1.0, -1.0)
        weight.copy_((wide * signs).reshape(40, 40))
        # One large value in the smallest block, whose mean it hardly moves.
        weight[20, 0] = 11.5
    pruning(layer, pruned_weights="input", pruning_by=by).prune(10)
    zero = (weight.view(2, 20, 40) == 0).detach()
    expected = (magnitudes <= 6.0) if by == "mean" else (magnitudes > 1.0) & (magnitudes <= 7.0)
    # The mean of the block with the large value is about 1.04.
    assert torch.equal(zero, expected.repeat_interleave(16, 1)[:, :20].repeat_interleave(16, 2)[:, :, :40])
    assert block_sparsity(layer)["weight_ih_l0"] == pytest.approx(0.5)
    assert block_sparsity(layer)["weight_hh_l0"] == pytest.approx(0.0)


@covering.parametrize(
    {"optimizer": ["AdamW", "SGD", "NAdam"], "averaging": [0.0, 0.9], "clipping": ["norm", "adaptive"]}, strength=2
)
def test_pruned_weights_stay_zero(optimizer: str, averaging: float, clipping: str, tmp_path: Path) -> None:
    module = Wide()
    settings = {**SPARSE, "optimizer": optimizer, "averaging": averaging, "clipping": clipping, "weight_decay": 0.1}
    result = make_trainer(tmp_path, module=module, settings=settings).fit()
    # Steps before the last pruning have another sparsity, and are never the best.
    assert result.best_step >= 16
    # GRU: 3 gates by 3 by 2, and by 3, blocks.
    expected = {"encoder.weight_ih_l0": round(0.75 * 18) / 18, "encoder.weight_hh_l0": round(0.75 * 27) / 27}
    assert block_sparsity(module) == pytest.approx(expected)
    kept = {name: float(torch.count_nonzero(tensor)) for name, tensor in weights(tmp_path, "best").items()}
    assert 0 < kept["encoder.weight_hh_l0"] <= 7 * 256
    assert kept["head.weight"] == 40


def test_a_resumed_run_is_pruned_alike(tmp_path: Path) -> None:
    settings = {**SPARSE, "averaging": 0.5}
    make_trainer(tmp_path / "straight", module=Wide(), settings=settings).fit()
    with pytest.raises(TrainingInterruptedError):
        make_trainer(tmp_path / "resumed", module=Wide(), settings=settings, batches=signal_at(9)).fit()
    make_trainer(tmp_path / "resumed", module=Wide(seed=5), settings=settings).fit(resume=True)
    for which, group in (("best", "model"), ("last", "model"), ("last", "pruning"), ("last", "average")):
        expected = weights(tmp_path / "straight", which, group)
        assert expected
        assert_same(weights(tmp_path / "resumed", which, group), expected)


def test_a_checkpoint_of_other_pruned_weights_is_refused(tmp_path: Path) -> None:
    make_trainer(tmp_path, module=Wide(), settings=SPARSE).fit()

    class Wider(Wide):
        def __init__(self) -> None:
            super().__init__()
            self.second = recurra.GRU(40, 40)

    with pytest.raises(RunError, match="another module"):
        make_trainer(tmp_path, module=Wider(), settings={**SPARSE, "max_steps": 30}).fit(resume=True)


def test_training_does_not_stop_early_before_the_sparsity_is_reached() -> None:
    settings = {"sparsity": 0.5, "pruning_every": 2, "pruning_end": 0.5, "validate_every": 1, "patience": 3}
    result = make_trainer(module=Wide(), settings=settings, validate=lambda module: 1.0).fit()
    assert (result.best_step, result.steps) == (10, 13)


def test_blocks_never_come_back() -> None:
    layer = recurra.LSTM(32, 32)
    prune = pruning(layer, sparsity=0.5)
    prune.prune(1)
    weight = layer.get_parameter("weight_hh_l0")
    before = weight.detach().eq(0)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(1.0)
    layer(torch.zeros(2, 1, 32))[0].sum().backward()
    prune.zero_gradients()
    prune.prune(2)
    assert torch.equal(weight.detach().eq(0), before)
    assert weight.grad is not None
    assert not weight.grad[before].any()


def test_torch_layers_are_pruned_and_narrow_weights_are_not() -> None:
    module = nn.ModuleList([nn.LSTM(3, 16), nn.GRUCell(16, 16), Recurrent(IndRNN(), 16, 16), recurra.LSTM(64, 8)])
    assert set(block_sparsity(module)) == {"0.weight_hh_l0", "1.weight_ih", "1.weight_hh", "2.weight_ih_l0"}
    pruning(module).prune(10)
    assert set(block_sparsity(module).values()) <= {0.0, 0.5, 1 / 3, 2 / 3}
    assert block_sparsity(module)["0.weight_hh_l0"] == pytest.approx(0.5)


def test_gates_of_sizes_of_their_own_are_cut_together() -> None:
    layer = Recurrent(LMU(), 16, 24)
    pruning(layer).prune(10)
    # The input weights have 25 rows for 24 units: 2 by 1 blocks, and the recurrent weights 2 by 2.
    assert block_sparsity(layer) == pytest.approx({"weight_ih_l0": 0.5, "weight_hh_l0": 0.5})


@pytest.mark.parametrize("module", [nn.Linear(32, 32), recurra.LSTM(8, 8)], ids=["linear", "small"])
def test_a_module_without_blocks_is_refused(module: nn.Module) -> None:
    with pytest.raises(ParameterError, match=r"^sparsity: .*got 0\.5"):
        pruning(module)
    assert not block_sparsity(module)


def test_a_training_in_closed_form_prunes_nothing() -> None:
    settings = {"max_steps": 1, "averaging": 0.0, "sparsity": 0.5, "validate_every": 1}
    with pytest.raises(ParameterError, match="sparsity=0"):
        make_trainer(module=Wide(), settings=settings, validate=validate, solve=lambda: 0.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pruning_every": 5}, "^pruning_every: expected .*sparsity = 0"),
        ({"pruning_by": "max"}, "^pruning_by: expected .*sparsity = 0"),
        ({"sparsity": 0.5, "initial_sparsity": 0.6}, r"^initial_sparsity: .* 0\.5, got 0\.6"),
        ({"sparsity": 0.5, "pruning_begin": 0.7}, r"^pruning_begin: .* 0\.6, got 0\.7"),
        ({"sparsity": 1.0}, r"^sparsity: .*below 1"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        TrainingSettings(**options)
