"""Networks that translate as two graphs: a search by a caller of both is the search by the network."""

from pathlib import Path
from typing import Any

import pytest
import torch
from onnx_graph import Session, properties
from torch import Tensor

import covering
from recurra.cells import find_cell
from recurra.data.text.subwords import Subwords
from recurra.errors import ExportError
from recurra.export.onnx import export_translation, translates, translation
from recurra.models import greedy_search
from recurra.tasks.translate.network import TranslationNetwork


def make(**options: Any) -> TranslationNetwork:
    network = TranslationNetwork(
        20, 24, **{"cell": find_cell("lstm"), "hidden_size": 12, "embedding_size": 6, **options}
    )
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.5)  # so that it writes more than one subword
    return network.eval()


def search(folder: Path, source: Tensor, lengths: Tensor, most: int) -> list[list[int]]:
    """A greedy search that knows the files alone; the ids of each sentence, before its end."""
    encoder, decoder = (Session(folder / f"model.{part}.onnx") for part in ("encoder", "decoder"))
    values = encoder({"source": source, "lengths": lengths})
    values |= {"lengths": lengths, "tokens": torch.full((len(source),), Subwords.begin)}
    states = properties(folder / "model.decoder.onnx")["recurra.states"]
    assert {state["input"] for state in states} <= values.keys()
    written = []
    for _ in range(most):
        found = decoder(values)
        values |= {state["input"]: found[state["output"]] for state in states}
        values["tokens"] = found["log_probabilities"].argmax(1)
        written.append(values["tokens"])
    rows = torch.stack(written, 1).tolist()
    return [row[: row.index(Subwords.end)] if Subwords.end in row else row for row in rows]


@covering.parametrize(
    {
        "cell": ["lstm", "gru", "mgu"],
        "attention": ["additive", "dot", "general"],
        "coverage": [False, True],
        "input_feeding": [False, True],
        "bridge": ["dense", "copy", "zeros"],
        "num_layers": [1, 2],
        "tied_embeddings": ["output", "none"],
    }
)
def test_a_greedy_search(
    cell: str,
    attention: str,
    coverage: bool,
    input_feeding: bool,
    bridge: str,
    num_layers: int,
    tied_embeddings: str,
    tmp_path: Path,
) -> None:
    network = make(
        cell=find_cell(cell),
        attention=attention,
        coverage=coverage,
        input_feeding=input_feeding,
        bridge=bridge,
        num_layers=num_layers,
        tied_embeddings=tied_embeddings,
    )
    assert translates(network)
    export_translation(network, tmp_path, "model", {"source": "de"})
    assert properties(tmp_path / "model.encoder.onnx")["source"] == "de"
    for batch, steps in ((4, 9), (1, 3)):
        source, lengths = torch.randint(0, 20, (batch, steps)), torch.randint(1, steps + 1, (batch,))
        with torch.no_grad():
            state = network.begin(source, lengths)
            expected = greedy_search(network.step, state, torch.full((batch,), Subwords.begin), Subwords.end, 15)
        assert search(tmp_path, source, lengths, 15) == [[*one.tokens] for one in expected]


def test_a_decoder_that_differs_leaves_no_encoder_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from recurra.export.onnx import attention

    monkeypatch.setattr(attention, "_LOWEST", 0.0)  # padding is attended to
    network = make()
    assert translates(network)
    with pytest.raises(ExportError, match=r"the check: .* nothing is written"):
        export_translation(network, tmp_path, "model")
    assert not list(tmp_path.iterdir())


def test_graphs_that_agree_one_by_one_but_not_in_a_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Forgetful:
        """Passes on the first state for ever."""

        def __init__(self, content: bytes) -> None:
            self._session, self._first = translation_session(content), None

        def run(self, names: list[str], arrays: dict[str, Any]) -> Any:
            if "tokens" not in arrays:
                return self._session.run(names, arrays)
            self._first = self._first or arrays
            return self._session.run(names, {**self._first, "tokens": arrays["tokens"]})

    translation_session = translation.open_session
    monkeypatch.setattr(translation, "open_session", Forgetful)
    network = make()
    assert translates(network)
    with pytest.raises(ExportError, match=r"the check: .* log_probabilities over \d+ steps.* nothing is written"):
        export_translation(network, tmp_path, "model")
    assert not list(tmp_path.iterdir())
