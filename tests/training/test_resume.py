"""Interrupted and resumed, training ends where it would have ended: the same weights, the same log."""

import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from small_task import FILES, ManyToOne, assert_same, batches, differ, make_trainer, rows, signal_at, validate, weights
from test_checkpoint import file_size_limit
from torch import nn

import covering
from recurra.errors import RunError
from recurra.training import (
    OPTIMIZERS,
    SCHEDULES,
    Batch,
    Checkpoint,
    TrainingInterruptedError,
    load_checkpoint,
    load_last,
    save_checkpoint,
)


def no_better(module: nn.Module) -> float:
    """A validation that never improves, so that a plateau is found again and again."""
    return 1.0


def assert_same_run(folder: Path, straight: Path) -> None:
    assert (folder / "best.safetensors").read_bytes() == (straight / "best.safetensors").read_bytes()
    one, other = (load_last(path) for path in (folder, straight))
    assert_same(one.tensors, other.tensors)
    assert one.values | {"seconds": 0} == other.values | {"seconds": 0}
    for table in ("log", "health", "skipped"):
        assert (folder / f"{table}.csv").read_bytes() == (straight / f"{table}.csv").read_bytes(), table
    assert not [file.name for file in folder.iterdir() if file.name.startswith(".")]


def test_layers_are_freed_at_the_same_steps(tmp_path: Path) -> None:
    """Stopped while one parameter is frozen still, and another is freed already."""
    frozen = {"encoder.weight_hh_l0": 12, "encoder.weight_ih_l0": 6}
    make_trainer(tmp_path / "straight", frozen=frozen).fit()
    with pytest.raises(TrainingInterruptedError):
        make_trainer(tmp_path / "resumed", batches=signal_at(9), frozen=frozen).fit()
    make_trainer(tmp_path / "resumed", frozen=frozen).fit(resume=True)
    assert_same_run(tmp_path / "resumed", tmp_path / "straight")


# Of each optimizer and schedule test_optimization.py tests the pairs.
@covering.parametrize({"optimizer": OPTIMIZERS, "schedule": SCHEDULES, "averaging": [0.0, 0.9]}, strength=1)
def test_ten_and_ten_steps_are_twenty(optimizer: str, schedule: str, averaging: float, tmp_path: Path) -> None:
    plateau = schedule == "ReduceLROnPlateau"
    changes: dict[str, Any] = {
        "validate": no_better if plateau else validate,
        "settings": {
            "optimizer": optimizer,
            "schedule": schedule,
            "averaging": averaging,
            "weight_decay": 0.01,
            "validate_every": 2 if plateau else 4,
        },
    }
    straight = ManyToOne()
    expected = make_trainer(tmp_path / "straight", module=straight, **changes).fit()
    stopped = make_trainer(tmp_path / "resumed", batches=signal_at(10), **changes)
    with pytest.raises(TrainingInterruptedError):
        stopped.fit()
    assert load_last(tmp_path / "resumed").values["step"] == 10
    resumed = ManyToOne(seed=5)
    result = make_trainer(tmp_path / "resumed", module=resumed, **changes).fit(resume=True)
    assert (result.steps, result.best_step, result.best_loss) == (20, expected.best_step, expected.best_loss)
    assert_same(dict(resumed.state_dict()), dict(straight.state_dict()))
    assert_same_run(tmp_path / "resumed", tmp_path / "straight")
    if plateau:
        # The rate was halved at the eighth, fourteenth and twentieth step: once before, twice after the interruption.
        rates = [float(row["learning_rate"]) for row in rows(tmp_path / "straight")]
        assert (rates[0], rates[-1]) == (0.01, 0.01 / 4)


@pytest.mark.parametrize(("validation", "steps"), [(validate, (1, 2, 3, 4, 5, 8, 19, 20)), (None, (1, 7, 19, 20))])
def test_any_step_can_be_the_last_before_an_interruption(
    validation: Any, steps: tuple[int, ...], tmp_path: Path
) -> None:
    make_trainer(tmp_path / "straight", validate=validation).fit()
    for step in steps:
        folder = tmp_path / f"{step}"
        with pytest.raises(TrainingInterruptedError) as stopped:
            make_trainer(folder, validate=validation, batches=signal_at(step)).fit()
        assert stopped.value.step == step
        assert str(stopped.value) == f"stopped after step {step}"
        assert load_last(folder).values["step"] == step
        assert int(rows(folder)[-1]["step"]) <= step
        make_trainer(folder, module=ManyToOne(seed=5), validate=validation).fit(resume=True)
        assert_same_run(folder, tmp_path / "straight")


