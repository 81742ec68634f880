"""Searches in this process: what is chosen, what is recorded, what is refused, and that they continue."""

import csv
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import recurra
from recurra.cli.main import main
from recurra.errors import DataError, ParameterError, RunError
from recurra.training import has_run, load_checkpoint
from recurra.tuning import Tuned, page, pictures, trial, trials
from toy import Toy


def sums(count: int, seed: int) -> list[list[float]]:
    source = random.Random(seed)
    rows = [[source.random() for _ in range(source.randint(2, 4))] for _ in range(count)]
    return [[*row, sum(row)] for row in rows]


TRAINING, VALIDATION = sums(30, 0), sums(15, 1)
COUNT = 6
SETTINGS: dict[str, Any] = {"validation": VALIDATION, "jobs": 0, "progress": False}


def tune(folder: Path, count: int = COUNT, **more: Any) -> Tuned:
    toy = Toy(max_steps=9, validate_every=1, health_every=0)
    return recurra.tune(toy, TRAINING, folder=folder, trials=count, **{**SETTINGS, **more})


def told(tuned: Tuned) -> list[tuple[Any, ...]]:
    """What has to be the same however often a search was interrupted."""
    return [(t.number, t.state, t.options, t.loss, t.losses, t.reason) for t in tuned.trials]


