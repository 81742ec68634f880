import csv
import io
import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from known_systems import linear, rotation
from torch import Tensor, nn

import recurra
from recurra.errors import ParameterError, RunError
from recurra.inspection import Inspection, Standing, Words, inspect, report_inspection, write_inspection

PICTURES = {
    *("unrolled", "gradient_by_lag", "jacobian_norms", "lyapunov", "recurrent_weights", "gates", "states"),
    *("attribution", "forgetting"),
}


def _last(output: tuple[Tensor, object]) -> Tensor:
    return output[0][:, -1].sum(1)


@pytest.fixture(scope="module")
def found() -> Inspection:
    torch.manual_seed(3)
    layer = recurra.LSTM(2, 4, batch_first=True)
    with torch.no_grad():
        layer.bias_ih_l0[4:8] -= 50  # type: ignore[index]
    words = Words("A <title> & more", {"data": "<made up>"}, first_step=-11, unit="degrees")
    return inspect(layer, torch.randn(3, 12, 2), output=_last, words=words)


@pytest.fixture(scope="module")
def folder(found: Inspection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page") / "deep" / "inspection"
    assert write_inspection(found, folder) == folder / "index.html"
    return folder


@pytest.mark.slow
def test_another_sequence_than_the_first_is_shown(tmp_path: Path) -> None:
    torch.manual_seed(0)
    layer, inputs = recurra.GRU(2, 4, batch_first=True), torch.randn(3, 6, 2)
    last = inspect(layer, inputs, output=_last, sequence=2)
    alone = inspect(layer, inputs[2:], output=_last)
    assert last.unrolled.sequence == 2
    assert last.attribution is not None
    assert alone.attribution is not None
    assert last.attribution.output == pytest.approx(alone.attribution.output, abs=1e-5)
    write_inspection(last, tmp_path / "page")
    assert (tmp_path / "page" / "attribution.csv").is_file()


@pytest.mark.parametrize("sequence", [-1, 3])
def test_a_sequence_that_is_not_there_is_refused(sequence: int) -> None:
    with pytest.raises(ParameterError, match="sequence: expected from 0 to 2"):
        inspect(recurra.GRU(2, 4, batch_first=True), torch.randn(3, 6, 2), output=_last, sequence=sequence)


def test_the_page_is_whole_in_itself(folder: Path) -> None:
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"""https?:|<script [^>]*src|<link|@import|src="(?!data:)""", page)
    ids = re.findall(r' id="([^"]*)"', page)
    assert len(ids) == len(set(ids)) == len(PICTURES) + 1
    assert page.count('src="data:image/png;base64,') == len(PICTURES)
    assert "<h1>A &lt;title&gt; &amp; more</h1>" in page
    assert "&lt;made up&gt;" in page
    assert "half the squared norm of the last layer" in page
    assert "<td>nan</td>" not in page


def test_warnings_name_the_layer_and_the_way_out(folder: Path) -> None:
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert re.search(r"Gate f of layer 1 .* 4 of 4 units .*4 near 0", page)
    assert re.search(r"gradient .* within \d of 12 steps .*layer 1", page)
    assert re.search(r"chrono initialisation \(Tallec and Ollivier 2018\).* bias of gate f", page)


def test_pictures_and_tables_lie_beside_the_page(folder: Path, found: Inspection) -> None:
    assert {path.stem for path in folder.glob("*.png")} == PICTURES
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert [path.stem for path in folder.glob("*.png") if b64encode(path.read_bytes()).decode() not in page] == []
    tables = {path.stem: list(csv.DictReader(io.StringIO(path.read_text()))) for path in folder.glob("*.csv")}
    by_lag = [row for row in tables["gradient_by_lag"] if row["part"] == "state"]
    assert [int(row["lag (steps)"]) for row in by_lag] == list(range(12))
    assert np.allclose([float(row["norm"]) for row in by_lag], found.gradients.whole()[0].norms, rtol=1e-5)
    assert len(tables["gates"]) == 16
    assert len(tables["states"]) == 8
    assert [row["gate"] for row in tables["gate_fractions"]] == ["i", "f", "g", "o"]
    assert found.attribution is not None
    assert [int(row["step"]) for row in tables["attribution"]] == list(range(-11, 1))
    steps = [float(row["integrated gradients (degrees)"]) for row in tables["attribution"]]
    assert np.allclose(steps, found.attribution.by_step[0], rtol=1e-5)
    assert {(row["from"], row["to"]) for row in tables["unrolled"]} == {
        *(("layer 1", "layer 1"), ("layer 1", "input"), ("output", "layer 1"))
    }


def test_what_there_is_not_is_left_out(tmp_path: Path) -> None:
    """One step has no Jacobians, a cell without recurrence no recurrent weights, no output no attribution."""
    found = inspect(recurra.Recurrent(recurra.cells.MinGRU(), 2, 3), torch.randn(1, 4, 2))
    assert found.attribution is None
    assert found.words.title == "Inspection of Recurrent"
    assert found.spectra == found.jacobians == found.lyapunov == found.findings == ()
    page = write_inspection(found, tmp_path).read_text(encoding="utf-8")
    assert {path.stem for path in tmp_path.glob("*.png")} == {"unrolled", "gradient_by_lag", "gates", "states"}
    assert "Nothing unusual was found in the network." in page


def test_a_healthy_network_has_no_warnings() -> None:
    found = inspect(linear(0.99 * rotation(3)), torch.randn(4, 20, 3, dtype=torch.float64), output=_last)
    assert found.findings == ()
    assert found.gates == ()


