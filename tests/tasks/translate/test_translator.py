import logging
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_pairs import TINY, fitted, make_pairs

from recurra.errors import DataError, ExportError, ParameterError, RunError
from recurra.tasks.translate import Search, Translator
from recurra.tasks.translate.pairs import EncodedPairs
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
    assert evaluation.scores["BLEU"] > 80
    assert evaluation.baselines["copy the source"]["BLEU"] < 10
    assert evaluation.scores["chrF2"] > evaluation.baselines["copy the source"]["chrF2"]
    assert evaluation.facts["signatures"]["BLEU"].startswith("nrefs:1|case:mixed|eff:no|tok:13a|")
    assert "nc:6" in evaluation.facts["signatures"]["chrF2"]
    assert translator.predict(["zwei fünf drei vier"]) == ["two five three four"]
    source_pieces, target_pieces, weights = translator.alignment("zwei fünf drei vier")
    assert "".join(source_pieces) == "▁zwei▁fünf▁drei▁vier⏎"
    assert "".join(target_pieces) == "▁two▁five▁three▁four⏎"
    assert weights.shape == (len(target_pieces), len(source_pieces))
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-5)


def test_a_batch_of_one_is_as_in_a_batch_of_many(translator: Translator):
    search = Search(n_best=3, beam_size=4)
    together = translator.predictions(LINES, search=search).translations
    for line, found in zip(LINES, together, strict=True):
        (alone,) = translator.predictions([line], search=search).translations
        assert [one.text for one in alone] == [one.text for one in found]
        assert [one.score for one in alone] == pytest.approx([one.score for one in found], abs=1e-4)
    assert [one.text for one in together[1]] == [""]
    in_parts = translator.predictions(LINES, search=Search(n_best=3, beam_size=4, batch_size=1)).translations
    assert [[one.text for one in found] for found in in_parts] == [[one.text for one in found] for found in together]


def test_scores_are_those_of_the_pieces(translator: Translator):
    for best in translator.predictions(["eins zwei"], search=Search(n_best=5)).translations[0]:
        assert len(best.token_log_probs) == len(best.pieces) + 1
        assert sum(best.token_log_probs) == pytest.approx(best.log_prob, abs=1e-4)
        assert best.score == pytest.approx(best.log_prob / ((5 + len(best.token_log_probs)) / 6), abs=1e-4)
        assert "".join(best.pieces).replace("▁", " ").split() == best.text.split() or "<0x" in "".join(best.pieces)


def test_prefixes_and_lengths(translator: Translator):
    found = translator.predictions(
        ["eins zwei", "drei"], search=Search(max_length=12), prefixes=["four five", "two"]
    ).translations
    assert found[0][0].text.startswith("four five")
    assert found[1][0].text.startswith("two")
    (short,) = translator.predictions(["eins zwei drei"], search=Search(max_length=1)).translations
    assert len(short[0].pieces) <= 1


def test_an_ensemble_of_the_same_is_the_same_and_of_others_is_refused(translator: Translator):
    one = translator.predictions(LINES).translations
    twice = translator.predictions(LINES, ensemble=(translator,)).translations
    assert [found[0].text for found in twice] == [found[0].text for found in one]
    other = fitted(seed=3)
    assert translator.predictions(LINES, ensemble=(other,)).translations[0][0].score != one[0][0].score
    foreign = fitted(vocabulary_size=310)
    with pytest.raises(ParameterError, match="same target vocabulary"):
        translator.predict(LINES, ensemble=(foreign,))


def test_save_and_load(translator: Translator, tmp_path: Path):
    translator.save(tmp_path / "run")
    loaded = Translator.load(tmp_path / "run")
    assert loaded.get_params() == translator.get_params()
    assert loaded.predict(LINES) == translator.predict(LINES)
    with pytest.raises(RunError, match="already holds a run"):
        translator.save(tmp_path / "run")
    with pytest.raises(RunError, match="not a run"):
        Translator.load(tmp_path)
    (tmp_path / "run" / "learned.safetensors").write_bytes(b"")
    with pytest.raises(RunError, match=r"learned\.safetensors"):
        Translator.load(tmp_path / "run")


@pytest.mark.parametrize(
    "changes",
    [
        {"joint_vocabulary": False, "tied_embeddings": "output", "attention": "additive"},
        {"joint_vocabulary": False, "tied_embeddings": "none", "input_feeding": False, "subwords": "unigram"},
        {"attention": "dot", "coverage": True, "coverage_penalty": 1.0, "cell": "gru", "bridge": "copy"},
        {"num_layers": 2, "cell": "slstm", "bridge": "zeros", "label_smoothing": 0.0, "coverage": True},
        {"architecture": ("gru", "attention:4"), "num_layers": 2, "bridge": "zeros", "input_feeding": True},
    ],
)
def test_options_train_and_load(changes: dict[str, Any], tmp_path: Path):
    pairs = make_pairs()
    options: dict[str, Any] = TINY | {"max_steps": 3} | changes
    translator = Translator(**options).fit(pairs, validation=pairs, folder=tmp_path, progress=False)
    loaded = Translator.load(tmp_path)
    assert loaded.predict(LINES, search=Search(beam_size=2)) == translator.predict(LINES, search=Search(beam_size=2))


