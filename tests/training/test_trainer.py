"""The training loop: what it minimises, keeps, refuses, and how it ends."""

import json
import math
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from small_task import (
    FILES,
    QUICK,
    ManyToOne,
    assert_same,
    batches,
    differ,
    make_trainer,
    rows,
    signal_at,
    validate,
    weights,
)
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.errors import ParameterError, RunError
from recurra.training import (
    Batch,
    Trainer,
    TrainingInterruptedError,
    TrainingResult,
    TrainingSettings,
    Truncation,
    load_checkpoint,
    load_last,
    read_log,
)


def copied(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def scripted(losses: list[float], seen: list[dict[str, Tensor]] | None = None) -> Any:
    """A validation that answers with these losses in turn, whatever the module, and notes its weights."""
    left = iter(losses)

    def validation(module: nn.Module) -> float:
        assert not module.training
        assert not torch.is_grad_enabled()
        if seen is not None:
            seen.append(copied(module))
        return next(left)

    return validation


class WithoutState(nn.Module):
    def __init__(self, returned: Any = lambda y: y) -> None:
        super().__init__()
        self.head = nn.Linear(2, 1)
        self.returned = returned

    def forward(self, x: Tensor) -> Any:
        return self.returned(self.head(x[:, -1]))


def test_first_mistakes_are_named_with_what_mends_them() -> None:
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.randn(4, 3, 2), torch.randn(4, 1)))
    with pytest.raises(ParameterError, match=r"batches: expected a function .*'DataLoader'.* pairs = list\(loader\)"):
        Trainer(ManyToOne(), F.mse_loss, loader, TrainingSettings(max_steps=1))  # pyright: ignore[reportArgumentType]
    pairs = list(loader)
    trainer = Trainer(ManyToOne(), F.mse_loss, lambda n: pairs[n - 1], TrainingSettings(max_steps=1))
    with pytest.raises(ParameterError, match=r"Batch for index 1, got 'list'\. Return Batch\(inputs, target\)"):
        trainer.fit()
    for returned, words in ((lambda y: y, "'Tensor'"), (lambda y: (y, None, None), "'tuple of 3'")):
        trainer = Trainer(
            WithoutState(returned), F.mse_loss, lambda n: Batch(*pairs[n - 1]), TrainingSettings(max_steps=1)
        )
        with pytest.raises(
            ParameterError, match=rf"module: .*\(output, state\), got {words}\. Return \(output, None\)"
        ):
            trainer.fit()
    module = WithoutState(lambda y: (y, None))
    assert Trainer(module, F.mse_loss, lambda n: Batch(*pairs[n - 1]), TrainingSettings(max_steps=2)).fit().steps == 2


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"module": F.relu}, "module: expected a torch.nn.Module, got 'function'"),
        ({"loss": "mse"}, "loss: expected a function .* As in: loss=torch.nn.functional.mse_loss"),
        ({"batches": lambda: None}, "batches: expected a function from the index .* As in: batches=lambda index"),
        ({"settings": {"max_steps": 1}}, r"settings: .*TrainingSettings\(\*\*settings\)"),
        ({"validate": [1]}, "validate: expected a function .* lambda module: evaluate"),
        ({"truncation": Truncation(3)}, "truncation: .* a module that takes no state, .*leave truncation out"),
    ],
)
def test_an_argument_of_another_kind_is_named_before_training(wrong: dict[str, Any], words: str) -> None:
    arguments = {
        "module": WithoutState(lambda y: (y, None)),
        "loss": F.mse_loss,
        "batches": lambda index: Batch(torch.zeros(4, 3, 2), torch.zeros(4, 1)),
        "settings": TrainingSettings(max_steps=1),
    }
    with pytest.raises(ParameterError, match=words):
        Trainer(**{**arguments, **wrong})


