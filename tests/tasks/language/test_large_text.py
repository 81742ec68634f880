"""Large texts: mapped from files, they train the same model, and a run needs its text only to look at it again."""

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recurra.errors import DataError, RunError
from recurra.tasks.language import LanguageModel, results
from recurra.tasks.language.corpus import read_corpus

TINY: dict[str, Any] = {
    "hidden_size": 4,
    "embedding_size": 4,
    "truncation_length": 10,
    "batch_size": 4,
    "max_steps": 4,
    "validate_every": 2,
    "device": "cpu",
}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "a.txt"
    path.write_text("so it goes on\nand on, ünd öff\n" * 30)
    return path


def fit(path: Path, folder: Path, **options: Any) -> LanguageModel:
    return LanguageModel(**{**TINY, **options}).fit(path, folder=folder, progress=False)


def test_a_mapped_text_trains_the_same_weights(path: Path, tmp_path: Path) -> None:
    options = {"test_fraction": 0.2, "tokens": "words"}
    held, mapped = (fit(path, tmp_path / f"run{size}", map_above=size, **options) for size in (1, 0))
    files = [{file.name for file in (tmp_path / f"run{size}").iterdir()} for size in (1, 0)]
    assert files[0] - files[1] == {"learned.safetensors"}
    for name in ("best.safetensors", "log.csv"):
        assert (tmp_path / "run1" / name).read_bytes() == (tmp_path / "run0" / name).read_bytes()
    loaded = LanguageModel.load(tmp_path / "run0")
    assert loaded.evaluate().scores == mapped.evaluate().scores == held.evaluate().scores
    assert loaded.view().inputs[0].tolist() == held.view().inputs[0].tolist()


def test_a_text_is_evaluated_in_pieces_as_the_whole(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = fit(path, tmp_path / "run", map_above=0)
    scores = model.evaluate(part="train").scores
    monkeypatch.setattr(results, "_TOKENS_AT_ONCE", 7)
    pieces = model.evaluate(part="train").scores
    assert pieces == pytest.approx(scores, rel=1e-6)
    assert set(pieces) == set(scores)


def test_a_run_needs_its_text_only_to_look_at_it(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    scores = fit(path, folder, map_above=0).evaluate().scores
    for file in (tmp_path / "cache").rglob("*"):
        if file.is_file():
            file.unlink()
    assert LanguageModel.load(folder).evaluate().scores == scores  # encoded anew
    content = path.read_text()
    path.write_text(content + "!")
    loaded = LanguageModel.load(folder)
    assert loaded.evaluate().scores == scores  # cached
    with pytest.raises(RunError, match="cannot resume with other data"):
        fit_more(path, folder)
    for file in (tmp_path / "cache").rglob("*"):
        if file.is_file():
            file.unlink()
    loaded = LanguageModel.load(folder)
    with pytest.raises(DataError, match=r"a\.txt: .* has changed\. Put it back, or name another text \(--data\)"):
        loaded.evaluate()
    assert len(loaded.generate("so", length=5)) == 5
    path.write_text(content)
    assert fit_more(path, folder).training_result.steps == 6  # type: ignore[union-attr]


def fit_more(path: Path, folder: Path) -> LanguageModel:
    model = LanguageModel(**{**TINY, "max_steps": 6, "map_above": 0})
    return model.fit(path, folder=folder, resume=True, progress=False)


def test_texts_of_several_files_are_mapped_together(path: Path, tmp_path: Path) -> None:
    text = path.read_text()
    folder = tmp_path / "parts"
    folder.mkdir()
    for name in ("train", "valid"):
        (folder / f"{name}.txt").write_text(text)
    corpora = [read_corpus(folder, map_above=size) for size in (0, 1)]
    assert [len(part) for part in corpora[0].texts.values()] == [len(text)] * 2
    mapped, held = (one.validated_on(one).texts for one in corpora)
    for part, expected in held.items():
        given = mapped[part]
        assert not isinstance(given, str)
        assert "".join(given.pieces("\n")) == expected


TRAIN = """
import resource, sys
from recurra.cli.main import main

limit = int(sys.argv[1]) * 10**6
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_text_trains_in_less_memory_than_it_has(tmp_path: Path) -> None:
    """RLIMIT_DATA limits what is a process's own: allocations and stacks, not pages of files, which the kernel drops.

    Held in memory, the text and its tokens would take several times the limit.
    """
    megabytes, limit = 150, 500
    chance = random.Random(2)
    words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(2, 9))) for _ in range(5000)]
    path = tmp_path / "large.txt"
    with path.open("w") as file:
        while file.tell() < megabytes * 1_000_000:
            lines = [" ".join(chance.choices(words, k=12)) for _ in range(5000)]
            for _ in range(20):
                chance.shuffle(lines)
                file.write("\n".join(lines) + "\n")
    options = "--validation-fraction 0.001 --hidden-size 16 --max-steps 20 --validate-every 20"
    command = [sys.executable, "-c", TRAIN, str(limit), "train", "language", "--data", str(path)]
    command += ["--out", str(tmp_path / "run"), *options.split()]
    environment = os.environ | {"RECURRA_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "trained 20 steps" in done.stdout
    stored = max(file.stat().st_size for file in (tmp_path / "cache").rglob("*"))
    assert stored > 0.99 * path.stat().st_size