def test_a_stack_reads_a_sentence_as_in_a_batch(tmp_path: Path):
    translator = fitted(architecture=("rglru", "attention:4", "conv:3"), max_steps=2)
    search = Search(beam_size=3)
    together = translator.predictions(LINES, search=search).translations
    for line, found in zip(LINES, together, strict=True):
        (alone,) = translator.predictions([line], search=search).translations
        assert alone[0].log_prob == pytest.approx(found[0].log_prob, abs=1e-4)
    words = translator.view(make_pairs(8)).words
    assert "The encoder is 1 x (rglru, attention:4, conv:3) with 16 units." in words.facts["network"]
    with pytest.raises(ExportError, match=r"encoder: a Stack is a block or a stack of blocks.*in ONNX"):
        translator.export().write(tmp_path)
    with pytest.raises(ParameterError, match="bridge: expected copy or zeros with an architecture"):
        Translator(architecture=("lstm",), bridge="dense")
    with pytest.raises(ParameterError, match="architecture: expected blocks with residual connections"):
        fitted(architecture=("cnn_lstm",), input_feeding=True)


def test_resuming_is_as_never_having_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pairs = make_pairs()
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    Translator(**TINY).fit(pairs, folder=whole, progress=False)
    batches = EncodedPairs.batch
    seen: list[int] = []

    def interrupting(*arguments: Any) -> Any:
        seen.append(0)
        if len(seen) == 3:
            signal.raise_signal(signal.SIGINT)
        return batches(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(EncodedPairs, "batch", interrupting)
        with pytest.raises(TrainingInterruptedError):
            Translator(**TINY).fit(pairs, folder=cut, progress=False)
    assert Translator.load(cut).predict(LINES)
    with pytest.raises(RunError, match="already holds a run"):
        Translator(**TINY).fit(pairs, folder=cut, progress=False)
    with pytest.raises(RunError, match="cannot resume with other hidden_size"):
        Translator(**{**TINY, "hidden_size": 18}).fit(make_pairs(seed=1), folder=cut, resume=True, progress=False)
    Translator(**TINY).fit(pairs, folder=cut, resume=True, progress=False)
    assert same_weights(whole, cut)
    assert (whole / "log.csv").read_text() == (cut / "log.csv").read_text()
    with pytest.raises(RunError, match="cannot resume with other data"):
        Translator(**TINY).fit(make_pairs(seed=1), folder=cut, resume=True, progress=False)


def test_a_run_trained_on_lists_asks_for_them_when_resumed(tmp_path: Path):
    run, pairs, validation = tmp_path / "run", make_pairs(), make_pairs(8, seed=1)
    Translator(**TINY).fit(pairs, folder=run, progress=False)
    with pytest.raises(ParameterError, match="data: expected the examples that the run was trained on, which it does"):
        Translator(**TINY).fit(folder=run, resume=True)
    longer = Translator(**{**TINY, "max_steps": 12}).fit(pairs, folder=run, resume=True, progress=False)
    assert longer.training_result is not None
    assert longer.training_result.steps == 12

    mixed, table = tmp_path / "mixed", tmp_path / "pairs.tsv"
    table.write_text("".join(f"{one}\t{other}\n" for one, other in zip(*pairs, strict=True)), encoding="utf-8")
    Translator(**TINY).fit(table, validation=validation, folder=mixed, progress=False)
    with pytest.raises(ParameterError, match="validation: expected the examples that the run was validated with"):
        Translator(**TINY).fit(folder=mixed, resume=True)
    Translator(**TINY).fit(validation=validation, folder=mixed, resume=True, progress=False)


def test_what_is_left_out_is_said(caplog: pytest.LogCaptureFixture):
    source, target = make_pairs()
    source[0], target[1], source[2] = "", " ", "eins " * 40
    translator = Translator(**{**TINY, "max_steps": 1})
    with caplog.at_level(logging.WARNING, "recurra"):
        translator.fit(source, target, validation=(source[5:], target[5:]), progress=False)
        found = translator.predict(["eins " * 50_000, "eins"], search=Search(beam_size=1))
    assert "2 pairs with a blank side are left out" in caplog.text
    assert "1 of 58 pairs are longer than max_length = 30 subwords and are not trained on" in caplog.text
    assert "a line longer than max_length = 30 subwords; the rest is left out" in caplog.text
    assert len(found) == 2


def test_data_that_cannot_be_learned_from():
    translator = Translator(**TINY)
    with pytest.raises(DataError, match="every pair has a blank side"):
        translator.fit(([""], ["one"]))
    with pytest.raises(DataError, match="every pair has a blank side"):
        translator.fit((["eins"], ["one"]), validation=([" "], ["one"]))
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
    assert Translator(**{**TINY, "max_steps": 1}).fit((["eins"], ["one"]), progress=False).predict(["eins"])


def test_wrong_calls_are_named(translator: Translator):
    with pytest.raises(DataError, match="no such file"):
        translator.predict("eins")
    with pytest.raises(ParameterError, match="prefixes: expected one for each of 1 lines"):
        translator.predict(["eins"], prefixes=["one", "two"])
    with pytest.raises(ParameterError, match=r"vocab_size: .*vocabulary_size"):
        Translator(vocab_size=3)  # type: ignore[call-arg]


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
        ({"max_steps": -1}, "max_steps"),
    ],
)
def test_wrong_settings_are_named(changes: dict[str, Any], message: str):
    with pytest.raises(ParameterError, match=message):
        Translator(**changes)


@pytest.mark.parametrize(
    "changes", [{"beam_size": 0}, {"n_best": 6}, {"length_penalty": -1.0}, {"max_length": 0}, {"no_repeat_ngram": -1}]
)
def test_wrong_searches_are_named(changes: dict[str, Any]):
    with pytest.raises(ParameterError, match=next(iter(changes))):
        Search(**changes)