def test_a_loss_is_one_number_and_a_folder_may_be_text(tmp_path: Path) -> None:
    batch = Batch(torch.zeros(4, 3, 2), torch.zeros(4, 1))
    for loss, words in ((lambda y, _: y[:, 0], r"one number, got 'the shape \(4,\)'"), (lambda *_: 1.0, "got 'float'")):
        trainer = Trainer(WithoutState(lambda y: (y, None)), loss, lambda _: batch, TrainingSettings(max_steps=1))  # type: ignore[arg-type]
        with pytest.raises(ParameterError, match=f"loss: .*{words}"):
            trainer.fit()
    module, settings = WithoutState(lambda y: (y, None)), TrainingSettings(max_steps=1)
    Trainer(module, F.mse_loss, lambda _: batch, settings, folder=str(tmp_path / "run")).fit()
    assert (tmp_path / "run" / "best.safetensors").is_file()


def test_a_small_lstm_learns() -> None:
    module = ManyToOne(dropout=0.0)
    before = validate(module)
    settings = {"max_steps": 200, "validate_every": 50, "learning_rate": 0.03, "averaging": 0.9}
    trainer = make_trainer(module=module, settings=settings)
    result = trainer.fit()
    assert result.best_loss < before / 4
    assert validate(module) == result.best_loss
    assert not module.training
    assert (result.steps, result.stopped_early) == (200, False)
    assert result.seconds > 0


def test_the_norm_of_the_gradient_is_bounded(tmp_path: Path) -> None:
    moved = []
    module = ManyToOne(dropout=0.0)
    last = [copied(module)]

    def watched(step: int) -> Batch:
        now = copied(module)
        if step > 1:
            moved.append(math.sqrt(sum(float(((now[name] - last[0][name]) ** 2).sum()) for name in now)))
        last[0] = now
        return batches(step)

    settings = {
        "optimizer": "SGD",
        "schedule": "constant",
        "learning_rate": 1.0,
        "max_grad_norm": 0.01,
        "averaging": 0.0,
    }
    trainer = make_trainer(
        tmp_path, module=module, settings=settings, batches=watched, loss=lambda output, y: 1000 * F.mse_loss(output, y)
    )
    trainer.fit()
    assert moved == pytest.approx([0.01] * 19, rel=1e-3)
    assert all(float(row["grad_norm"]) > 1 for row in rows(tmp_path))  # the log has it as it was before clipping


def test_without_a_bound_the_gradient_is_left_as_it_is(tmp_path: Path) -> None:
    module = ManyToOne(dropout=0.0)
    before = copied(module)
    settings = {"max_steps": 1, "optimizer": "SGD", "schedule": "constant", "max_grad_norm": 0.0, "averaging": 0.0}
    trainer = make_trainer(
        tmp_path, module=module, settings=settings, loss=lambda output, y: 1000 * F.mse_loss(output, y)
    )
    trainer.fit()
    after = module.state_dict()
    moved = math.sqrt(sum(float(((after[name] - before[name]) ** 2).sum()) for name in after))
    assert moved == pytest.approx(float(rows(tmp_path)[0]["grad_norm"]) * QUICK["learning_rate"], rel=1e-4)
    assert moved > QUICK["learning_rate"]


def test_early_stopping_keeps_the_best_weights(tmp_path: Path) -> None:
    module, seen = ManyToOne(), []
    validation = scripted([5.0, 4.0, 3.0, 3.5, 3.0, math.nan, 1.0], seen)
    trainer = make_trainer(
        tmp_path, module=module, validate=validation, settings={"validate_every": 2, "patience": 3, "max_steps": 100}
    )
    result = trainer.fit()
    assert (result.steps, result.best_step, result.best_loss, result.stopped_early) == (12, 6, 3.0, True)
    assert_same(dict(module.state_dict()), seen[2])
    assert_same(weights(tmp_path), seen[2])
    assert differ(seen[2], seen[5])
    assert load_checkpoint(tmp_path / "best.safetensors").values == {"step": 6, "loss": 3.0, "skipped": 0}
    assert not module.training


def test_without_patience_it_goes_on_to_the_end_and_keeps_the_best() -> None:
    module, seen = ManyToOne(), []
    result = make_trainer(module=module, validate=scripted([2.0, 1.0, 3.0, 4.0, 5.0], seen)).fit()
    assert (result.steps, result.best_step, result.stopped_early) == (20, 8, False)
    assert_same(dict(module.state_dict()), seen[1])