def test_interrupted_again_and_again(tmp_path: Path) -> None:
    make_trainer(tmp_path / "straight").fit()
    folder = tmp_path / "run"
    for step in (3, 4, 5, 11, 19):
        with pytest.raises(TrainingInterruptedError):
            make_trainer(folder, module=ManyToOne(seed=step), batches=signal_at(step)).fit(resume=folder.exists())
    make_trainer(folder, module=ManyToOne(seed=5)).fit(resume=True)
    # The seeds of later modules do not matter, those of the first did.
    make_trainer(tmp_path / "other", module=ManyToOne(seed=3)).fit()
    assert_same_run(folder, tmp_path / "other")
    assert differ(weights(folder), weights(tmp_path / "straight"))


def test_before_a_validation_the_weights_of_the_interruption_are_the_best(tmp_path: Path) -> None:
    with pytest.raises(TrainingInterruptedError):
        make_trainer(tmp_path, batches=signal_at(3), settings={"averaging": 0.0}).fit()
    assert_same(weights(tmp_path), weights(tmp_path, "last"))
    assert load_checkpoint(tmp_path / "best.safetensors").values == {"step": 3, "loss": None, "skipped": 0}


def test_after_a_validation_the_best_weights_are_kept_over_an_interruption(tmp_path: Path) -> None:
    with pytest.raises(TrainingInterruptedError):
        make_trainer(tmp_path, batches=signal_at(7), settings={"averaging": 0.0}).fit()
    assert load_checkpoint(tmp_path / "best.safetensors").values["step"] == 4
    assert differ(weights(tmp_path), weights(tmp_path, "last"))


def test_a_crash_between_saving_the_best_and_the_last(tmp_path: Path) -> None:
    # Each of the first validations is better than the one before.
    settings = {"averaging": 0.0, "learning_rate": 1e-3}
    make_trainer(tmp_path / "straight", settings=settings).fit()
    folder = tmp_path / "run"
    with pytest.raises(TrainingInterruptedError):
        make_trainer(folder, batches=signal_at(7), settings=settings).fit()
    last = load_last(folder)
    with pytest.raises(TrainingInterruptedError):
        make_trainer(folder, batches=signal_at(8), settings=settings).fit(resume=True)
    assert load_checkpoint(folder / "best.safetensors").values["step"] == 8
    for path in folder.glob("checkpoint-*"):
        path.unlink()
    save_checkpoint(last, folder / "checkpoint-7.safetensors")
    make_trainer(folder, module=ManyToOne(seed=5), settings=settings).fit(resume=True)
    assert_same_run(folder, tmp_path / "straight")


def test_a_crash_before_the_first_best(tmp_path: Path) -> None:
    make_trainer(tmp_path / "straight").fit()
    folder = tmp_path / "run"
    with pytest.raises(RuntimeError, match="crash"):
        make_trainer(folder, batches=crash_at(1)).fit()
    (folder / "best.safetensors").unlink()
    make_trainer(folder, module=ManyToOne(seed=5)).fit(resume=True)
    assert_same_run(folder, tmp_path / "straight")


def crash_at(step: int) -> Any:
    def crashing(at: int) -> Batch:
        if at == step:
            raise RuntimeError("crash")
        return batches(at)

    return crashing


@pytest.mark.parametrize("step", [1, 2, 4, 5, 11, 20])
def test_a_crash_at_any_step(step: int, tmp_path: Path) -> None:
    make_trainer(tmp_path / "straight").fit()
    folder = tmp_path / "run"
    with pytest.raises(RuntimeError, match="crash"):
        make_trainer(folder, batches=crash_at(step)).fit()
    assert load_last(folder).values["step"] == (step - 1) // 4 * 4
    make_trainer(folder, module=ManyToOne(seed=5)).fit(resume=True)
    assert_same_run(folder, tmp_path / "straight")


def test_what_a_killed_process_was_writing_is_removed(tmp_path: Path) -> None:
    make_trainer(tmp_path / "straight").fit()
    folder = tmp_path / "run"
    with pytest.raises(TrainingInterruptedError):
        make_trainer(folder, batches=signal_at(7)).fit()
    for name in ("checkpoint-4.safetensors", "best.safetensors", "log.csv", "run.json"):
        (folder / f".{name}.4321.tmp").write_bytes(b"half")
    kept = (".hidden", ".own.tmp", "notes.12.tmp")
    for name in kept:
        (folder / name).touch()
    make_trainer(folder, module=ManyToOne(seed=5)).fit(resume=True)
    assert {file.name for file in folder.iterdir()} == {
        *kept,
        *FILES,
        *(f"checkpoint-{n}.safetensors" for n in (16, 20)),
    }
    for name in kept:
        (folder / name).unlink()
    assert_same_run(folder, tmp_path / "straight")


