"""Series whose steps have times: read from tables and arrays, learned, streamed, explained."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recurra import load
from recurra.data.labelled.items import as_items
from recurra.data.labelled.reading import ItemReading
from recurra.data.labelled.series import LabelledSeries, read_labelled_series
from recurra.data.labelled.series_encoding import EncodedSeries, SeriesEncoding
from recurra.errors import DataError, ParameterError
from recurra.tasks.classify import Classifier
from recurra.tasks.regress import Regressor

TIMES = ItemReading(times=True)


def made(count: int, seed: int = 0, missing: float = 0.3) -> tuple[list[np.ndarray], list[str]]:
    """A value and then noise at 6 to 9 times, some of it missing; the times come slowly or fast."""
    generator = np.random.default_rng(seed)
    series, labels = [], []
    for k in range(count):
        steps = int(generator.integers(6, 10))
        values = 0.3 * generator.normal(size=(steps, 2))
        values[generator.random((steps, 2)) < missing] = np.nan
        values[0] = 2
        elapsed = generator.uniform(0.5, 1, steps) * (60 if k % 2 else 20)
        elapsed[0] = 0
        series.append(np.column_stack([values, elapsed]))
        labels.append("slow" if k % 2 else "fast")
    return series, labels


def table(series: list[np.ndarray], labels: list[str]) -> str:
    """The same as rows, the last first, at stamps and not after intervals."""
    lines = []
    for k, (one, label) in enumerate(zip(series, labels, strict=True)):
        for (a, b, _), at in zip(one, 100 + one[:, 2].cumsum(), strict=True):
            lines.append(f"s{k},{at:.6f},{'' if np.isnan(a) else a},{'' if np.isnan(b) else b},{label}")
    return "\n".join(["id,time,a,b,label", *reversed(lines)]) + "\n"


def test_elapsed_times_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(table(*made(3)))
    read = read_labelled_series(path, times=True)
    assert (read.channels, read.timed) == (("a", "b", "time"), True)
    for one, expected in zip(reversed(read.series), made(3)[0], strict=True):
        np.testing.assert_allclose(one, expected, rtol=1e-4, atol=1e-5)
    assert read.digest() != read_labelled_series(path).digest()
    path.write_text("id,at,a,label\nx,2026-01-01 00:02:00,2,u\nx,2026-01-01 00:00:30,1,u\ny,2026-01-02,3,v\n")
    stamped = read_labelled_series(path, time_column="at", times=True)
    assert [one.tolist() for one in stamped.series] == [[[1, 0], [2, 90]], [[3, 0]]]
    path.write_text("id,a,label\nx,1,u\n")
    with pytest.raises(DataError, match="--time-column"):
        read_labelled_series(path, times=True)


def test_what_has_no_times_is_refused() -> None:
    with pytest.raises(ParameterError, match="times: expected False with the data, whose items are texts"):
        as_items(["a text"], ["u"], TIMES)
    with pytest.raises(
        DataError, match=r"step 2 has -1\.0 in the channel '2', expected the time since the step before"
    ):
        as_items([np.array([[1.0, 0], [1, -1]])], ["u"], TIMES)
    with pytest.raises(DataError, match="no channels beside the time"):
        as_items([np.array([[1.0], [2]])], ["u"], TIMES)


def test_times_are_features_in_mean_steps_of_training() -> None:
    series = [np.array([[1.0, 0], [np.nan, 3], [5, 1]], np.float32)]
    encoding = SeriesEncoding.of(series, ("a", "time"), timed=True)
    assert (encoding.size, encoding.num_values, encoding.mean_step) == (3, 1, 2.0)
    np.testing.assert_allclose(encoding.encode(series[0]), [[-1, 0, 0], [0, 1, 1.5], [1, 0, 0.5]])
    assert SeriesEncoding.from_json(encoding.to_json()) == encoding
    np.testing.assert_allclose(encoding.encode_step({"a": None, "time": 4}), [[0, 1, 2]])
    with pytest.raises(DataError, match="item: time: expected the time since the step before"):
        encoding.encode_step([1.0, -1])
    steps = EncodedSeries(encoding, series).batch(np.array([0]))
    noisy = steps.varied(0.5, 0.5, np.random.default_rng(0))
    assert (noisy.values[0, :, :2] != steps.values[0, :, :2]).any()
    assert (noisy.values[0, :, 2] == steps.values[0, :, 2]).all()


@pytest.mark.parametrize(
    ("options", "missing", "network"),
    [
        ({}, 0.3, (1, 2)),
        ({"bidirectional": False}, 0.3, (2, 2)),
        ({"cell": "time_lstm"}, 0.0, (1, 0)),
        ({"cell": "lstm"}, 0.3, (0, 0)),
    ],
    ids=str,
)
def test_when_steps_are_is_learned(options: dict[str, Any], missing: float, network: tuple[int, int]) -> None:
    classifier = Classifier(
        max_steps=60, learning_rate=3e-2, members=1, hidden_size=8, dropout=0.0, device="cpu", **options
    )
    classifier.fit(*made(40, missing=missing), reading=TIMES, progress=False)
    reader: Any = classifier.fitted.network.classifier
    assert (reader.elapsed_size, 0 if reader.decay is None else reader.decay.channels) == network
    assert reader.convolution is None
    assert classifier.score(*made(40, 1, missing)) > 0.8


def test_a_table_a_run_and_a_stream_say_the_same(tmp_path: Path) -> None:
    series, labels = made(12)
    path = tmp_path / "rows.csv"
    path.write_text(table(series[::-1], labels[::-1]))
    classifier = Classifier(max_steps=3, members=1, bidirectional=False, hidden_size=4, device="cpu")
    classifier.fit(path, reading=TIMES, progress=False)
    assert classifier.get_params()["cell"] is None
    expected = classifier.predict_proba(series)
    np.testing.assert_allclose(classifier.predict_proba(path), expected, atol=1e-4)
    classifier.save(tmp_path / "run")
    again: Any = load(tmp_path / "run")
    np.testing.assert_allclose(again.predict_proba(path), expected, atol=1e-4)
    stream = again.open_stream()
    assert set(stream.example) == {"a", "b", "time"}
    for one, probabilities in zip(series[:3], expected, strict=False):
        state, answer = stream.new_state(), {}
        for a, b, elapsed in one.tolist():
            item = {"a": None if np.isnan(a) else a, "b": None if np.isnan(b) else b, "time": elapsed}
            [answer] = stream.step([item], [state])
        np.testing.assert_allclose(list(answer["probabilities"].values()), probabilities, atol=1e-4)
    explained = again.explain(series[:1])
    assert explained.contributions.shape == (len(series[0]), 2)
    assert explained.channels == ("a", "b")
    explained.write(tmp_path / "explanation.html")


def test_a_regressor_reads_times_too() -> None:
    series, _ = made(30)
    regressor = Regressor(max_steps=2, members=1, hidden_size=4, device="cpu")
    regressor.fit(series, [float(one[:, 2].sum()) for one in series], reading=TIMES, progress=False)
    assert regressor.predict(series).shape == (30,)
    assert regressor.fitted.learned.encoding.timed
    assert isinstance(as_items(series, ["u"] * 30, TIMES), LabelledSeries)


def test_convolutions_and_times_are_refused_in_words_of_the_options() -> None:
    with pytest.raises(ParameterError, match="filters: expected 0 with times, which GRUD"):
        Classifier(filters=4, device="cpu").fit(*made(4), reading=TIMES, progress=False)
