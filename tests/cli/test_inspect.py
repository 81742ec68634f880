import json
import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from made_classes import texts, texts_csv
from made_sentences import conllu, sentences
from recurra.cli.main import main
from recurra.errors import DataError
from recurra.inspection import Inspection
from recurra.tasks.classify import Classifier
from recurra.tasks.forecast import Forecaster
from recurra.tasks.language import LanguageModel
from recurra.tasks.tag import Tagger
from recurra.tasks.translate import Translator


def _frame() -> pl.DataFrame:
    rows = []
    for name, n in (("a", 40), ("b", 60), ("short", 12)):
        for t in range(n):
            y = 20 + 5 * np.sin(2 * np.pi * t / 7) + np.cos(1.7 * t + len(name))
            rows.append((name, date(2024, 1, 1) + timedelta(days=t), None if t % 11 == 3 else y))
    return pl.DataFrame(rows, schema=["unique_id", "ds", "y"], orient="row")


def _fitted(**options: object) -> Forecaster:
    small = {"hidden_size": 4, "max_steps": 2, "batch_size": 8, "context_length": 8, "device": "cpu"}
    return Forecaster(horizon=5, **{"folds": 0, **small, **options}).fit(_frame(), progress=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not to be written to."""
    folder = tmp_path_factory.mktemp("inspected") / "run"
    _fitted().save(folder)
    return folder


def _error(capsys: pytest.CaptureFixture[str]) -> str:
    # An inspection before it also writes its progress, if it takes long.
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("inspecting: ")]
    assert len(lines) == 1, lines
    return lines[0].removeprefix("recurra: error: ").strip()


def test_inspect_writes_the_page(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "deep" / "page"
    assert main(["inspect", str(run), "--series", "b", "--out", str(target)]) == 0
    assert f"page, pictures and tables: {target / 'index.html'}" in capsys.readouterr().out
    page = (target / "index.html").read_text(encoding="utf-8")
    assert f"Inspection of {run}" in page
    assert "plotted is series &#x27;b&#x27;, with 2024-02-24 as its last step before the forecast" in page
    assert "context 8 steps, horizon 5" in page
    assert len(list(target.glob("*.png"))) == 9
    assert len(list(target.glob("*.csv"))) > 9
    assert not (run / "inspection").exists()


def test_the_page_goes_into_the_run_by_default(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Path] = []
    monkeypatch.setattr("recurra.inspection.report_inspection", lambda _, folder: written.append(folder))
    assert main(["inspect", str(run)]) == 0
    assert written == [run / "inspection"]


def test_what_cannot_be_inspected(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(tmp_path / "nothing")]) == 2
    assert "not a run" in _error(capsys)
    assert main(["inspect", str(run), "--series", "c", "--out", str(tmp_path / "page")]) == 2
    assert "c" in _error(capsys)
    assert main(["inspect", str(run), "--series", "short", "--out", str(tmp_path / "page")]) == 2
    assert "series 'short' is not long enough to look at" in _error(capsys)
    other = shutil.copytree(run, tmp_path / "other")
    values = json.loads((other / "run.json").read_text()) | {"task": "dreaming"}
    (other / "run.json").write_text(json.dumps(values))
    assert main(["inspect", str(other)]) == 2
    assert "a run of task 'dreaming'" in _error(capsys)


def test_encoder_and_decoder_are_named_and_joined() -> None:
    found = _fitted().inspect()
    assert [row.name for row in found.unrolled.rows] == ["encoder to decoder"]
    assert found.unrolled.rows[0].starts == (0, 8)
    assert {gate.name for gate in found.gates} == {"encoder", "decoder"}
    assert found.words.first_step == -7
    _check_figures(found, steps=13)


@pytest.mark.parametrize("options", [{"model": "recursive", "cell": "gru"}, {"output": "normal", "num_layers": 2}])
def test_every_kind_of_forecaster(options: dict[str, object]) -> None:
    found = _fitted(**options).inspect(series="a")
    _check_figures(found, steps=13)
    assert len(found.unrolled.rows) == options.get("num_layers", 1)


def _check_figures(found: Inspection, steps: int) -> None:
    assert found.unrolled.steps == steps
    assert found.unrolled.largest > 0
    assert all(np.isfinite(curve.norms).all() and len(curve.norms) == steps for curve in found.gradients.curves)
    assert all(np.isfinite(spectrum.largest) for spectrum in found.lyapunov)
    assert found.attribution is not None
    assert found.attribution.by_step.shape[1] == steps
    assert found.attribution.relative_residual < 0.05
    assert found.unseen == ()


def test_a_series_that_is_not_there() -> None:
    with pytest.raises(DataError):
        _fitted().inspect(series="nobody")


def _reported(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Inspection, Path]]:
    """What would be drawn from now on, and where to."""
    seen: list[tuple[Inspection, Path]] = []
    monkeypatch.setattr("recurra.inspection.report_inspection", lambda *given: seen.append(given))
    return seen


def test_a_language_model(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    run, passage = tmp_path / "run", tmp_path / "passage.txt"
    text = "To be, or not to be, that is the question:\n" * 8
    LanguageModel(hidden_size=4, max_steps=1, device="cpu").fit({"train": text, "validation": text}).save(run)
    passage.write_text("to be, that is")
    seen = _reported(monkeypatch)
    assert main(["inspect", str(run), "--row", "2", "--out", str(tmp_path / "page")]) == 0
    assert main(["inspect", str(run), "--data", str(passage)]) == 0
    assert [folder for _, folder in seen] == [tmp_path / "page", run / "inspection"]
    assert seen[0][0].words.facts["plotted"].startswith("Stretch 2 is ")
    assert seen[1][0].words.facts["looked at"].startswith(f"1 stretch of 13 characters of {passage}")
    assert main(["inspect", str(run), "--row", "9"]) == 2
    assert _error(capsys).startswith("row: expected 1 to 3, one of the stretches of the validation text, got 9")


def test_a_tagger(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    run, data = tmp_path / "run", tmp_path / "some.conllu"
    Tagger(hidden_size=4, word_size=4, max_steps=1, device="cpu").fit(sentences(20, entities=False)).save(run)
    data.write_text(conllu(sentences(4, entities=False)))
    command = ["inspect", str(run), "--data", str(data), "--tag-column", "upos"]
    seen = _reported(monkeypatch)
    assert main([*command, "--row", "2", "--word", "3"]) == 0
    assert [folder for _, folder in seen] == [run / "inspection"]
    assert seen[0][0].words.facts["looked at"].startswith("Word 3 of 4 sentences is looked at. The pictures show ")
    assert main(["inspect", str(run)]) == 2
    assert _error(capsys).startswith("data: expected a file")
    assert main([*command, "--row", "5"]) == 2
    assert _error(capsys) == f"row: expected 1 to 4, those of {data}, got 5."


def test_a_translator(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    run, target = tmp_path / "run", tmp_path / "page"
    pairs = ["eins zwei", "drei", "zwei drei"], ["one two", "three", "two three"]
    small: dict[str, Any] = {
        "vocabulary_size": 290,
        "hidden_size": 4,
        "embedding_size": 4,
        "max_steps": 1,
        "device": "cpu",
    }
    Translator(**small).fit(pairs, validation=pairs, progress=False).save(run)
    table = tmp_path / "pairs.tsv"
    table.write_text("".join(f"{one}\t{other}\n" for one, other in zip(*pairs, strict=True)), encoding="utf-8")
    seen = _reported(monkeypatch)
    assert main(["inspect", str(run), "--data", str(table), "--row", "1", "--subword", "2", "--out", str(target)]) == 0
    ((found, folder),) = seen
    assert folder == target
    assert "The pictures show pair 1, “eins zwei” to “one two”" in found.words.facts["looked at"]
    assert found.attribution is not None
    assert len(found.attribution.by_step[0]) == len(found.words.labels)
    assert main(["inspect", str(run)]) == 2
    assert _error(capsys).startswith("data: expected a file")


def test_a_classifier(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    run, data, renamed = tmp_path / "run", tmp_path / "some.csv", tmp_path / "renamed.csv"
    Classifier(hidden_size=4, word_size=4, max_steps=1, device="cpu").fit(*texts(30)).save(run)
    data.write_text(texts_csv(5))
    renamed.write_text(texts_csv(5).replace("text,label", "review,label", 1))
    seen: list[tuple[Inspection, Path]] = []
    monkeypatch.setattr("recurra.inspection.report_inspection", lambda *given: seen.append(given))
    assert main(["inspect", str(run), "--data", str(data), "--row", "2", "--label", "good"]) == 0
    assert main(["inspect", str(run), "--data", str(renamed), "--text-column", "review", "--out", str(tmp_path)]) == 0
    assert [folder for _, folder in seen] == [run / "inspection", tmp_path]
    assert (
        seen[0][0].words.facts["looked at"].startswith("5 texts are shown, spread over the data. Text 2 is plotted: “")
    )
    assert seen[0][0].words.output == "log-odds of label good"
    assert main(["inspect", str(run)]) == 2
    assert _error(capsys).startswith("data: expected a file")
    assert main(["inspect", str(run), "--data", str(data), "--row", "6"]) == 2
    assert _error(capsys) == f"row: expected 1 to 5, the items of {data}, got 6."
    assert main(["inspect", str(run), "--data", str(data), "--label", "fair"]) == 2
    assert _error(capsys) == "label: expected one of bad, good, got 'fair'."
