"""A translator as two graphs: a caller's greedy search over them is the translator's own."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_pairs import TINY, make_pairs

from recurra.errors import ExportError
from recurra.tasks.translate import Search, Translator

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
sentencepiece = pytest.importorskip("sentencepiece")


class Exported:
    """A search as a program without Recurra writes it: from the files alone."""

    def __init__(self, folder: Path, name: str = "model") -> None:
        self.encoder, self.decoder = (
            onnxruntime.InferenceSession(folder / f"{name}.{part}.onnx", providers=["CPUExecutionProvider"])
            for part in ("encoder", "decoder")
        )
        found = self.decoder.get_modelmeta().custom_metadata_map
        self.facts = {key: json.loads(value) for key, value in found.items() if key != "recurra.model"}
        self.source, self.target = (
            sentencepiece.SentencePieceProcessor(model_file=str(folder / f"{name}.{side}.model"))
            for side in ("source", "target")
        )

    def __call__(self, lines: list[str]) -> list[str]:
        cut = [[*self.source.EncodeAsIds(line), self.facts["end"]] for line in lines]
        lengths = np.array([len(one) for one in cut])
        source = np.array([one + [self.facts["padding"]] * (max(lengths) - len(one)) for one in cut])
        outputs = self.encoder.run(None, {"source": source, "lengths": lengths})
        values = dict(zip([one.name for one in self.encoder.get_outputs()], outputs, strict=True))
        values |= {"lengths": lengths, "tokens": np.full(len(lines), self.facts["begin"])}
        written: list[list[int]] = []
        for _ in range(2 * max(lengths) + 10):
            outputs = self.decoder.run(None, values)
            found = dict(zip([one.name for one in self.decoder.get_outputs()], outputs, strict=True))
            values |= {state["input"]: found[state["output"]] for state in self.facts["recurra.states"]}
            values["tokens"] = found["log_probabilities"].argmax(1)
            written.append(values["tokens"].tolist())
        translations = []
        for row, length in zip(zip(*written, strict=True), lengths, strict=True):
            most = [*row][: 2 * (length - 1) + 10]
            ended = most.index(self.facts["end"]) if self.facts["end"] in most else len(most)
            translations.append(self.target.DecodeIds(most[:ended]))
        return translations


@pytest.fixture(scope="module")
def translator() -> Translator:
    """One that has learned enough to write words, each of several subwords."""
    options = {**TINY, "max_steps": 40, "validate_every": 40, "learning_rate": 0.01, "coverage": True}
    return Translator(**options).fit(make_pairs(), progress=False)


def test_a_greedy_search_writes_what_the_translator_does(translator: Translator, tmp_path: Path) -> None:
    files = translator.export(name="numbers").write(tmp_path)
    assert {path.name for path in files} == {
        *("numbers.encoder.onnx", "numbers.decoder.onnx"),
        *("numbers.source.model", "numbers.target.model"),
    }
    exported = Exported(tmp_path, "numbers")
    assert exported.facts["target"][exported.facts["end"]] == "</s>"
    lines, _ = make_pairs(17, shortest=1, longest=9, seed=5)
    for batch in (lines, lines[3:4], lines[5:9]):
        expected = translator.predict(batch, search=Search(beam_size=1))
        assert any(expected)
        assert exported(batch) == expected


def test_the_checks_are_printed(translator: Translator, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    translator.export().write(tmp_path)
    printed = capsys.readouterr().out
    assert printed.count("  checked: ") == 6
    assert printed.count("searched greedily: ") == 3
    assert "steps, allowed" in printed


@pytest.mark.parametrize("to", ["c", "torch"])
def test_other_forms_are_refused_with_the_way_out(translator: Translator, to: Any, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=f"--to {to}: a translator reads a sentence to its end .* Use --to onnx"):
        translator.export(to=to)
