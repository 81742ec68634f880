"""A task that the package does not know gets every verb through the registry alone."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from toy import Toy

import recurra
from recurra.cli.main import main
from recurra.errors import ParameterError, RunError
from recurra.training import load_checkpoint, read_run

ROWS = [[0.1 * k, 0.2, 0.3 * k] for k in range(8)]


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
    assert main(["inspect", str(run), "--data", str(data)]) == 0
    assert (run / "inspection" / "index.html").is_file()
    assert main(["train", "toy", "--help"]) == 0
    assert "--hidden-size" in capsys.readouterr().out


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
    options = ["train", "toy:Toy", "--data", str(data), "--max-steps", "3000", "--validate-every", "1000"]
    code = "import sys; from recurra.cli.main import main; sys.exit(main(sys.argv[1:]))"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1"}
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    subprocess.run([sys.executable, "-c", code, *options, "--out", str(whole)], env=environment, check=True)
    started = subprocess.Popen([sys.executable, "-c", code, *options, "--out", str(cut)], env=environment)
    while not list(cut.glob("checkpoint-*.safetensors")):
        time.sleep(0.01)
    started.send_signal(signal.SIGKILL)
    started.wait()
    again = ["train", "toy:Toy", "--resume", "--out", str(cut)]
    subprocess.run([sys.executable, "-c", code, *again], env=environment, check=True)
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
