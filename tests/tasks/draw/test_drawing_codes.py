from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from made_drawings import drawings, write_npz
from recurra import DrawingModel, load
from recurra.cli.main import main
from recurra.errors import ParameterError
from recurra.models.stroke_autoencoder import Posterior

SMALL: dict[str, Any] = {
    "hidden_size": 8, "mixtures": 2, "max_steps": 8, "batch_size": 16, "latent_size": 3, "encoder_size": 4,
    "schedule": "constant", "device": "cpu",
}  # fmt: skip


@pytest.fixture(scope="module")
def model() -> DrawingModel:
    return DrawingModel(**SMALL).fit(drawings(40)[0], progress=False)


def test_reconstructions_and_what_lies_between(model: DrawingModel, tmp_path: Path) -> None:
    items = drawings(6, 1)[0]
    many = model.reconstruct(items, rows=(1, 4), temperatures=(0.2, 1.0)).strokes
    assert len(many) == 6
    np.testing.assert_array_equal(many[0], items[0])
    np.testing.assert_array_equal(many[3], items[3])
    alone = model.reconstruct(items, rows=(1,), temperatures=(1.0,)).strokes
    np.testing.assert_array_equal(alone[1], many[2])
    between = model.interpolate(items, rows=(2, 5), count=4).strokes
    assert len(between) == 6
    np.testing.assert_array_equal(between[0], items[1])
    np.testing.assert_array_equal(between[-1], items[4])
    # The codes differ from step to step, and so do the drawings, by the same random numbers.
    assert not np.array_equal(between[1], between[4])
    model.save(tmp_path / "run")
    data = str(write_npz(tmp_path / "left.npz"))
    for command, out in (("reconstruct", "a.svg"), ("interpolate", "b.png"), ("generate", "c.svg")):
        arguments = [command, str(tmp_path / "run"), "--out", str(tmp_path / out)]
        assert main(arguments + ([] if command == "generate" else ["--data", data])) == 0
        assert (tmp_path / out).exists()
    with pytest.raises(ParameterError, match="rows"):
        model.reconstruct(items, rows=(7,))


def test_a_seed_gives_the_same_codes_however_many(model: DrawingModel) -> None:
    many = model.generate(count=18, seed=2)
    np.testing.assert_array_equal(model.generate(count=2, seed=2)[1], many[1])
    np.testing.assert_array_equal(model.generate(count=17, seed=2)[16], many[16])


def test_the_bound_contains_the_divergence(model: DrawingModel, tmp_path: Path) -> None:
    items = drawings(10, 2)[0]
    scores = model.evaluate(items).scores
    assert scores["nats/point"] == pytest.approx(scores["offset"] + scores["pen"] + scores["KL"])
    points = sum(map(len, items))
    assert scores["L_KL"] == pytest.approx(scores["KL"] * points / (10 * 3))
    model.save(tmp_path / "run")
    again = load(tmp_path / "run")
    assert again.evaluate(items).scores == scores
    # What a drawing gets among others it gets alone, but for the noise of its code.
    assert model.predict(items).shape == (10,)


def test_the_weight_of_the_divergence_grows_and_its_floor_stops_gradients() -> None:
    model = DrawingModel(**{**SMALL, "kl_weight": 0.8, "kl_decay": 0.9, "kl_floor": 0.5})
    data = model.read(drawings(20)[0], None, None, True)  # type: ignore[arg-type]
    fitted = model.assemble(model.learn(data, None), None, {})
    objective = model.objective(fitted, data, None)
    weights = [objective.batches(step).target.kl_weight for step in (1, 2, 50)]
    np.testing.assert_allclose(weights, [0.8 * (1 - 0.99 * 0.9**step) for step in (1, 2, 50)])
    batch = objective.batches(50)
    (raw, _), _ = fitted.network(batch.inputs)
    plain = objective.loss((raw, Posterior(torch.zeros(16, 3), torch.zeros(16, 3))), batch.target)
    for size, free in ((0.1, True), (3.0, False)):
        mean = torch.full((16, 3), size, requires_grad=True)
        loss = objective.loss((raw.detach(), Posterior(mean, torch.zeros(16, 3))), batch.target)
        assert mean.grad is None
        loss.backward()
        assert mean.grad is not None
        assert (float(mean.grad.abs().sum()) == 0) == free
        expected = weights[2] * (max(size**2 / 2, 0.5) - 0.5)
        assert float((loss - plain).detach()) == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.slow
def test_training_with_codes_resumes_to_the_same_weights(tmp_path: Path) -> None:
    data = write_npz(tmp_path / "left.npz")
    whole = DrawingModel(**SMALL).fit(data, folder=tmp_path / "a", progress=False)
    DrawingModel(**{**SMALL, "max_steps": 4}).fit(data, folder=tmp_path / "b", progress=False)
    resumed = DrawingModel(**SMALL).fit(None, folder=tmp_path / "b", resume=True, progress=False)
    for name, value in whole.fitted.network.state_dict().items():
        assert np.array_equal(value.numpy(), resumed.fitted.network.state_dict()[name].numpy()), name


def test_codes_of_a_run_without_them_are_refused() -> None:
    plain = {name: value for name, value in SMALL.items() if name not in ("latent_size", "encoder_size")}
    model = DrawingModel(**{**plain, "max_steps": 1}).fit(drawings(20)[0], progress=False)
    for verb in (model.reconstruct, model.interpolate):
        with pytest.raises(ParameterError, match="latent_size"):
            verb(drawings(4)[0])
    with pytest.raises(ParameterError, match="kl_floor"):
        DrawingModel(kl_floor=0.1)