def test_the_last_step_is_validated_too() -> None:
    seen = []
    settings = {"max_steps": 10, "validate_every": 4}
    result = make_trainer(validate=scripted([3.0, 2.0, 1.0], seen), settings=settings).fit()
    assert (result.best_step, len(seen)) == (10, 3)


@pytest.mark.parametrize("averaging", [0.0, 0.9])
def test_without_validation_the_last_weights_are_kept(averaging: float, tmp_path: Path) -> None:
    module = ManyToOne()
    held: list[dict[str, Tensor]] = []

    def watched(step: int) -> Batch:
        held.append(copied(module))
        return batches(step)

    trainer = make_trainer(
        tmp_path, module=module, batches=watched, validate=None, settings={"averaging": averaging, "patience": 1}
    )
    result = trainer.fit()
    assert (result.steps, result.best_step, result.best_loss) == (20, 20, math.inf)
    held.append(weights(tmp_path, "last"))
    expected = held[1]
    for before, later in enumerate(held[2:], 1):
        decay = min(averaging, before / (before + 9))
        expected = {name: decay * expected[name] + (1 - decay) * later[name] for name in expected}
    for name, tensor in module.state_dict().items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-5, atol=1e-6)
    assert_same(weights(tmp_path), copied(module))
    assert differ(held[-1], copied(module)) == (averaging > 0)


def test_buffers_are_averaged_modules_too() -> None:
    class Normalized(ManyToOne):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(2)

        def forward(self, x: Tensor) -> tuple[Tensor, Any]:
            return super().forward(self.norm(x.transpose(1, 2)).transpose(1, 2))

    module = Normalized()
    make_trainer(module=module, validate=None).fit()
    assert module.norm.num_batches_tracked == 20


