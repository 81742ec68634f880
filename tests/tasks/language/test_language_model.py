import math
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recurra.data.batches.lanes import Lanes
from recurra.errors import DataError, ParameterError, RunError
from recurra.tasks.language import LanguageModel, Sampling, reader, results
from recurra.tasks.language.reader import AnyFitted, Reader
from recurra.training import TrainingInterruptedError, load_checkpoint

TEXT = "Ein Männlein steht im Walde\nganz still und stumm,\nes hat von lauter Purpur\nein Mäntlein um.\n" * 12
TINY: dict[str, Any] = {
    "hidden_size": 12,
    "embedding_size": 6,
    "max_steps": 6,
    "truncation_length": 10,
    "batch_size": 4,
    "validate_every": 3,
    "device": "cpu",
}
CORPUS = {"train": TEXT, "validation": TEXT[:300]}
KINDS: list[dict[str, Any]] = [
    {"tokens": "characters"},
    {"tokens": "bytes", "cell": "gru", "num_layers": 2, "dropout": 0.1, "variational": True, "weight_dropout": 0.1},
    {"tokens": "words", "hidden_size": 16, "cutoffs": (4, 9), "embedding_dropout": 0.1, "input_dropout": 0.1},
    {"tokens": "characters", "architecture": ("rglru", "attention:4"), "dropout": 0.1},
    {"tokens": "subwords", "vocabulary_size": 290, "tied": True, "recurrent_dropout": 0.1, "min_count": 1},
]


def _fit(**options: Any) -> LanguageModel:
    return LanguageModel(**{**TINY, **options}).fit(CORPUS)


@pytest.fixture(
    scope="module", params=KINDS, ids=lambda kind: "-".join((kind["tokens"], *kind.get("architecture", ())))
)
def model(request: pytest.FixtureRequest) -> LanguageModel:
    return _fit(**request.param)


def test_state_is_carried_as_in_one_long_run(model: LanguageModel, monkeypatch: pytest.MonkeyPatch):
    ids = model.fitted.learned.text("validation").ids
    whole = Reader(model.fitted).score(ids)
    one_by_one = Reader(model.fitted)
    found = []
    for token_id in ids.tolist():
        found.append(-one_by_one.log_probabilities()[token_id])
        one_by_one.read(token_id)
    np.testing.assert_allclose(found, whole, atol=1e-5)
    monkeypatch.setattr(reader, "_STEPS_AT_ONCE", 7)
    np.testing.assert_allclose(Reader(model.fitted).score(ids), whole, atol=1e-5)


class _ReaderWithoutRounding:
    """Expects at random, by the tokens it has read alone: what is sampled is the same on every processor."""

    def __init__(self, fitted: AnyFitted) -> None:
        self._read: list[int] = []
        self._size = len(fitted.learned.tokens)

    def score(self, ids: torch.Tensor) -> np.ndarray:
        self._read += ids.tolist()
        return np.zeros(len(ids))

    def read(self, token_id: int) -> None:
        self._read.append(token_id)

    def log_probabilities(self) -> np.ndarray:
        return np.log(np.random.default_rng([len(self._read), *self._read]).dirichlet(np.ones(self._size)))