def test_exploding_gradients_and_chaos_are_told_of() -> None:
    found = inspect(linear(1.3 * rotation(3)), torch.randn(4, 20, 3, dtype=torch.float64))
    said = [finding.what for finding in found.findings]
    assert re.search(r"gradient .*30 ?% .*layer 1.* explodes", said[0])
    assert re.search(r"Lyapunov exponent of layer 1 .*\+0\.262", said[1])
    assert "max_grad_norm" in found.findings[0].advice


def test_inputs_that_no_longer_matter_are_told_of() -> None:
    layer = linear(0.2 * rotation(3))
    found = inspect(layer, torch.randn(4, 24, 3, dtype=torch.float64), output=_last)
    assert re.search(r"nearest [34] of 24 steps", found.findings[-1].what)


@pytest.mark.slow
def test_steps_go_by_their_labels(tmp_path: Path) -> None:
    words = Words(labels=list("$5_a\u4e00"), first_step=1, plotted="the last one", mean="the mean embedding")
    found = inspect(linear(0.9 * rotation(3)), torch.randn(2, 5, 3, dtype=torch.float64), output=_last, words=words)
    said = report_inspection(found, tmp_path)
    assert str(tmp_path / "index.html") in said
    assert re.search(r"Step \d \(.\) counts most", (tmp_path / "index.html").read_text(encoding="utf-8"))
    rows = list(csv.DictReader(io.StringIO((tmp_path / "attribution.csv").read_text(encoding="utf-8"))))
    assert [(row["step"], row["input"]) for row in rows] == list(zip("12345", words.labels, strict=True))


@pytest.mark.parametrize("output", [_last, None])
def test_labels_that_are_not_one_a_step_are_refused(output: Callable[..., Tensor] | None) -> None:
    layer = linear(0.9 * rotation(3))
    with pytest.raises(ParameterError, match=r"words\.labels: expected 5, .*, got 4\."):
        inspect(layer, torch.randn(2, 5, 3, dtype=torch.float64), output=output, words=Words(labels="abcd"))


@pytest.mark.parametrize("reads", ["", "inside", "inside.layer"])
def test_the_padding_of_a_recurrent_layer_is_left_out(reads: str) -> None:
    class Inside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = linear(0.5 * rotation(3))

        def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
            return self.layer(x, lengths=lengths)[1][0]

    class Outside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inside = Inside()

        def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
            return self.inside(x, lengths)

    torch.manual_seed(0)
    network, steps = Outside(), torch.arange(6)
    x, lengths = torch.randn(3, 6, 3, dtype=torch.float64), torch.tensor([6, 2, 4])
    distance = torch.where(steps < lengths.unsqueeze(1), lengths.unsqueeze(1) - 1 - steps, -1)
    words = Words(labels="abcd")

    def look(distances: list[Tensor] | None) -> Inspection:
        return inspect(
            *(network, x, lengths),
            loss=lambda output: output.sum(),
            output=lambda output: output.sum(1),
            sequence=2,
            reads=reads,
            distances=distances,
            words=words,
        )

    found, told = look(None), look([distance])
    assert found.attribution is not None
    assert told.attribution is not None
    assert found.forgetting is not None
    assert told.forgetting is not None
    assert np.allclose(found.attribution.of(0)[0], told.attribution.of(0)[0])
    assert np.allclose(found.forgetting.change, told.forgetting.change)
    # Each sequence is replaced from its own last step on: leaving the nearest 4 changes only the first one.
    assert (np.abs(found.forgetting.change[4]) > 1e-6).tolist() == [True, False, False]


def test_contents_lead_to_every_section(folder: Path) -> None:
    page = (folder / "index.html").read_text(encoding="utf-8")
    targets = re.findall(r'<a href="#([^"]+)">', page)
    assert len(targets) == len(PICTURES) + 1
    assert targets == re.findall(r'<h2 id="([^"]+)">', page)
    assert "@media (prefers-color-scheme: dark)" in page
    # A picture's text says what it shows of this run, and not its title alone.
    titles = re.findall(r'<h2 id="section-\d+">([^<]+)</h2>', page)
    alternatives = re.findall(r'<img alt="([^"]*)"', page)
    assert all(text.startswith(f"{title}. ") for title, text in zip(titles, alternatives, strict=True))
    assert all(len(text) > len(title) + 15 for title, text in zip(titles, alternatives, strict=True))


def test_scores_come_first_and_lost_ones_before_all(tmp_path: Path) -> None:
    words = Words(facts={"data": "made up"})
    few_pictures = inspect(recurra.Recurrent(recurra.cells.MinGRU(), 2, 3), torch.randn(1, 3, 2), words=words)
    rows = [["model", "50.00"], ["most frequent", "51.00"]]
    standing = Standing(
        *("test.csv: 90 items", ("method", "accuracy, %"), rows, "accuracy", ["most frequent"]),
        warnings=["The model answers a to every item."],
        validation="accuracy 52.00 %",
    )
    healthy = replace(few_pictures, standing=standing)
    said = report_inspection(healthy, tmp_path)
    assert said.startswith("The model is worse than most frequent by accuracy.")
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    places = [
        page.index(text)
        for text in (
            "The model is worse than most frequent by accuracy.",
            "The model answers a to every item.",
            "<caption>test.csv: 90 items</caption>",
            "The best validation score of the run was accuracy 52.00 %.",
            "<nav",
        )
    ]
    assert places == sorted(places)
    assert "Nothing unusual" not in page
    assert "the next table names" in page
    assert '<td class="text">model</td><td>50.00</td>' in page  # figures stand to the right, as their heading
    unnamed = replace(healthy, words=Words(), standing=replace(standing, better=(), warnings=()))
    write_inspection(unnamed, tmp_path)
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "Nothing unusual" in page
    assert "The sections look at 3 of their sequences." in page


def test_a_folder_that_cannot_be_written(found: Inspection, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match="cannot be written"):
        write_inspection(found, tmp_path / "file")
