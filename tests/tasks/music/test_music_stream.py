"""Music as a stream: what it says of frames and events is what it says of the whole piece."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from made_music import duets
from recurra.data.music.piece import Piece
from recurra.errors import DataError
from recurra.kernels.native import extension
from recurra.streaming import MemoryStream
from recurra.tasks.music import MusicModel
from recurra.tasks.music.events import event_surprises, events_of
from recurra.tasks.music.training import frames_of

pytestmark = pytest.mark.skipif(not extension.is_installed(), reason="a stream needs the C++ extension")
SMALL: dict[str, Any] = {
    "hidden_size": 8, "nade_size": 4, "max_steps": 8, "batch_size": 4, "device": "cpu", "learning_rate": 0.03,
}  # fmt: skip


def fit(output: Any) -> MusicModel:
    return MusicModel(**SMALL, output=output).fit(duets(12), progress=False)


@pytest.fixture(scope="module")
def events() -> MusicModel:
    return fit("events")


@pytest.fixture(scope="module")
def nade() -> MusicModel:
    return fit("nade")


def sounding(piece: Piece) -> list[list[int]]:
    """The pitches of each frame."""
    return [(np.flatnonzero(frame) + 21).tolist() for frame in piece.roll]


@pytest.mark.parametrize("output", ["nade", "independent"])
def test_frames(output: str, request: pytest.FixtureRequest) -> None:
    model = request.getfixturevalue(output) if output == "nade" else fit(output)
    [piece] = duets(1, 5)
    stream, whole = model.open_stream(), model.predict([piece])[0]
    state, frames = stream.new_state(), sounding(piece)
    [first] = stream.step([{"frames": []}], [state])
    assert first["surprise"] == []
    results = [stream.step([{"frames": frames[a:b]}], [state])[0] for a, b in ((0, 1), (1, 4), (4, 4), (4, 32))]
    surprise = [nats for one in results for nats in one["surprise"]]
    np.testing.assert_allclose(surprise, whole, rtol=1e-3, atol=1e-4)
    assert results[1]["probabilities"] == results[2]["probabilities"]
    # The probabilities are those of the notes given the expected ones above.
    network = frames_of(model.fitted).network
    with torch.no_grad():
        features, _ = network(torch.from_numpy(np.pad(piece.roll, ((1, 0), (0, 0)))).float()[None])
        frame = torch.zeros(1, 88)
        frame[0, [pitch - 21 for pitch in results[-1]["expected"]]] = 1
        expected = network.distribution.logits(features[:, -1], frame).sigmoid()[0].numpy()
    np.testing.assert_allclose(results[-1]["probabilities"], expected, rtol=1e-3, atol=1e-5)
    assert [21 + k for k in np.flatnonzero(expected > 0.5)] == results[-1]["expected"]
    sampled = [stream.step([{"frames": [], "seed": seed}], [state])[0]["sampled"] for seed in (1, 1, *range(2, 40))]
    assert sampled[0] == sampled[1]
    assert len({tuple(one) for one in sampled}) > 1
    [cold] = stream.step([{"frames": [], "seed": 3, "temperature": 0}], [state])
    assert cold["sampled"] == cold["expected"]


def test_events(events: MusicModel) -> None:
    model = events_of(events.fitted)
    assert model is not None
    vocabulary, [piece] = model.learned.vocabulary, duets(1, 5)
    tokens = vocabulary.encode(vocabulary.fit(piece)).tokens.tolist()
    names = [vocabulary.name(token) for token in tokens]
    stream = events.open_stream()
    state = stream.new_state()
    results = [stream.step([{"events": names[a:b]}], [state])[0] for a, b in ((0, 0), (0, 3), (3, 20), (20, None))]
    surprise = [nats for one in results for nats in one["surprise"]]
    np.testing.assert_allclose(surprise, event_surprises(model, [piece])["model"][0], rtol=1e-4, atol=1e-5)
    [likeliest, *others] = results[1]["next"]
    assert len(others) == 4
    assert likeliest["probability"] >= others[0]["probability"]
    # What is sampled may be written, and makes a piece after the one that ended.
    written: list[str] = []
    for seed in range(60):
        [result] = stream.step([{"events": written[-1:], "seed": seed}], [state])
        written.append(result["sampled"])
    every = [vocabulary.name(token) for token in range(len(vocabulary))]
    assert len(vocabulary.decode([every.index(one) for one in written]).notes)


@pytest.mark.parametrize("output", ["events", "nade"])
def test_items_that_cannot_be_read(output: str, request: pytest.FixtureRequest) -> None:
    stream = request.getfixturevalue(output).open_stream()
    state = stream.new_state()
    stream.step([stream.example], [state])
    before = state.copy()
    name = next(iter(stream.example))
    wrong: list[Any] = [
        None, [], {}, {name: 3}, {name: [3]}, {name: ["bar"]}, {name: [[200]]}, {name: [[60.0]]}, {name: [[True]]},
        {name: [], "seed": -1}, {name: [], "seed": 0.5}, {name: [], "temperature": -1}, {name: [], "temperature": "1"},
        {name: [stream.example[name][0]] * 6000}, {name: ["duration 3"]},
    ]  # fmt: skip
    for item in wrong:
        with pytest.raises(DataError):
            stream.step([item], [state])
    assert state == before
    assert isinstance(stream, MemoryStream)
    other = stream.read_state(state.to_bytes())
    item = {name: [], "seed": 1}
    assert stream.step([item], [other]) == stream.step([item], [state])


def run_onnx(path: Path, name: str, steps: np.ndarray) -> tuple[np.ndarray, dict[str, str]]:
    """The first output (T, ...) of a graph, whose states begin with zeros, and the facts that it holds."""
    session = pytest.importorskip("onnxruntime").InferenceSession(path, providers=["CPUExecutionProvider"])
    inputs = {
        one.name: np.zeros([1 if isinstance(size, str) else size for size in one.shape], np.float32)
        for one in session.get_inputs()
    }
    inputs |= {name: steps[None], "lengths": np.array([len(steps)])}
    return session.run(None, inputs)[0][0], session.get_modelmeta().custom_metadata_map


def test_exported_events(events: MusicModel, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    events.export(to="onnx", name="music").write(tmp_path)
    vocabulary = events.fitted.learned.vocabulary
    ids = [vocabulary.token("end"), vocabulary.token("bar"), vocabulary.token("position")]
    likely, facts = run_onnx(tmp_path / "music.onnx", "symbols", np.array(ids))
    assert [json.loads(facts["events"])[token] for token in ids] == ["end", "bar", "position 0"]
    assert int(facts["begin"]) == ids[0]
    stream = events.open_stream()
    [result] = stream.step([{"events": ["bar", "position 0"]}], [stream.new_state()])
    np.testing.assert_allclose([-likely[0, ids[1]], -likely[1, ids[2]]], result["surprise"], rtol=1e-4)


def test_exported_frames(nade: MusicModel, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    [piece], steps = duets(1, 5), np.zeros((33, 88), np.float32)
    steps[1:] = piece.roll
    for model in (nade, fit("independent")):
        model.export(to="onnx", name="music").write(tmp_path)
        biases, facts = run_onnx(tmp_path / "music.onnx", "frames", steps)
        log_odds, units = biases[-1, :88], biases[-1, 88:]
        if model is nade:
            model.export(to="c", name="music").write(tmp_path)
            model.export(to="torch", name="music").write(tmp_path)
            assert {"music.c", "music.pt"} <= {path.name for path in tmp_path.iterdir()}
            # The notes that are likelier to sound than not, each given those above it, as the documentation has it.
            assert len(units) == int(facts["hidden_units"])
            above, readout = np.fromfile(tmp_path / "music.nade.bin", "<f4").reshape(2, 88, -1)
            for note in reversed(range(88)):
                log_odds[note] += readout[note] @ (1 / (1 + np.exp(-units)))
                if log_odds[note] > 0:
                    units = units + above[note]
        stream = model.open_stream()
        [result] = stream.step([{"frames": sounding(piece)}], [stream.new_state()])
        np.testing.assert_allclose(1 / (1 + np.exp(-log_odds)), result["probabilities"], rtol=1e-3, atol=1e-5)