def spoiled(bad: float, *steps: int) -> Any:
    """The batches of the task, the targets of some multiplied."""

    def spoiling(step: int) -> Batch:
        batch = batches(step)
        return Batch(batch.inputs, batch.target * bad) if step in steps else batch

    return spoiling


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_a_step_that_is_not_finite_is_skipped_and_reported(
    bad: float, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    module = ManyToOne()
    result = make_trainer(tmp_path, module=module, batches=spoiled(bad, 7, 8)).fit()
    assert (result.steps, result.skipped) == (20, 2)
    assert "step 7 (batch 7) is skipped: the loss is" in caplog.text
    assert "first in encoder layer 1, encoder.weight_ih_l0" in caplog.text
    found = read_log(tmp_path / "skipped.csv")
    assert {(row["step"], row["batches"]) for row in found} == {("7", "7"), ("8", "8")}
    assert {row["parameter"] for row in found if row["step"] == "8"} == set(dict(module.named_parameters()))
    assert {row["layer"] for row in found} == {"encoder layer 1", "head"}
    assert [row["skipped"] for row in rows(tmp_path)] == ["0", "0", "2", "2", "2", "2", "2"]
    assert all(parameter.isfinite().all() for parameter in module.parameters())


def test_a_skipped_step_changes_nothing(tmp_path: Path) -> None:
    settings = {"averaging": 0.0, "schedule": "constant", "max_steps": 7, "health_every": 0}
    spared, skipping = ManyToOne(dropout=0), ManyToOne(dropout=0)
    make_trainer(module=spared, settings=settings | {"max_steps": 6}, validate=None).fit()
    make_trainer(module=skipping, settings=settings, validate=None, batches=spoiled(math.nan, 7)).fit()
    assert_same(dict(skipping.state_dict()), dict(spared.state_dict()))


def test_too_many_skipped_in_a_row_stop_with_advice_and_a_checkpoint(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    settings = {"max_skipped": 2}
    with pytest.raises(RunError, match=r"step 9: .* 3 .* row .*data of.*a lower learning_rate \(now 0\.01\)"):
        make_trainer(tmp_path, settings=settings, batches=spoiled(math.nan, 4, 5, 7, 8, 9, 10)).fit()
    assert signal.getsignal(signal.SIGINT) is before
    assert load_last(tmp_path).values["step"] == 9
    for which in ("best", "last"):
        assert all(tensor.isfinite().all() for tensor in weights(tmp_path, which).values())
    # The count goes on over the interruption: the tenth is the fourth in a row.
    with pytest.raises(RunError, match=r"step 10: .* 4 times in a row"):
        make_trainer(tmp_path, settings=settings, batches=spoiled(math.nan, 10)).fit(resume=True)
    assert make_trainer(tmp_path, settings=settings).fit(resume=True).skipped == 6


def test_a_gradient_that_is_not_finite_stops_too() -> None:
    def root(output: Tensor, target: Tensor) -> Tensor:
        return ((output - output.detach()) ** 2).sum().sqrt()

    module = ManyToOne()
    before = copied(module)
    settings = {"max_skipped": 0}
    with pytest.raises(RunError, match=r"step 1: .* finite 1 .* row"):
        make_trainer(module=module, loss=root, settings=settings).fit()
    assert_same(dict(module.state_dict()), before)


def test_the_seed_decides() -> None:
    found = []
    for seed in (0, 0, 1):
        module = ManyToOne(dropout=0.5)
        make_trainer(module=module, settings={"seed": seed}).fit()
        found.append(copied(module))
    assert_same(found[1], found[0])
    assert differ(found[2], found[0])


def test_no_bar_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    make_trainer(tmp_path).fit()
    assert capsys.readouterr() == ("", "")
    make_trainer(progress=False).fit()
    assert capsys.readouterr() == ("", "")
    make_trainer(progress=True).fit()
    out, err = capsys.readouterr()
    assert out == ""
    assert "training: 100%" in err
    assert "20/20" in err


def test_without_a_folder_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_trainer().fit()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("keep", [1, 3])
def test_a_folder_is_made_and_holds_the_last_checkpoints(keep: int, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "run"
    make_trainer(folder, settings={"keep": keep}).fit()
    kept = {f"checkpoint-{step}.safetensors" for step in (20, 16, 12)[:keep]}
    assert {file.name for file in folder.iterdir()} == {*FILES, *kept}


def test_what_made_a_run_is_written_down(tmp_path: Path) -> None:
    make_trainer(tmp_path, settings={"seed": 3}, record={"initialization": {"encoder": "orthogonal"}}).fit()
    record = json.loads((tmp_path / "training.json").read_text())
    assert record["settings"]["seed"] == 3
    assert record["parameters"] == sum(parameter.numel() for parameter in ManyToOne().parameters())
    assert (record["processes"], record["device"]) == (1, "cpu")
    assert record["initialization"] == {"encoder": "orthogonal"}


def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"file/run: cannot be written"):
        make_trainer(tmp_path / "file" / "run").fit()


def test_it_works_outside_the_main_thread(tmp_path: Path) -> None:
    found: list[TrainingResult] = []
    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=lambda: found.append(make_trainer(tmp_path / "thread").fit()))
    thread.start()
    thread.join()
    assert found[0].steps == 20
    assert signal.getsignal(signal.SIGINT) is before
    make_trainer(tmp_path / "main").fit()
    assert_same(weights(tmp_path / "thread"), weights(tmp_path / "main"))


def test_a_resumed_run_can_be_saved_often(tmp_path: Path) -> None:
    seen = []

    def watched(step: int) -> Batch:
        seen.append(load_last(tmp_path).values["step"])
        return batches(step)

    make_trainer(tmp_path, batches=watched, checkpoint_seconds=0.0).fit()
    assert seen == list(range(20))
    assert load_last(tmp_path).values["step"] == 20


def test_resuming_needs_a_folder_and_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"folder: expected .* got None"):
        make_trainer().fit(resume=True)
    with pytest.raises(RunError, match=r": no checkpoint there"):
        make_trainer(tmp_path).fit(resume=True)
    assert list(tmp_path.iterdir()) == []


def test_resuming_with_other_settings_names_them(tmp_path: Path) -> None:
    make_trainer(tmp_path).fit()
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(RunError, match=r"\(averaging\); give"):
        make_trainer(tmp_path, settings={"max_steps": 30, "averaging": 0.5}).fit(resume=True)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_resuming_another_module_is_refused(tmp_path: Path) -> None:
    make_trainer(tmp_path).fit()

    class Deeper(ManyToOne):
        def __init__(self) -> None:
            super().__init__()
            self.deeper = nn.Linear(1, 1)

    with pytest.raises(RunError, match=r"20 .* module"):
        make_trainer(tmp_path, module=Deeper()).fit(resume=True)


