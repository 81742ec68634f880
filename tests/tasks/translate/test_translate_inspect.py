import numpy as np
import pytest
import torch
from made_pairs import fitted, make_pairs

from recurra.data.text.subwords import Subwords
from recurra.errors import DataError, ParameterError
from recurra.inspection import Inspection
from recurra.tasks.translate import Translator


@pytest.fixture(scope="module")
def translator() -> Translator:
    return fitted()


@pytest.fixture(scope="module")
def found(translator: Translator) -> Inspection:
    return translator.inspect(make_pairs(20, 2, 4), row=3)


def test_encoder_and_decoder_are_seen_into(translator: Translator, found: Inspection) -> None:
    source, target = (side[2] for side in make_pairs(20, 2, 4))
    model = translator.fitted
    read, written = len(model.learned.source.encode(source)) + 1, len(model.learned.target.encode(target))
    rows = found.unrolled.rows
    assert [row.name for row in rows] == ["encoder forward", "encoder reverse", "decoder.recurrent forward"]
    assert [(row.first, len(row.through_time)) for row in rows] == [(0, read), (0, read), (read, written)]
    assert found.unrolled.steps == len(found.words.labels) == read + written
    assert list(found.words.labels[read - 1 : read + 1]) == ["⏎", "<s>"]
    # Steps of the decoder that run one by one are one track, and the loss is at its end.
    assert rows[2].through_time[-1] == 0
    assert (rows[2].through_time[:-1] > 0).all()


def test_the_output_is_the_log_probability_of_the_last_subword(translator: Translator, found: Inspection) -> None:
    source, target = (side[2] for side in make_pairs(20, 2, 4))
    model = translator.fitted
    tokens = torch.tensor([[*model.learned.source.encode(source), Subwords.end]])
    written = [Subwords.begin, *model.learned.target.encode(target)]
    with torch.no_grad():
        state = model.network.eval().begin(tokens, torch.tensor([tokens.shape[1]]))
        for token in written[:-2]:
            _, state = model.network.step(torch.tensor([token]), state)
        log_probs, _ = model.network.step(torch.tensor([written[-2]]), state)
    assert found.attribution is not None
    assert found.attribution.output[0] == pytest.approx(float(log_probs[0, written[-1]]), abs=1e-3)
    assert found.forgetting is not None
    assert found.gradients.loss == pytest.approx(-found.forgetting.output.sum(), rel=1e-5)


def test_attributions_are_complete(found: Inspection) -> None:
    assert found.attribution is not None
    assert found.attribution.missed(0) < 0.01
    read, written = found.attribution.of(0)
    assert len(read) + len(written) == len(found.words.labels)
    assert found.forgetting is not None
    assert np.allclose(found.forgetting.change[-1], 0, atol=1e-6)


@pytest.mark.parametrize("options", [{"input_feeding": False, "cell": "gru"}, {"num_layers": 2, "bridge": "copy"}])
def test_every_kind_of_decoder(options: dict[str, object]) -> None:
    found = fitted(max_steps=1, **options).inspect(make_pairs(6, 2, 3), subword=2)
    assert len(found.unrolled.rows) == 3 * int(str(options.get("num_layers", 1)))
    assert found.words.loss.startswith("the surprise of subword 2 of the translation")
    assert {row.first > 0 for row in found.unrolled.rows if "decoder" in row.name} == {True}
    assert found.attribution is not None
    assert found.attribution.missed(0) < 0.01


def test_punctuation_is_passed_over(translator: Translator) -> None:
    found = translator.inspect((["eins zwei"], ["one two . ."]))
    assert found.words.plotted.removeprefix("log-probability of ").strip("▁") in "two"
    assert found.gradients.sequences == 1


def test_what_cannot_be_looked_at(translator: Translator) -> None:
    with pytest.raises(ParameterError, match="row: expected 1 to 20, those of the sentences, got 21"):
        translator.inspect(make_pairs(20), row=21)
    with pytest.raises(ParameterError, match=r"subword: expected 1 to \d+, those of the translation, got 99"):
        translator.inspect(make_pairs(20), subword=99)
    with pytest.raises(ParameterError, match="row: expected a pair of 1 to 30 subwords in each language, got 2"):
        translator.inspect((["eins", ""], ["one", "two"]), row=2)
    with pytest.raises(DataError, match="no pair has 1 to 30 subwords in each language"):
        translator.inspect(([""], ["one"]))
    with pytest.raises(DataError, match="no sentence pairs are in it"):
        translator.inspect(([], []))
