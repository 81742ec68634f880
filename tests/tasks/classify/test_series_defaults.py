"""What training on series does if nothing is said."""

from typing import Any

import numpy as np
import pytest
import torch

from made_classes import series, texts
from recurra.data.labelled.items import as_items
from recurra.data.labelled.series_encoding import Steps
from recurra.tasks.classify import Classifier
from recurra.tasks.classify.network import with_defaults


def shapes(count: int, seed: int = 0) -> tuple[list[np.ndarray], list[str]]:
    """A slow wave and noise; somewhere in it a tooth that rises at once, or one that falls at once."""
    generator = np.random.default_rng(seed)
    found, labels = [], []
    for k in range(count):
        values = np.sin(np.linspace(0, 6, 60) + generator.uniform(0, 6)) + 0.1 * generator.normal(size=60)
        start, tooth = generator.integers(0, 48), np.linspace(0, 2, 12)
        values[start : start + 12] += tooth if k % 2 else tooth[::-1]
        found.append(values[:, np.newaxis])
        labels.append("falls" if k % 2 else "rises")
    return found, labels


@pytest.mark.slow
def test_it_learns_a_shape_at_any_place() -> None:
    classifier = Classifier(max_steps=100, learning_rate=1e-2, device="cpu").fit(*shapes(40), progress=False)
    found = classifier.evaluate(*shapes(60, 1))
    assert found.scores["accuracy"] > 0.9
    assert not found.is_beaten
    assert [name.split()[0] for name in found.baselines] == ["nearest", "1-NN"]


def test_no_channel_is_dropped() -> None:
    """A series of one channel would have nothing left."""
    classifier = Classifier(max_steps=1, dropout=1.0, filters=0, members=1, device="cpu").fit(
        *shapes(4), progress=False
    )
    network: Any = classifier.fitted.network.train()
    seen = []
    network.classifier.recurrent.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    values = torch.randn(5, 7, 1)
    network(Steps(values, torch.full((5,), 7)))
    assert torch.equal(seen[0], values)


def test_defaults_look_at_the_data() -> None:
    def options(data: list[Any], labels: list[str], **given: Any) -> dict[str, Any]:
        classifier = Classifier(max_steps=1, device="cpu", **given).fit(data, labels, progress=False)
        return with_defaults(classifier.get_params(), classifier.fitted.learned)

    of_series = options(*series(6))
    assert (of_series["filters"], of_series["stride"]) == (32, 1)
    assert of_series["members"] == 4
    assert options([np.arange(130.0) + k for k in range(4)], ["a", "b"] * 2)["stride"] == 3
    assert options([np.arange(130.0) + k for k in range(4)], ["a", "b"] * 2, filters=0)["stride"] == 1
    of_texts = options(*texts(6))
    assert (of_texts["filters"], of_texts["stride"], of_texts["hidden_size"], of_texts["members"]) == (0, 1, 128, 1)
    assert options(*series(6), hidden_size=3)["hidden_size"] == 3


def test_few_series_are_all_trained_on() -> None:
    few, many = as_items(*series(40)), as_items(*series(300))
    assert Classifier().split(few) == (few, None)
    training, held = Classifier().split(many)
    assert held is not None
    assert (len(training), len(held)) == (270, 30)
    held = Classifier(validation_fraction=0.1).split(few)[1]
    assert held is not None
    assert len(held) == 4
    held = Classifier().split(as_items(*texts(40)))[1]
    assert held is not None


def test_equally_right_weights_are_told_apart_by_their_loss() -> None:
    classifier = Classifier(max_steps=2, members=1, device="cpu").fit(*series(20), progress=False)
    data = as_items(*series(8, 1))
    validate = classifier.objective(classifier.fitted, data, data).validate
    assert validate is not None
    network: Any = classifier.fitted.network
    scores, found = network.classifier.scores, []
    with torch.no_grad():
        scores.weight.zero_()
        for sure in (0.0, 1.0, 3.0):
            # The same label is likeliest for all items, more or less so; half have it.
            scores.bias.copy_(torch.tensor([sure + 0.1, 0.0]))
            value, weight = validate(network)  # type: ignore[misc]
            found.append(value / weight)
    assert found == sorted(found)
    assert len(set(found)) == 3
    assert found == pytest.approx([0.5] * 3, abs=1e-5)


def test_noise_is_of_training_and_of_its_step_alone() -> None:
    classifier = Classifier(max_steps=1, device="cpu").fit(*series(20), progress=False)
    data = as_items(*series(20))
    batches = [classifier.objective(classifier.fitted, data, None).batches for _ in range(2)]
    once, again = (batch(3).inputs.values for batch in batches)
    assert torch.equal(once, again)
    quiet = Classifier(jitter=0.0, scaling=0.0, device="cpu")
    plain = quiet.objective(classifier.fitted, data, None).batches(3).inputs.values
    assert not torch.equal(once, plain)
    assert float((once - plain).abs().mean()) < 0.3


@pytest.mark.slow
def test_training_says_first_that_a_simple_method_is_better() -> None:
    """One step learns nothing, and the nearest neighbour tells the shapes apart."""
    validation = series(20, 1)
    beaten = Classifier(max_steps=1, learning_rate=1e-6, device="cpu")
    beaten.fit(*series(20), validation=validation, progress=False)
    sentence, trained = beaten.summary().split("\n")
    assert sentence.startswith("The model is worse than ")
    assert "1-NN" in sentence
    assert "on the validation data" in sentence
    assert "Try more steps (max_steps)" in sentence
    assert trained.startswith("trained 1 steps")
    found = beaten.evaluate(*validation)
    assert next(iter(found.text())).startswith("The model is worse than ")
    assert found.warnings
    better = Classifier(max_steps=60, learning_rate=0.02, averaging=0.8, validate_every=20, device="cpu")
    better.fit(*series(40), validation=validation, progress=False)
    assert better.summary().startswith("trained ")