def damage(path: Path, at: int = -1) -> None:
    """Turn over a bit."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_trainer(tmp_path / "straight").fit()
    folder = tmp_path / "run"
    with pytest.raises(TrainingInterruptedError):
        make_trainer(folder, batches=signal_at(10)).fit()
    damage(folder / "checkpoint-10.safetensors")
    make_trainer(folder, module=ManyToOne(seed=5)).fit(resume=True)
    assert "checkpoint-10.safetensors: damaged (its content does not match its checksum)" in caplog.text
    assert "continuing from the one before, of step 8" in caplog.text
    assert_same(weights(folder), weights(tmp_path / "straight"))
    assert rows(folder) == rows(tmp_path / "straight")


def test_a_run_is_not_overwritten(tmp_path: Path) -> None:
    make_trainer(tmp_path).fit()
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(RunError, match=r"20 .* \(resume=True\)"):
        make_trainer(tmp_path).fit()
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_two_do_not_train_in_one_folder(tmp_path: Path) -> None:
    def intruding(step: int) -> Batch:
        if step == 7:
            with pytest.raises(RunError, match="another process trains in it"):
                make_trainer(tmp_path).fit(resume=True)
        return batches(step)

    assert make_trainer(tmp_path, batches=intruding).fit().steps == 20


def test_where_every_checkpoint_is_damaged_resuming_is_refused(tmp_path: Path) -> None:
    make_trainer(tmp_path).fit()
    for path in tmp_path.glob("checkpoint-*"):
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(RunError, match=r"checkpoint-20\.safetensors: damaged.*no"):
        make_trainer(tmp_path).fit(resume=True)


def test_damaged_best_weights_are_named_and_found_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(TrainingInterruptedError):
        make_trainer(tmp_path, settings={"patience": 2}, batches=signal_at(10)).fit()
    damage(tmp_path / "best.safetensors")
    result = make_trainer(tmp_path, settings={"patience": 2}).fit(resume=True)
    assert "best.safetensors: damaged" in caplog.text
    assert result.best_step in (12, 16, 20)
    assert_same(weights(tmp_path), dict(load_checkpoint(tmp_path / "best.safetensors").group("model")))


@pytest.mark.parametrize("validation", [validate, None])
def test_a_finished_run_resumed_ends_at_once(validation: Any, tmp_path: Path) -> None:
    first = ManyToOne()
    result = make_trainer(tmp_path, module=first, validate=validation).fit()
    logged = rows(tmp_path)

    def refused(step: int) -> Batch:
        raise AssertionError(f"step {step} of a finished run")

    again = ManyToOne(seed=5)
    resumed = make_trainer(tmp_path, module=again, validate=validation, batches=refused).fit(resume=True)
    assert (resumed.steps, resumed.best_step, resumed.best_loss) == (20, result.best_step, result.best_loss)
    assert_same(dict(again.state_dict()), copied(first))
    assert_same(weights(tmp_path), copied(first))
    assert rows(tmp_path) == logged


def test_a_run_that_stopped_early_stays_stopped(tmp_path: Path) -> None:
    settings = {"validate_every": 2, "patience": 2}
    first = ManyToOne()
    make_trainer(tmp_path, module=first, settings=settings, validate=scripted([1.0, 2.0, 3.0])).fit()
    again = ManyToOne(seed=5)
    resumed = make_trainer(tmp_path, module=again, settings=settings, validate=scripted([])).fit(resume=True)
    assert (resumed.steps, resumed.best_step, resumed.stopped_early) == (6, 2, True)
    assert_same(dict(again.state_dict()), copied(first))


def test_patience_counts_on_over_an_interruption(tmp_path: Path) -> None:
    settings = {"validate_every": 2, "patience": 3}
    stopped = make_trainer(tmp_path, settings=settings, validate=scripted([1.0, 2.0, 3.0]), batches=signal_at(7))
    with pytest.raises(TrainingInterruptedError):
        stopped.fit()
    result = make_trainer(tmp_path, settings=settings, validate=scripted([4.0])).fit(resume=True)
    assert (result.steps, result.best_step, result.stopped_early) == (8, 2, True)