def test_the_same_seed_gives_the_same_text_alone_and_among_many(model: LanguageModel, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(results, "Reader", _ReaderWithoutRounding)
    prompts = ["", "Ein Männlein ", "es hat\n", "ganz"]
    options: dict[str, Any] = {"length": 25, "sampling": Sampling(temperature=1.3, top_k=20, top_p=0.95)}
    many = model.generate(prompts, seed=3, **options)
    assert many == [model.generate(prompt, seed=3 + i, **options) for i, prompt in enumerate(prompts)]
    assert len(set(model.generate(["", "", ""], seed=3, length=25))) == 3


def test_no_temperature_and_one_candidate_are_greedy(model: LanguageModel, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(results, "Reader", _ReaderWithoutRounding)
    greedy = model.generate("ein", length=15, sampling=Sampling(temperature=0.0))
    for sampling in (Sampling(temperature=1e-9), Sampling(top_k=1)):
        assert model.generate("ein", length=15, sampling=sampling, seed=5) == greedy


def test_greedy_text_is_of_the_likeliest_tokens(model: LanguageModel):
    greedy = list(model.stream("ein", length=15, sampling=Sampling(temperature=0.0)))
    steps = Reader(model.fitted)
    steps.score(model.fitted.learned.tokens.encode("ein").ids)
    for token in greedy:
        log_p = steps.log_probabilities()
        if model.fitted.learned.tokens.unknown is not None:
            log_p[model.fitted.learned.tokens.unknown] = -np.inf
        assert log_p[token.id] == pytest.approx(log_p.max(), abs=1e-5)
        steps.read(token.id)


def test_what_comes_next_is_predicted(model: LanguageModel):
    found = model.predict("ein", top=5)
    reader = Reader(model.fitted)
    reader.score(model.fitted.learned.tokens.encode("ein").ids)
    expected = reader.log_probabilities()
    np.testing.assert_allclose([token.surprise for token in found], np.sort(-expected)[:5], atol=1e-6)
    everything = model.predict(top=10_000)
    assert sum(np.exp(-token.surprise) for token in everything) == pytest.approx(1, abs=1e-4)
    with pytest.raises(ParameterError, match="top: expected a whole number of at least 1, got 0"):
        model.predict("ein", top=0)


def test_surprise_of_what_is_generated_is_what_scoring_finds(model: LanguageModel):
    options: dict[str, Any] = {"length": 20, "seed": 1, "sampling": Sampling(temperature=0.7)}
    generated = list(model.stream("Mann", **options))
    prompt = model.generation("Mann", **options).prompt_tokens
    assert [token.id for token in prompt] == [token.id for token in model.surprise("Mann")]
    ids = torch.cat([model.fitted.learned.tokens.encode("Mann").ids, torch.tensor([token.id for token in generated])])
    again = Reader(model.fitted).score(ids)[-20:]
    np.testing.assert_allclose([token.surprise for token in generated], again, atol=1e-5)
    assert model.fitted.learned.tokens.unknown not in [token.id for token in generated]


def test_a_text_is_scored_token_by_token(model: LanguageModel):
    line = "es hat von lauter Mänt"
    scored = model.surprise(line)
    assert "".join(token.text for token in scored).replace("<unk>", "Mänt") == line
    assert all(token.surprise > 0 for token in scored)
    assert model.surprise("") == []
    found = model.evaluate(text=line)
    assert found.facts["nats"]["model"] == pytest.approx(sum(token.surprise for token in scored))


def test_saved_and_loaded_it_is_the_same(model: LanguageModel, tmp_path: Path):
    model.save(tmp_path / "run")
    again = LanguageModel.load(tmp_path / "run")
    assert again.get_params() == model.get_params()
    torch.testing.assert_close(again.fitted.network.state_dict(), model.fitted.network.state_dict(), rtol=0, atol=0)
    np.testing.assert_allclose(
        [token.surprise for token in again.surprise("Wald")],
        [token.surprise for token in model.surprise("Wald")],
        atol=1e-5,
    )
    for method, scores in model.evaluate().methods.items():
        assert again.evaluate().methods[method] == pytest.approx(scores)
    with pytest.raises(RunError, match="already holds a run"):
        model.save(tmp_path / "run")


def test_resumed_training_is_straight_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    options: dict[str, Any] = {**TINY, "dropout": 0.2, "stride": 5, "activation_penalty": 0.1, "tokens": "bytes"}
    straight = LanguageModel(**options).fit(CORPUS, folder=tmp_path / "straight")
    read = Lanes.__call__
    calls = []

    def interrupting(lanes: Lanes, step: int) -> Any:
        calls.append(step)
        if len(calls) == 8:
            os.kill(os.getpid(), signal.SIGINT)
        return read(lanes, step)

    monkeypatch.setattr(Lanes, "__call__", interrupting)
    with pytest.raises(TrainingInterruptedError) as stopped:
        LanguageModel(**options).fit(CORPUS, folder=tmp_path / "run")
    assert 0 < stopped.value.step < 6
    # A run interrupted can be used as it is.
    assert len(LanguageModel.load(tmp_path / "run").generate("", length=5)) >= 0
    resumed = LanguageModel(**options).fit(CORPUS, folder=tmp_path / "run", resume=True)
    for name in ("log.csv", "best.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "straight" / name).read_bytes()
    assert resumed.evaluate().scores == pytest.approx(straight.evaluate().scores)
    with pytest.raises(RunError, match="already holds a run"):
        LanguageModel(**options).fit(CORPUS, folder=tmp_path / "run")
    with pytest.raises(RunError, match="cannot resume with other hidden_size"):
        LanguageModel(**{**options, "hidden_size": 13}).fit(CORPUS, folder=tmp_path / "run", resume=True)
    other = {**CORPUS, "validation": TEXT[:301]}
    with pytest.raises(RunError, match="cannot resume with other data"):
        LanguageModel(**options).fit(other, folder=tmp_path / "run", resume=True)
    with pytest.raises(ParameterError, match="folder: expected the folder of the run to resume"):
        LanguageModel(**options).fit(CORPUS, resume=True)


def test_fine_tuning_finds_tokens_by_name(model: LanguageModel, tmp_path: Path):
    """The other text has other tokens too, and those of both in another order."""
    model.save(tmp_path / "run")
    text = TEXT.swapcase() + TEXT.replace("e", "i")
    options = {**model.get_params(), "max_steps": 1, "learning_rate": 1e-9, "averaging": 0.0}
    if model.tokens == "subwords":
        options["vocabulary_size"] = 320  # the text has more characters
    other = LanguageModel(**options).fit({"train": text, "validation": text[:200]}, start_from=tmp_path / "run")
    states = [one.fitted.network.state_dict() for one in (model, other)]
    rows = [one.fitted.learned.rows() for one in (model, other)]
    named = [name for name in rows[0] if name in states[0]]
    assert len(named) >= 3
    assert (rows[0] == rows[1]) == (model.tokens == "bytes")
    for name in named:
        both = [row for row in rows[0][name] if row in rows[1][name]]
        assert [len(one[name]) for one in rows] == [len(state[name]) for state in states]
        assert len(set(rows[0][name])) == len(rows[0][name])
        old, new = (
            state[name][[one[name].index(row) for row in both]] for state, one in zip(states, rows, strict=True)
        )
        torch.testing.assert_close(new, old, atol=1e-6, rtol=0)


def test_how_the_weights_were_initialised_is_recorded(tmp_path: Path):
    LanguageModel(**TINY).fit(CORPUS, folder=tmp_path)
    record = (tmp_path / "training.json").read_text()
    assert '"recurrent.weight_hh_l0": "orthogonal per gate"' in record
    assert '"embedding.weight": "normal, variance 1 / 6"' in record


def test_what_repeats_is_learned_and_continued():
    text = "abcdefgh" * 200
    settings = {**TINY, "hidden_size": 24, "max_steps": 120, "learning_rate": 0.02, "averaging": 0.9, "patience": 0}
    model = LanguageModel(**settings).fit({"train": text, "validation": text[:200]})
    assert model.generate("abcde", length=11) == "fghabcdefgh"
    scores = model.evaluate().scores
    assert scores["bits/character"] < 0.1
    assert scores["bits/byte"] == pytest.approx(scores["bits/character"])


def test_measures_agree_with_each_other():
    model = LanguageModel(**TINY, tokens="words").fit({**CORPUS, "test": "Walde Wolf\nund Ärger"})
    found = model.evaluate()
    names = ("name", "tokens", "words", "unknown", "unknown_bytes")
    assert [found.facts[name] for name in names] == ["test", 5, 5, 2, 4 + 6]
    for measures in found.methods.values():
        assert measures["perplexity/word"] == pytest.approx(math.exp(measures["nats/word"]))
        assert measures["bits/word"] == pytest.approx(measures["nats/word"] / math.log(2))
        spelled = 5 * measures["bits/word"] + 8 * (4 + 6 + 2)
        assert measures["bits/byte"] == pytest.approx(spelled / len("Walde Wolf\nund Ärger".encode()))
    assert model.evaluate(part="validation").facts["unknown"] == 1  # the last, which the end of the text cuts short
    with pytest.raises(ParameterError, match="part: expected one of train, validation, test"):
        model.evaluate(part="dev")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no tokens to predict"):
        model.evaluate(text="")
    subwords = _fit(tokens="subwords", vocabulary_size=290).evaluate()
    nats, count = subwords.facts["nats"]["model"], subwords.facts["words"]
    assert subwords.scores["perplexity/word"] == pytest.approx(math.exp(nats / count))


def test_unknown_characters_and_words_of_a_prompt(caplog: pytest.LogCaptureFixture):
    with pytest.raises(DataError, match=r"prompt, character 5: the model has never seen '日'\. .*--tokens bytes"):
        _fit().generate("Mann日本")
    assert _fit(tokens="bytes").surprise("日本")[2].text == "日"
    _fit(tokens="words").generate("Mann steht", length=2)
    assert "prompt: 'Mann' is not in the vocabulary" in caplog.text


def test_weights_of_a_lowest_validation_are_kept(tmp_path: Path):
    model = LanguageModel(**TINY).fit(CORPUS, folder=tmp_path)
    best = load_checkpoint(tmp_path / "best.safetensors").group("model")
    torch.testing.assert_close(best["embedding.weight"], model.fitted.network.embedding.weight.data)
    assert model.training_result is not None
    assert model.training_result.best_loss < math.log(len(model.fitted.learned.tokens)) + 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tokens": "letters"}, "tokens: expected one of characters, bytes, words, subwords"),
        ({"cell": "lstn"}, "cell: expected one of"),
        ({"stride": 33}, "stride: expected a divisor or a multiple of truncation_length = 100"),
        ({"dropout": 1.5}, "dropout: expected a number from 0 to 1"),
        ({"tied": 1}, "tied: expected True or False"),
        ({"initialization": "zeros"}, "initialization: expected one of orthogonal, identity, uniform"),
        ({"device": "tpu"}, "device: expected 'auto', 'cpu' or 'cuda'"),
        ({"batch_size": 0}, "batch_size: expected a whole number of at least 1"),
        ({"cutoffs": 5}, "cutoffs: expected a tuple"),
        ({"embedding_size": 0}, "embedding_size: expected a whole number of at least 1"),
        ({"architecture": ("griffon",)}, "architecture: block: .*Did you mean 'griffin'"),
        ({"architecture": ("attention:8", "mlp")}, "architecture: expected a recurrent layer among the blocks"),
        ({"architecture": ("lstm", "attention:8:heads=3")}, "architecture, item 2: heads"),
        ({"architecture": ("griffin",), "cell": "gru"}, "cell: expected its default with an architecture"),
        ({"architecture": ("griffin",), "weight_dropout": 0.1}, "weight_dropout: expected its default with an arch"),
    ],
)
def test_wrong_settings_are_named(options: dict[str, Any], message: str):
    with pytest.raises(ParameterError, match=message):
        LanguageModel(**options)


def test_wrong_use_is_named():
    with pytest.raises(ParameterError, match=r"hidden: .*an option of LanguageModel"):
        LanguageModel(hidden=3)  # type: ignore[call-arg]
    with pytest.raises(RunError, match="not fitted"):
        LanguageModel().generate("a")
    with pytest.raises(ParameterError, match="cutoffs: expected increasing numbers, less than the"):
        _fit(cutoffs=(10, 5000))
    with pytest.raises(ParameterError, match="length: expected a whole number of at least 0"):
        _fit().generate("", length=-1)


def test_an_architecture_is_told_in_words():
    model = _fit(architecture=("gru", "mlp"))
    assert "1 x (gru, mlp) of 12 units" in str(model.view().words.facts["network"])


def test_a_damaged_run_is_named(tmp_path: Path):
    run = tmp_path / "run"
    _fit().save(run)
    _fit(hidden_size=13).save(tmp_path / "wider")
    best = (run / "best.safetensors").read_bytes()
    (run / "best.safetensors").write_bytes((tmp_path / "wider" / "best.safetensors").read_bytes())
    with pytest.raises(RunError, match=r"best\.safetensors: not the weights of the model"):
        LanguageModel.load(run)
    (run / "best.safetensors").write_bytes(best)
    text = (run / "run.json").read_text()
    (run / "run.json").write_text(text.replace('"tied"', '"tight"'))
    with pytest.raises(RunError, match=r"damaged run.*tight"):
        LanguageModel.load(run)
    (run / "run.json").write_text(text)
    (run / "learned.json").unlink()
    with pytest.raises(RunError, match=r"learned\.json"):
        LanguageModel.load(run)
    with pytest.raises(RunError, match="not a run"):
        LanguageModel.load(tmp_path)
