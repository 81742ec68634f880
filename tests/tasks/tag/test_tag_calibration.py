from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from made_sentences import sentences
from recurra.data.text.conll import Sentence
from recurra.models import IndependentTags, LinearChain
from recurra.tasks.tag import Tagger
from recurra.tasks.tag.tagging import fit_temperature

SMALL: dict[str, Any] = {
    "hidden_size": 8, "word_size": 6, "characters": "none", "max_steps": 150, "batch_size": 16, "validate_every": 50,
    "learning_rate": 0.03, "averaging": 0.9, "dropout": 0.0, "device": "cpu",
}  # fmt: skip


def noisy(count: int, seed: int) -> list[list[tuple[str, str]]]:
    """Sentences with one tag in five another one than the word says: a confidence of 0.8 is right."""
    generator = np.random.default_rng(seed)
    names = sorted({tag for sentence in sentences(20, entities=False) for _, tag in sentence})
    return [
        [(word, names[generator.integers(len(names))] if generator.random() < 0.2 else tag) for word, tag in sentence]
        for sentence in sentences(count, seed, entities=False)
    ]


@pytest.fixture(scope="module", params=["crf", "softmax"])
def tagger(request: pytest.FixtureRequest) -> Tagger:
    return Tagger(**SMALL, output=request.param).fit(noisy(80, 0), validation=noisy(60, 1), progress=False)


def as_sentences(given: list[list[tuple[str, str]]]) -> list[Sentence]:
    return [Sentence(tuple(word for word, _ in one), tuple(tag for _, tag in one)) for one in given]


def test_a_tempered_chain_has_powers_of_its_probabilities() -> None:
    torch.manual_seed(0)
    emissions, lengths = torch.randn(1, 2, 3), torch.tensor([2])
    chain = LinearChain(emissions, torch.randn(3, 3), torch.randn(3), torch.randn(3), lengths)
    for one in (chain, IndependentTags(emissions, lengths)):
        pairs = torch.cartesian_prod(torch.arange(3), torch.arange(3))
        logs = torch.stack([one.log_likelihood(pair.unsqueeze(0)) for pair in pairs]).squeeze(1).detach()
        powers = (logs / 2.5).softmax(0)
        tempered = torch.stack([one.tempered(2.5).log_likelihood(pair.unsqueeze(0)) for pair in pairs]).squeeze(1)
        assert_allclose(tempered.exp(), powers, rtol=1e-5)
        assert one.tempered(2.5).best().equal(one.best())


def test_the_temperature_undoes_a_scale_of_all_scores(tagger: Tagger) -> None:
    fitted, held = tagger.fitted, as_sentences(noisy(60, 1))
    before = fit_temperature(fitted, held)
    assert before == pytest.approx(fitted.learned.temperature)
    predicted = tagger.predict([one.words for one in held])
    parts = [fitted.network.emissions, *([fitted.network.crf] if fitted.network.crf else [])]
    kept = [{name: value.clone() for name, value in part.state_dict().items()} for part in parts]
    try:
        with torch.no_grad():
            for parameter in (parameter for part in parts for parameter in part.parameters()):
                parameter.mul_(3)
        assert fit_temperature(fitted, held) == pytest.approx(3 * before, rel=0.02)
        assert [one.tags for one in tagger.predict([one.words for one in held])] == [one.tags for one in predicted]
    finally:
        for part, weights in zip(parts, kept, strict=True):
            part.load_state_dict(weights)


def test_confidence_is_calibrated_and_the_error_printed(tagger: Tagger) -> None:
    test = noisy(200, 2)
    evaluation = tagger.evaluate(test)
    error = evaluation.facts["expected_calibration_error"]
    assert error < 0.1
    assert any(f"calibration error of single tags is {100 * error:.1f} points" in note for note in evaluation.notes)
    confidence = np.concatenate([one.confidence for one in tagger.predict([one.words for one in as_sentences(test)])])
    assert confidence.mean() == pytest.approx(evaluation.scores["accuracy"], abs=0.1)
    kept = tagger.fitted.learned
    try:
        for factor in (1 / 8, 8):
            tagger.fitted.learned = replace(kept, temperature=factor * kept.temperature)
            again = tagger.evaluate(test)
            assert again.facts["expected_calibration_error"] > error + 0.03
            assert again.scores == evaluation.scores
    finally:
        tagger.fitted.learned = kept


def test_the_temperature_is_kept_in_the_run(tagger: Tagger, tmp_path: Path) -> None:
    tagger.save(tmp_path / "run")
    assert Tagger.load(tmp_path / "run").fitted.learned.temperature == tagger.fitted.learned.temperature != 1


def test_nothing_to_calibrate_by_leaves_one() -> None:
    tagger = Tagger(**{**SMALL, "max_steps": 1}).fit(sentences(9), progress=False)
    assert tagger.fitted.learned.temperature == 1
    unseen = [Sentence(one.words, (None,) * len(one.words)) for one in as_sentences(sentences(3))]
    assert fit_temperature(tagger.fitted, unseen) == 1


def test_a_word_that_is_always_tagged_right_leaves_a_doubt() -> None:
    tagger = Tagger(**SMALL).fit(sentences(60), validation=sentences(6, 1), progress=False)
    (found,) = tagger.predict(["Ann sees Bob"])
    assert max(found.confidence) < 1