PICTURES = ("draw_history", "draw_importance", "draw_parallel")


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[pytest.MonkeyPatch]:
    """No pictures, which take longer than these trainings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recurra.training.picture.draw_training", lambda *arguments, **keywords: None)
        for name in PICTURES:
            patch.setattr(page, name, lambda *arguments: b"")
        yield patch


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    folder = tmp_path_factory.mktemp("search") / "tuned"
    first = tune(folder, 3)
    assert told(tune(folder, 3)) == told(first)  # it is only read
    tuned = tune(folder, COUNT)  # more trials continue it
    assert told(tuned)[:3] == told(first)
    return tuned


def test_the_best_run_is_an_ordinary_one(undisturbed: Tuned) -> None:
    best = undisturbed.best
    assert best is not None
    assert best.loss == min(trial.loss for trial in undisturbed.trials if trial.loss is not None)
    assert has_run(undisturbed.run)
    estimator = recurra.load(undisturbed.run)
    assert {name: getattr(estimator, name) for name in best.options} == best.options == undisturbed.options
    loss = -estimator.evaluate(VALIDATION).score
    assert loss == pytest.approx(best.loss, rel=1e-4)
    assert estimator.predict(VALIDATION[:2]) == undisturbed.estimator.predict(VALIDATION[:2])
    # The others have no weights, which only take space.
    assert not list((undisturbed.folder / "trials").rglob("*.safetensors"))
    assert not list((undisturbed.folder / "trials").glob("*.lock"))


def test_the_first_trial_has_the_options_as_they_are(undisturbed: Tuned) -> None:
    first = undisturbed.trials[0]
    assert first.options == {"learning_rate": 2e-3, "weight_decay": 0.0, "hidden_size": 4}
    plain = Toy(max_steps=9, validate_every=1, health_every=0).fit(TRAINING, validation=VALIDATION, progress=False)
    assert plain.training_result is not None
    assert first.loss == plain.training_result.best_loss
    assert len({json.dumps(trial.options) for trial in undisturbed.trials}) == COUNT
    for one in undisturbed.trials:
        assert 3e-4 <= one.options["learning_rate"] <= 3e-2
        assert 2 <= one.options["hidden_size"] <= 8


def test_the_page_and_the_table_hold_every_trial(
    undisturbed: Tuned, monkeypatch: pytest.MonkeyPatch, drawn: list[Any]
) -> None:
    for name in PICTURES:
        monkeypatch.setattr(page, name, getattr(pictures, name))
    tune(undisturbed.folder)
    shown = undisturbed.page.read_text(encoding="utf-8")
    assert shown.count("<img alt=") == 3
    assert "http" not in shown
    assert f"chose it among {COUNT} trials" in shown
    history, importance, parallel = (figure.axes[0] for figure in drawn)
    complete = [one.loss for one in undisturbed.trials if one.loss is not None]
    assert list(history.lines[0].get_ydata()) == complete
    assert history.lines[-1].get_ydata()[-1] == min(complete)
    assert sum(bar.get_width() for bar in importance.patches) == pytest.approx(1)
    assert [label.get_text() for label in parallel.get_xticklabels()] == [
        "learning-rate",
        "weight-decay",
        "hidden-size",
    ]
    assert len(parallel.lines) == len(complete) + 3
    with (undisturbed.folder / "trials.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["trial"] for row in rows] == [str(number) for number in range(COUNT)]
    assert {row["state"] for row in rows} <= {"complete", "pruned"}
    text = "".join(undisturbed.text())
    assert f"{COUNT} trials: " in text
    assert f"next: recurra evaluate {undisturbed.run}" in text


def test_an_interrupted_search_continues_to_the_same_end(
    undisturbed: Tuned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, compare, complete = tmp_path / "tuned", trial._compare, trials.Trials.complete
    cuts = iter([3, 13, 22])
    calls, cut = 0, next(cuts)

    def interrupted(*arguments: Any) -> None:
        nonlocal calls, cut
        calls += 1
        if calls == cut:
            cut = next(cuts, 0)
            raise KeyboardInterrupt
        compare(*arguments)

    def killed(*arguments: Any) -> None:
        monkeypatch.setattr(trials.Trials, "complete", complete)
        raise KeyboardInterrupt

    monkeypatch.setattr(trial, "_compare", interrupted)
    monkeypatch.setattr(trials.Trials, "complete", killed)  # after training, before it is recorded
    for _ in range(4):
        with pytest.raises(KeyboardInterrupt):
            tune(folder)
    assert "unfinished trials continue" in "".join(tune(folder, seconds=1e-6).text())
    tuned = tune(folder)
    assert told(tuned) == told(undisturbed)
    assert tuned.run != undisturbed.run
    found, expected = (load_checkpoint(one.run / "best.safetensors").tensors for one in (tuned, undisturbed))
    assert all(found[name].equal(expected[name]) for name in expected)


def test_other_data_options_or_spaces_do_not_continue(undisturbed: Tuned, tmp_path: Path) -> None:
    changes: list[tuple[dict[str, Any], str]] = [
        ({"validation": VALIDATION[1:]}, "other validation data"),
        ({"space": {"hidden_size": [2, 3]}}, "other space"),
        ({"sampler_seed": 1, "pruner": "none"}, "other pruner, sampler seed"),
        ({"study": "another"}, "another study"),
    ]
    for change, fault in changes:
        with pytest.raises(RunError, match=f"cannot continue with {fault}"):
            tune(undisturbed.folder, **change)
    with pytest.raises(RunError, match="holds a run, not a search"):
        tune(undisturbed.run)


def test_trials_that_fail_are_recorded_with_their_reason(tmp_path: Path) -> None:
    tuned = tune(tmp_path, space={"learning_rate": [1e30]}, count=2)
    assert [one.state for one in tuned.trials] == ["complete", "failed"]
    assert "lower learning_rate" in tuned.trials[1].reason
    assert tuned.best == tuned.trials[0]
    assert "overflow" in tuned.page.read_text(encoding="utf-8")


def test_a_search_whose_first_trials_all_fail_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any) -> None:
        raise MemoryError("no memory is left")

    monkeypatch.setattr(trial, "_train", fail)
    with pytest.raises(RunError, match=r"first 5 trials all failed; the last: MemoryError: no memory"):
        tune(tmp_path)


def test_what_options_cannot_cure_stops_the_search_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ParameterError, match=r"validation: .*--validation"):
        tune(tmp_path / "a", validation=None)
    (tmp_path / "empty.csv").touch()
    with pytest.raises(DataError, match="empty"):
        recurra.tune(Toy, tmp_path / "empty.csv", folder=tmp_path / "b")
    assert not (tmp_path / "b").exists()
    train = trial._train

    def full(*arguments: Any) -> None:
        raise RunError("log.csv: cannot be written") from OSError(28, "No space left on device")

    monkeypatch.setattr(trial, "_train", full)
    with pytest.raises(RunError, match=r"log\.csv"):
        tune(tmp_path / "c", 1)
    monkeypatch.setattr(trial, "_train", train)
    copy = trials.shutil.copytree

    def full_disk(*arguments: Any) -> None:
        raise trials.shutil.Error([("a", "b", "[Errno 28] No space left on device")] * 9)

    monkeypatch.setattr(trials.shutil, "copytree", full_disk)
    with pytest.raises(RunError, match=r"best: cannot be written \(\[Errno 28\] No space left on device\)"):
        tune(tmp_path / "c", 1)
    monkeypatch.setattr(trials.shutil, "copytree", copy)
    tuned = tune(tmp_path / "c", 1)
    assert [one.state for one in tuned.trials] == ["complete"]
    assert has_run(tuned.run)


def test_hyperband_prunes_and_choices_run_out(tmp_path: Path) -> None:
    tuned = tune(tmp_path, 9, pruner="hyperband", space={"learning_rate": [1e-6, 1e-3, 3e-2]})
    assert len(tuned.trials) == 4  # the options as they are, and each of the three once
    assert {trial.state for trial in tuned.trials} <= {"complete", "pruned"}


def test_no_trial_begins_after_the_time(tmp_path: Path) -> None:
    tuned = tune(tmp_path, seconds=1e-6)
    assert tuned.trials == []
    assert tuned.best is None
    with pytest.raises(RunError, match="no complete trial"):
        _ = tuned.estimator
    assert "No trial is complete" in tuned.page.read_text(encoding="utf-8")


@pytest.mark.slow
def test_folders_share_a_database(tmp_path: Path) -> None:
    shared: dict[str, Any] = {"storage": f"sqlite:///{tmp_path}/shared.db", "study": "both"}
    first = tune(tmp_path / "first", 3, **shared)
    second = tune(tmp_path / "second", 5, **shared)
    assert told(second)[:3] == told(first)
    assert [one.where.rpartition("/")[2] for one in second.trials] == ["first"] * 3 + ["second"] * 2
    assert second.best is not None
    assert second.is_here == (second.best.number >= 3)
    assert has_run(second.run)  # the best of its own trials
    with pytest.raises(RunError, match="other space"):
        tune(tmp_path / "third", **shared, space={"hidden_size": [2, 3]})


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, rows in (("training", TRAINING), ("validation", VALIDATION)):
        (tmp_path / f"{name}.csv").write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    files = ["--data", str(tmp_path / "training.csv"), "--validation", str(tmp_path / "validation.csv")]
    options = ["--max-steps", "4", "--validate-every", "2", "--trials", "2", "--jobs", "0"]
    out, other = ["--out", str(tmp_path / "tuned")], ["--out", str(tmp_path / "other")]
    assert main(["tune", "toy", *files, *options, *out]) == 0
    found = capsys.readouterr().out
    assert "2 trials: 2 complete" in found
    assert main(["evaluate", str(tmp_path / "tuned" / "best"), *files[:2]]) == 0
    capsys.readouterr()
    space = tmp_path / "space.yaml"
    space.write_text("hidden-size: [0]\n")
    for arguments, fault in (
        (["tune"], "task: expected one of"),
        (["tune", "toy"], "data: expected"),
        (["tune", "toy", *files, "--trials", "0"], "trials: expected a whole number of at least 1"),
        (["tune", "toy", *files, *out, "--space", str(space)], "line 1: hidden_size"),
        (
            ["tune", "toy", *files, *other, "--storage", "sqlite:////none/x.db"],
            "storage: sqlite:",
        ),
        (["tune", "toy", *files, *other, "--storage", "nonsense"], "storage: nonsense"),
    ):
        assert main(arguments) == 2
        error = capsys.readouterr().err
        assert fault in error
        assert error.count("\n") == 1
