from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from made_drawings import drawings, turning
from recurra import DrawingModel
from recurra.cli.main import main
from recurra.data.drawings.read import read_drawing, read_drawings
from recurra.data.drawings.strokes import lines_of
from recurra.errors import DataError, ParameterError

SMALL: dict[str, Any] = {"hidden_size": 8, "mixtures": 2, "max_steps": 8, "batch_size": 16, "device": "cpu"}


@pytest.fixture(scope="module")
def model() -> DrawingModel:
    return DrawingModel(**SMALL).fit(drawings(40)[0], progress=False)


@pytest.fixture(scope="module")
def run(model: DrawingModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("draw") / "run"
    model.save(folder)
    return folder


def test_the_same_seed_gives_the_same_drawings_however_many(model: DrawingModel) -> None:
    many = model.generate(count=20, seed=3)
    for count in (1, 2, 17):
        for one, other in zip(model.generate(count=count, seed=3), many[:count], strict=True):
            np.testing.assert_array_equal(one, other)
    assert not np.array_equal(many[0], model.generate(count=1, seed=4)[0])
    assert not np.array_equal(many[0], model.generate(count=1, seed=3, temperature=1.0)[0])


def test_what_is_written_reads_as_what_was_sampled(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.csv"
    assert main(["generate", str(run), "--count", "3", "--seed", "5", "--out", str(out)]) == 0
    sampled = DrawingModel.load(run).generate(count=3, seed=5)
    read = read_drawings(out, epsilon=0)
    assert len(read) == 3
    for one, other in zip(read.strokes, sampled, strict=True):
        np.testing.assert_allclose(one[:, :2].sum(0), other[:, :2].sum(0), atol=0.02)
    assert main(["generate", str(run), "--count", "1", "--seed", "5", "--out", str(tmp_path / "a.svg")]) == 0
    lines = read_drawing(tmp_path / "a.svg").lines
    for line, other in zip(lines, lines_of(sampled[0]), strict=True):
        # A dot is written as a line of no length.
        np.testing.assert_allclose(line[-1] - line[0], other[-1] - other[0], atol=0.02)


def test_grids_and_pictures_that_draw_themselves(run: Path, tmp_path: Path, drawn: list[Any]) -> None:
    assert main(["generate", str(run), "--count", "5", "--seconds", "2"]) == 0
    root = ElementTree.parse(run / "generated.svg").getroot()
    paths = list(root.iter("{http://www.w3.org/2000/svg}path"))
    assert paths
    for path in paths:
        hidden, moving = path
        # A line is hidden until it draws itself, and all of it is there at last.
        assert hidden.get("end") == moving.get("begin")
        assert float(moving.get("begin", "")[:-1]) + float(moving.get("dur", "")[:-1]) <= 2 + 0.02
    width, height = map(float, root.get("viewBox", "").split()[2:])
    points = np.concatenate(read_drawing(run / "generated.svg").lines)
    assert (points >= 0).all()
    assert (points <= (width, height)).all()
    assert main(["generate", str(run), "--count", "5", "--out", str(tmp_path / "a.png")]) == 0
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert len(drawn[-1].axes[0].collections) == 1


def test_a_drawing_that_was_begun_is_completed(run: Path, model: DrawingModel, tmp_path: Path) -> None:
    start = tmp_path / "half.svg"
    start.write_text('<svg><path d="M0 0 20 0 20 20"/><path d="M 5 5 5 9"/></svg>')
    options = {"start": str(start), "start_epsilon": 0.0, "count": 3}
    for one in model.generate(**options, max_points=20):
        np.testing.assert_allclose(one[:4], [[20, 0, 0], [0, 20, 1], [-15, -15, 0], [0, 4, 1]], atol=1e-4)
        assert len(one) <= 20
    assert main(["generate", str(run), "--start", str(start), "--out", str(tmp_path / "whole.svg")]) == 0
    assert len({path.get("stroke") for path in ElementTree.parse(tmp_path / "whole.svg").getroot()[0]}) == 2
    with pytest.raises(ParameterError, match="max_points"):
        model.generate(**options, max_points=4)
    with pytest.raises(DataError, match="expected a single drawing"):
        model.generate(start=str(run / "run.json"))


def test_the_size_of_a_start(model: DrawingModel, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    start = tmp_path / "half.svg"
    start.write_text('<svg><path d="M0 0 2000 0 2000 1000"/></svg>')
    model.generate(start=str(start), count=1)
    assert "start_size" in caplog.text
    one = model.generate(start=str(start), start_size=0.5, count=1)[0]
    assert one[0, 0] == pytest.approx(0.5 * model.fitted.learned.side, rel=0.02)


def test_the_class_of_what_is_sampled() -> None:
    two = DrawingModel(**SMALL).fit(*drawings(30), progress=False)
    left, right = (two.generate(count=1, label=label)[0][:3] for label in ("left", "right"))
    assert not np.array_equal(left, right)
    for label in (None, "up"):
        with pytest.raises(ParameterError, match="label"):
            two.generate(label=label)


def test_other_files_are_refused_before_sampling(
    run: Path, model: DrawingModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["generate", str(run), "--out", str(tmp_path / "a.gif")]) != 0
    with monkeypatch.context() as patched:
        patched.setattr(DrawingModel, "generation", None)
        for ending in (".png", ".csv"):
            assert main(["generate", str(run), "--seconds", "3", "--out", str(tmp_path / f"a{ending}")]) == 2
    generated = model.generation(count=1, seconds=1.0)
    with pytest.raises(ParameterError, match="seconds"):
        generated.write(tmp_path / "a.png")
    with pytest.raises(ParameterError, match="temperature"):
        model.generate(temperature=0.0)
    assert not list(tmp_path.iterdir())
    assert model.fitted.learned.classes_of(read_like(turning("left", 1))) == [0]


def read_like(strokes: np.ndarray) -> Any:
    return DrawingModel(**SMALL).read([strokes], None, None, False)  # type: ignore[arg-type]
