"""The benchmark of default options, on made data of each kind."""

import gzip
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
WORDS = {"1": ["good", "great", "fine"], "0": ["bad", "dull", "poor"]}


def lines(count: int, seed: int) -> list[str]:
    """Labels and sentences."""
    generator = np.random.default_rng(seed)
    labels = ["0", "1"] * (count // 2)
    return [
        f"{label} a {generator.choice(WORDS[label])} film of {generator.choice(['Rome', 'Oslo'])}" for label in labels
    ]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folders = {name: tmp_path / name for name in ("wikigold", "m4_hourly", "tinyshakespeare", "multi30k", "sst2")}
    for folder in folders.values():
        folder.mkdir()
    for seed, (part, count) in enumerate((("train", 40), ("dev", 4), ("test", 6))):
        sentences = lines(count, seed)
        (folders["sst2"] / f"{part}.txt").write_text("\n".join(sentences) + "\n")
        tagged = [
            "\n".join(f"{word} {'I-LOC' if word in ('Rome', 'Oslo') else 'O'}" for word in sentence.split()[1:])
            for sentence in sentences
        ]
        (folders["wikigold"] / f"{part}.conll").write_text("\n\n".join(tagged) + "\n")
        name = {"dev": "val", "test": "test_2016_flickr"}.get(part, part)
        for language, text in (("de", "\n".join(sentences).upper()), ("en", "\n".join(sentences))):
            (folders["multi30k"] / f"{name}.{language}.gz").write_bytes(gzip.compress(f"{text}\n".encode()))
    (folders["tinyshakespeare"] / "input.txt").write_text("\n".join(lines(200, 3)) + "\n")
    values = 10 + np.sin(np.arange(460) * 2 * np.pi / 24) + np.random.default_rng(0).normal(0, 0.1, (3, 460))
    for name, part in (("train", values[:, :412]), ("test", values[:, 412:])):
        rows = [",".join([f"H{k}", *map(str, row)]) for k, row in enumerate(part.round(3), start=1)]
        head = ",".join(f"V{k}" for k in range(1, part.shape[1] + 2))
        (folders["m4_hourly"] / f"{name}.csv").write_text("\n".join([head, *rows]) + "\n")
    return tmp_path


def test_each_task_has_a_row_and_absent_data_are_skipped(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import defaults

    monkeypatch.setattr(defaults, "DATA", data)
    monkeypatch.setattr(sys, "argv", ["defaults", "--max-steps", "2", "--markdown"])
    defaults.main()
    found = capsys.readouterr().out
    assert f"skipped: {data / 'ud_lines'} is not there" in found
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in found.splitlines() if line.startswith("|")
    ]
    assert [row[:2] for row in rows[2:]] == [
        ["tag", "wikigold"],
        ["forecast", "m4_hourly"],
        ["language", "tinyshakespeare"],
        ["translate", "multi30k"],
        ["classify", "sst2"],
    ]
    head = rows[0]
    for row in rows[2:]:
        cells = dict(zip(head, row, strict=True))
        ours, theirs = float(cells["ours"].replace(",", "")), float(cells["baseline's"].replace(",", ""))
        less_is_better = cells["metric"] in ("MASE", "bits/byte")
        better = theirs > ours if less_is_better else theirs < ours
        assert cells["beats?"] == ("yes" if better or ours == theirs else "no"), cells
    # After two steps nothing has been learned that the n-gram has not.
    assert dict(zip(head, rows[4], strict=True))["beats?"] == "no"


def test_a_training_that_fails_is_named_at_the_end(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import defaults

    (data / "wikigold" / "train.conll").write_text("")
    monkeypatch.setattr(defaults, "DATA", data)
    monkeypatch.setattr(sys, "argv", ["defaults", "--max-steps", "2", "--only", "wikigold", "sst2"])
    with pytest.raises(SystemExit, match=r"wikigold: .*train\.conll"):
        defaults.main()
    assert "classify   sst2" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["defaults", "--only", "ud_lines"])
    with pytest.raises(SystemExit) as ended:
        defaults.main()
    assert ended.value.code == 2
