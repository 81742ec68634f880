import json
import logging
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_pairs import TINY, fitted, make_pairs

from recurra.errors import DataError, ParameterError, RunError
from recurra.tasks.translate import Search, TranslationSettings, Translator
from recurra.tasks.translate import fit as fit_module
from recurra.training import TrainingInterruptedError, load_checkpoint

LINES = ["eins zwei", "", "fünf", "drei vier eins zwei"]


@pytest.fixture(scope="module")
def translator() -> Translator:
    return fitted(max_steps=40)


def same_weights(one: Path, other: Path) -> bool:
    weights = [load_checkpoint(folder / "best.safetensors").group("model") for folder in (one, other)]
    return all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_it_learns_a_small_language():
    settings = {"hidden_size": 48, "embedding_size": 32, "max_steps": 250, "learning_rate": 0.01, "dropout": 0.0}
    translator = Translator(**TINY | settings, input_feeding=False, averaging=0.0)
    translator.fit(make_pairs(300, 3, 6), progress=False)
    evaluation = translator.evaluate(make_pairs(30, 4, 6, seed=5))
    assert evaluation.model.bleu > 80
    assert evaluation.copy.bleu < 10
    assert evaluation.model.chrf > evaluation.copy.chrf
    assert evaluation.model.bleu_signature.startswith("nrefs:1|case:mixed|eff:no|tok:13a|")
    assert "nc:6" in evaluation.model.chrf_signature
    assert translator.predict(["zwei fünf drei vier"]) == ["two five three four"]
    source_pieces, target_pieces, weights = translator.attention("zwei fünf drei vier")
    assert "".join(source_pieces) == "▁zwei▁fünf▁drei▁vier⏎"
    assert "".join(target_pieces) == "▁two▁five▁three▁four⏎"
    assert weights.shape == (len(target_pieces), len(source_pieces))
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-5)


def test_a_batch_of_one_is_as_in_a_batch_of_many(translator: Translator):
    search = Search(n_best=3, beam_size=4)
    together = translator.translate(LINES, search)
    for line, found in zip(LINES, together, strict=True):
        (alone,) = translator.translate([line], search)
        assert [one.text for one in alone] == [one.text for one in found]
        assert [one.score for one in alone] == pytest.approx([one.score for one in found], abs=1e-4)
    assert [one.text for one in together[1]] == [""]
    in_parts = translator.translate(LINES, Search(n_best=3, beam_size=4, batch_size=1))
    assert [[one.text for one in found] for found in in_parts] == [[one.text for one in found] for found in together]


def test_scores_are_those_of_the_pieces(translator: Translator):
    for best in translator.translate(["eins zwei"], Search(n_best=5))[0]:
        assert len(best.token_log_probs) == len(best.pieces) + 1
        assert sum(best.token_log_probs) == pytest.approx(best.log_prob, abs=1e-4)
        assert best.score == pytest.approx(best.log_prob / ((5 + len(best.token_log_probs)) / 6), abs=1e-4)
        assert "".join(best.pieces).replace("▁", " ").split() == best.text.split() or "<0x" in "".join(best.pieces)


def test_prefixes_and_lengths(translator: Translator):
    found = translator.translate(["eins zwei", "drei"], Search(max_length=12), ["four five", "two"])
    assert found[0][0].text.startswith("four five")
    assert found[1][0].text.startswith("two")
    (short,) = translator.translate(["eins zwei drei"], Search(max_length=1))
    assert len(short[0].pieces) <= 1


def test_an_ensemble_of_the_same_is_the_same_and_of_others_is_refused(translator: Translator):
    one = translator.translate(LINES)
    twice = translator.translate(LINES, ensemble=[translator])
    assert [found[0].text for found in twice] == [found[0].text for found in one]
    other = fitted(seed=3)
    assert translator.translate(LINES, ensemble=[other])[0][0].score != one[0][0].score
    foreign = fitted(vocabulary_size=310)
    with pytest.raises(ParameterError, match="same target vocabulary"):
        translator.translate(LINES, ensemble=[foreign])


def test_save_and_load(translator: Translator, tmp_path: Path):
    translator.save(tmp_path / "run")
    loaded = Translator.load(tmp_path / "run")
    assert loaded.settings == translator.settings
    assert loaded.predict(LINES) == translator.predict(LINES)
    with pytest.raises(RunError, match="already holds a run"):
        translator.save(tmp_path / "run")
    with pytest.raises(RunError, match="not a run"):
        Translator.load(tmp_path)
    (tmp_path / "run" / "subwords.model").write_bytes(b"")
    with pytest.raises(RunError, match=r"subwords\.model: the subword model cannot be read"):
        Translator.load(tmp_path / "run")
    (tmp_path / "run" / "subwords.model").unlink()
    with pytest.raises(RunError, match=r"subwords\.model: the subword model cannot be read"):
        Translator.load(tmp_path / "run")