def test_the_settings_of_a_file_may_hold_tuples(tmp_path: Path) -> None:
    from small_task import QUICK

    from recurra.options import option
    from recurra.training import Trainer, TrainingSettings

    class Wider(TrainingSettings):
        levels: tuple[float, ...] = option(default=(0.1, 0.5))

    def trainer(levels: tuple[float, ...]) -> Trainer:
        settings = Wider(**QUICK, levels=levels)
        return Trainer(ManyToOne(), nn.functional.mse_loss, batches, settings, folder=tmp_path)

    trainer((0.1, 0.5)).fit()
    assert trainer((0.1, 0.5)).fit(resume=True).steps == 20
    with pytest.raises(RuntimeError, match=r"other settings \(levels\)"):
        trainer((0.1, 0.6)).fit(resume=True)


def test_a_last_checkpoint_of_another_kind_is_refused(tmp_path: Path) -> None:
    save_checkpoint(Checkpoint(), tmp_path / "checkpoint-1.safetensors")
    with pytest.raises(RuntimeError, match="cannot resume with other settings"):
        make_trainer(tmp_path).fit(resume=True)


def test_fewer_steps_than_are_done_are_refused(tmp_path: Path) -> None:
    make_trainer(tmp_path, settings={"max_steps": 8}).fit()
    with pytest.raises(RunError, match=r"\(max_steps, of which 8 are done\)"):
        make_trainer(tmp_path, settings={"max_steps": 6}).fit(resume=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_both_signals_stop_in_order(number: signal.Signals, tmp_path: Path) -> None:
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(TrainingInterruptedError):
        make_trainer(tmp_path, batches=signal_at(6, number)).fit()
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before
    assert load_last(tmp_path).values["step"] == 6


def test_a_second_signal_stops_at_once(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt) as stopped:
        make_trainer(tmp_path, batches=signal_at(6, times=2)).fit()
    assert not isinstance(stopped.value, TrainingInterruptedError)
    assert load_last(tmp_path).values["step"] == 4


def test_without_a_folder_it_stops_after_the_step() -> None:
    with pytest.raises(TrainingInterruptedError, match="stopped after step 6"):
        make_trainer(batches=signal_at(6)).fit()


def test_a_disk_that_fills_up_ends_training_in_one_line_and_leaves_a_run_to_resume(tmp_path: Path) -> None:
    make_trainer(tmp_path / "straight").fit()
    folder = tmp_path / "run"
    with ExitStack() as limits:

        def filling(step: int) -> Batch:
            if step == 10:
                limits.enter_context(file_size_limit(2000))
            return batches(step)

        with pytest.raises(RunError, match=r"checkpoint-12\.safetensors|best\.safetensors: cannot be written") as error:
            make_trainer(folder, batches=filling).fit()
    assert "\n" not in str(error.value)
    assert load_last(folder).values["step"] == 8
    make_trainer(folder, module=ManyToOne(seed=5)).fit(resume=True)
    assert_same_run(folder, tmp_path / "straight")


def test_without_validation_more_steps_end_with_the_last_weights(tmp_path: Path) -> None:
    settings = {"schedule": "constant"}
    make_trainer(tmp_path / "run", settings=settings, validate=None).fit()
    more = settings | {"max_steps": 30}
    result = make_trainer(tmp_path / "run", settings=more, validate=None).fit(resume=True)
    assert (result.steps, result.best_step) == (30, 30)
    make_trainer(tmp_path / "whole", settings=more, validate=None).fit()
    assert_same(weights(tmp_path / "run"), weights(tmp_path / "whole"))


@pytest.mark.parametrize("schedule", ["constant", "OneCycleLR", "CosineAnnealingLR", "LinearLR"])
def test_a_finished_run_is_continued_with_more_steps(schedule: str, tmp_path: Path) -> None:
    """The learning rate is then that of a run of the new length, at the same step."""
    settings = {"schedule": schedule, "validate_every": 10}
    make_trainer(tmp_path / "run", settings=settings).fit()
    result = make_trainer(tmp_path / "run", settings=settings | {"max_steps": 30}).fit(resume=True)
    make_trainer(tmp_path / "whole", settings=settings | {"max_steps": 30}).fit()
    assert result.steps == 30
    rates = [{row["step"]: float(row["learning_rate"]) for row in rows(tmp_path / name)} for name in ("run", "whole")]
    assert rates[0]["30"] == pytest.approx(rates[1]["30"], rel=1e-5)
    with pytest.raises(RunError, match="max_steps"):
        make_trainer(tmp_path / "run", settings=settings | {"max_steps": 10}).fit(resume=True)
