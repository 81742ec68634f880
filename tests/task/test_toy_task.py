"""A task that the package does not know gets every verb through the registry alone."""

import csv
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

import recurra
from recurra.cli.main import main
from recurra.errors import ParameterError, RunError
from recurra.task import find_task, registry
from recurra.training import load_checkpoint, read_run
from toy import Toy

ROWS = [[*[0.2] * (k % 3), 0.1 * k, 0.3 * k] for k in range(8)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in ROWS))
    return path


def weights(folder: Path) -> dict[str, list[float]]:
    return {
        name: w.flatten().tolist() for name, w in load_checkpoint(folder / "best.safetensors").group("model").items()
    }


def test_every_command_works_on_it(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert main(["train", "toy", "--data", str(data), "--out", str(run), "--hidden-size", "3"]) == 0
    found = capsys.readouterr().out
    assert "trained 20 steps" in found
    assert f"next: recurra evaluate {run} --data FILE" in found
    assert read_run(run)["options"]["hidden_size"] == 3
    assert main(["evaluate", str(run), "--data", str(data)]) == 0
    assert "mean" in capsys.readouterr().out
    assert (run / "evaluation" / "evaluation.json").is_file()
    assert main(["predict", str(run), "--data", str(data)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(ROWS)
    assert main(["train", "toy", "--help"]) == 0
    found = capsys.readouterr().out
    assert found.startswith("usage: recurra train toy:Toy ")
    assert "--hidden-size" in found


def test_the_whole_page_of_inspect_is_written(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    Toy(max_steps=3).fit(data, folder=run, progress=False)
    assert main(["inspect", str(run), "--data", str(data), "--row", "2"]) == 0
    assert f"page, pictures and tables: {run}" in capsys.readouterr().out
    page = (run / "inspection" / "index.html").read_text(encoding="utf-8")
    titles = re.findall(r'<h2 id="[^"]+">([^<]+)</h2>', page)
    assert titles[0] == "What to look at"
    assert {"Lyapunov spectrum", "What is forgotten", "Which steps of the input the output comes from"} < set(titles)
    assert page.count('<img alt="') == len(titles) - 1 == 9
    assert "row 2 of 8" in page
    assert "<caption>" in page  # of the scores
    with (run / "inspection" / "attribution.csv").open(encoding="utf-8", newline="") as file:
        assert [(row["step"], row["input"]) for row in csv.DictReader(file)] == [("1", "0.2"), ("2", "0.1")]
    with (run / "inspection" / "unrolled.csv").open(encoding="utf-8", newline="") as file:
        loss = {row["step"]: float(row["norm"]) > 0 for row in csv.DictReader(file) if row["from"] == "output"}
    assert loss == {"1": False, "2": True}
    assert main(["inspect", str(run), "--data", str(data), "--row", "9"]) == 2
    assert "row: expected 1 to 8" in capsys.readouterr().err


def test_a_module_that_cannot_be_imported_is_named(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ParameterError, match=r"No module named 'nowhere'.* PYTHONPATH"):
        find_task("nowhere:Toy")
    with pytest.raises(ParameterError, match=r"no attribute 'Nothing'\)$"):
        find_task("toy:Nothing")
    Toy(max_steps=1).fit(data, folder=tmp_path / "run")
    monkeypatch.delitem(registry._classes, "toy")
    monkeypatch.delitem(sys.modules, "toy")
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(RunError, match=r"run: its task cannot be loaded .*'toy:Toy'.* PYTHONPATH"):
        recurra.load(tmp_path / "run")


def test_it_is_fitted_saved_and_loaded(tmp_path: Path) -> None:
    toy = Toy(max_steps=5).fit(ROWS)
    toy.save(tmp_path / "run")
    assert Toy.load(tmp_path / "run").predict(ROWS) == toy.predict(ROWS)
    assert isinstance(recurra.load(tmp_path / "run"), Toy)
    with pytest.raises(RunError, match="not a run"):
        recurra.load(tmp_path)
    assert np.isclose(toy.score(ROWS), -toy.evaluate(ROWS).scores["MSE"])
    assert repr(toy) == "Toy(max_steps=5)"


def test_scikit_learn_clones_it() -> None:
    copy = clone(Toy(hidden_size=7).fit(ROWS))
    assert isinstance(copy, Toy)
    assert copy.hidden_size == 7
    with pytest.raises(RunError, match="not fitted"):
        copy.predict(ROWS)


def test_a_misspelt_option_names_the_nearest() -> None:
    with pytest.raises(ParameterError, match=r"hiden_size: .*hidden_size"):
        Toy(hiden_size=3)  # type: ignore[call-arg]


def test_a_killed_run_resumes_to_the_same_weights(data: Path, tmp_path: Path) -> None:
    options = ["train", "toy:Toy", "--data", str(data), "--max-steps", "120", "--validate-every", "40"]
    code = "import sys; from recurra.cli.main import main; sys.exit(main(sys.argv[1:]))"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert main([*options, "--out", str(whole)]) == 0
    started = subprocess.Popen([sys.executable, "-c", code, *options, "--out", str(cut)], env=environment)
    while not list(cut.glob("checkpoint-*.safetensors")):
        time.sleep(0.01)
    started.send_signal(signal.SIGKILL)
    started.wait()
    assert main(["train", "toy:Toy", "--resume", "--out", str(cut)]) == 0
    assert weights(cut) == weights(whole)


def test_a_finished_run_continues_with_more_steps(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(["train", "toy", "--data", str(data), "--out", str(run), "--hidden_size", "3"]) == 0
    assert main(["train", "toy", "--resume", "--out", str(run), "--max-steps", "30"]) == 0
    assert "trained 30 steps" in capsys.readouterr().out
    assert read_run(run)["options"]["max_steps"] == 30
    assert main(["train", "toy", "--resume", "--out", str(run), "--hidden-size", "4"]) == 2
    assert "cannot resume with other hidden_size" in capsys.readouterr().err


def test_a_config_file_is_read_and_its_faults_are_named(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, run = tmp_path / "run.yaml", tmp_path / "run"
    config.write_text(f"data: {data}\nmax-steps: 3\nhidden_size: 2\n")
    assert main(["train", "toy", "--config", str(config), "--out", str(run), "--max-steps", "4"]) == 0
    options = read_run(run)["options"]
    assert (options["max_steps"], options["hidden_size"]) == (4, 2)
    for line, fault in (
        ("hidden-size: 0", "at least 1"),
        ("hidden-sizes: 3", "hidden-size"),
        ("max-steps: many", "many"),
    ):
        config.write_text(f"data: {data}\n{line}\n")
        assert main(["train", "toy", "--config", str(config), "--out", str(tmp_path / "other")]) == 2
        error = capsys.readouterr().err
        assert f"{config}, line 2" in error
        assert fault in error


def test_a_run_starts_from_another(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Toy(max_steps=5).fit(ROWS, folder=tmp_path / "first")
    same = Toy(max_steps=1, learning_rate=1e-9).fit(ROWS, start_from=tmp_path / "first")
    assert np.allclose(same.predict(ROWS), Toy.load(tmp_path / "first").predict(ROWS), atol=1e-5)
    Toy(max_steps=1, hidden_size=9).fit(ROWS, start_from=tmp_path / "first")
    assert "not taken over" in caplog.text


def test_a_subclass_of_a_task_is_refused() -> None:
    with pytest.raises(TypeError, match="derives from the task Toy"):

        class Sub(Toy):
            """A subclass."""


def test_a_training_without_a_finite_step_is_refused_and_so_is_its_run(tmp_path: Path) -> None:
    run, nowhere = tmp_path / "run", [[float("inf"), 1.0]] * 4
    with pytest.raises(
        RunError, match=r"run: .*no step .* finite .*\(5 steps\)\. Train anew with a lower learning_rate"
    ):
        Toy(max_steps=5).fit(nowhere, folder=run)
    with pytest.raises(RunError, match="no step of its training had a finite loss"):
        Toy.load(run)
    toy = Toy(max_steps=5)
    with pytest.raises(RunError, match="the toy: cannot be used"):
        toy.fit(nowhere)
    with pytest.raises(RunError, match="not fitted"):
        toy.predict(ROWS)


def test_weights_that_diverged_are_refused() -> None:
    with pytest.raises(RunError, match=r"diverged to weights that overflow \(recurrent\..*a lower learning_rate"):
        Toy(max_steps=5, learning_rate=1e30).fit(ROWS)


def test_weights_that_are_not_finite_are_refused_after_training_and_when_read(tmp_path: Path) -> None:
    with pytest.raises(
        RunError, match=r"NaN or infinity in its weights \(recurrent\..*the data, which may need scaling"
    ):
        Toy(max_steps=1, learning_rate=3e38, optimizer="SGD", max_grad_norm=1e9).fit([[1.0, 99.0]] * 4)
    toy = Toy(max_steps=2).fit(ROWS)
    toy.fitted.network.output.bias.data.fill_(float("nan"))
    toy.save(tmp_path / "run")
    with pytest.raises(RunError, match=r"training left NaN or infinity in its weights \(output\.bias\)"):
        Toy.load(tmp_path / "run")