@pytest.mark.parametrize(
    "changes",
    [
        {"joint_vocabulary": False, "tied_embeddings": "output", "attention": "additive"},
        {"joint_vocabulary": False, "tied_embeddings": "none", "input_feeding": False, "subwords": "unigram"},
        {"attention": "dot", "coverage": True, "coverage_penalty": 1.0, "cell": "gru", "bridge": "copy"},
        {"num_layers": 2, "cell": "slstm", "bridge": "zeros", "label_smoothing": 0.0, "coverage": True},
    ],
)
def test_options_train_and_load(changes: dict[str, Any], tmp_path: Path):
    pairs = make_pairs()
    options = TINY | {"max_steps": 3} | changes
    translator = Translator(**options).fit(pairs, pairs, tmp_path, progress=False)
    loaded = Translator.load(tmp_path)
    assert loaded.predict(LINES, beam_size=2) == translator.predict(LINES, beam_size=2)


def test_resuming_is_as_never_having_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pairs = make_pairs()
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    Translator(**TINY).fit(pairs, folder=whole, progress=False)
    batches = fit_module.EncodedPairs.batch
    seen: list[int] = []

    def interrupting(*arguments: Any) -> Any:
        seen.append(0)
        if len(seen) == 3:
            signal.raise_signal(signal.SIGINT)
        return batches(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(fit_module.EncodedPairs, "batch", interrupting)
        with pytest.raises(TrainingInterruptedError):
            Translator(**TINY).fit(pairs, folder=cut, progress=False)
    assert Translator.load(cut).predict(LINES)
    with pytest.raises(RunError, match="already holds a run"):
        Translator(**TINY).fit(pairs, folder=cut, progress=False)
    with pytest.raises(RunError, match="cannot resume with other hidden_size, data"):
        Translator(**TINY | {"hidden_size": 18}).fit(make_pairs(seed=1), folder=cut, resume=True, progress=False)
    Translator(**TINY).fit(pairs, folder=cut, resume=True, progress=False)
    assert same_weights(whole, cut)
    assert (whole / "log.csv").read_text() == (cut / "log.csv").read_text()
    described = json.loads((whole / "run.json").read_text())["data"]
    assert described["pairs"] == 57
    assert described["validation_pairs"] == 3


def test_what_is_left_out_is_said(caplog: pytest.LogCaptureFixture):
    source, target = make_pairs()
    source[0], target[1], source[2] = "", " ", "eins " * 40
    translator = Translator(**TINY | {"max_steps": 1})
    with caplog.at_level(logging.WARNING, "recurra"):
        translator.fit((source, target), (source[5:], target[5:]), progress=False)
        found = translator.predict(["eins " * 50_000, "eins"], beam_size=1)
    assert "2 pairs with a blank side are left out" in caplog.text
    assert "1 of 58 pairs are longer than max_length = 30 subwords and are not trained on" in caplog.text
    assert "a line longer than max_length = 30 subwords; the rest is left out" in caplog.text
    assert len(found) == 2


def test_data_that_cannot_be_learned_from():
    translator = Translator(**TINY)
    with pytest.raises(DataError, match="every pair has a blank side"):
        translator.fit(([""], ["one"]))
    with pytest.raises(DataError, match="nothing to validate with"):
        translator.fit((["eins"], ["one"]), ([" "], ["one"]))
    with pytest.raises(DataError, match="every pair is longer than max_length = 30"):
        translator.fit((["eins " * 40], ["one"]))
    with pytest.raises(DataError, match="1 source lines and 2 target lines"):
        translator.fit((["eins"], ["one", "two"]))
    with pytest.raises(ParameterError, match="data: expected two files, a table, or two lists"):
        translator.fit({"eins": "one"})
    with pytest.raises(ParameterError, match="folder"):
        translator.fit(make_pairs(), resume=True)
    with pytest.raises(RunError, match="not fitted"):
        translator.predict(["eins"])
    assert Translator(**TINY | {"max_steps": 1}).fit((["eins"], ["one"]), progress=False).predict(["eins"])


def test_wrong_calls_are_named(translator: Translator):
    with pytest.raises(ParameterError, match="lines: expected a list of sentences"):
        translator.predict("eins")
    with pytest.raises(ParameterError, match="prefixes: expected one for each of 1 lines"):
        translator.translate(["eins"], prefixes=[])
    with pytest.raises(ParameterError, match=r"options: expected names among .*vocabulary_size.*got 'vocab'"):
        Translator(vocab=3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": 5}, "hidden_size: expected an even number"),
        ({"attention": "self"}, "attention: expected one of additive, dot, general"),
        ({"joint_vocabulary": False}, "tied_embeddings: expected 'output' or 'none'"),
        ({"coverage_penalty": -1.0}, "coverage_penalty"),
        ({"dropout": 1.5}, "dropout"),
        ({"label_smoothing": -0.1}, "label_smoothing"),
        ({"batch_tokens": 100}, "batch_tokens: expected more than max_length = 100"),
        ({"cell": "nothing"}, "cell"),
        ({"coverage": 1}, "coverage: expected True or False"),
        ({"device": "tpu"}, "device"),
        ({"max_steps": 0}, "max_steps"),
    ],
)
def test_wrong_settings_are_named(changes: dict[str, Any], message: str):
    with pytest.raises(ParameterError, match=message):
        TranslationSettings(**changes)


@pytest.mark.parametrize(
    "changes", [{"beam_size": 0}, {"n_best": 6}, {"length_penalty": -1.0}, {"max_length": 0}, {"no_repeat_ngram": -1}]
)
def test_wrong_searches_are_named(changes: dict[str, Any]):
    with pytest.raises(ParameterError, match=next(iter(changes))):
        Search(**changes)
