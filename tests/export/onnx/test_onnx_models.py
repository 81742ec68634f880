"""The package's models as ONNX: outputs, states and metadata, at sizes of the tests' own."""

from pathlib import Path
from typing import Any

import pytest
import torch
from onnx_graph import Session, operators, properties, run_file
from torch import Tensor, nn

import covering
from agreement import assert_agree
from recurra import cells
from recurra.data.text.word_encoding import Tokens
from recurra.errors import ExportError
from recurra.export.onnx import export_onnx
from recurra.models import POOLINGS, RecurrentLanguageModel, SequenceClassifier
from recurra.models.character_encoder import CharacterEncoder
from recurra.models.classifier_ensemble import ClassifierEnsemble
from recurra.models.crf import LinearChainCRF
from recurra.models.evidence import EvidenceClassifier
from recurra.models.tagger import SequenceTagger
from recurra.models.token_embedding import TokenEmbedding

LENGTHS = torch.tensor([0, 7, 1, 4, 9])


@covering.parametrize(
    {
        "cell": [cells.LSTM(), cells.MGU()],
        "options": [{}, {"tied": True}, {"tied": True, "hidden_size": 6}, {"cutoffs": (3, 9)}, {"cutoffs": (5,)}],
        "num_layers": [1, 2],
    }
)
def test_language_models(cell: Any, options: dict[str, Any], num_layers: int, tmp_path: Path) -> None:
    model = RecurrentLanguageModel(cell, 20, 6, num_layers=num_layers, **{"hidden_size": 16, **options})
    nn.init.normal_(model.bias) if model.bias is not None else None
    export_onnx(model, tmp_path / "lm.onnx", metadata={"vocabulary": ["<unk>", "ä"]})
    session = Session(tmp_path / "lm.onnx")
    symbols = torch.randint(0, 20, (3, 8))
    parts = [name for name in session.inputs if name.startswith("recurrent.")]
    state = {name: torch.randn(num_layers, 3, model.recurrent.hidden_size) for name in parts}
    with torch.no_grad():
        hx = tuple(state.values()) if len(state) > 1 else next(iter(state.values()))
        features, final = model.eval()(symbols, hx)
        expected = model.log_probabilities(features)
    lengths = torch.tensor([8, 8, 8])
    actual = session({"symbols": symbols, "lengths": lengths, **state})
    assert_agree(actual["log_probabilities"], expected)
    finals = list(final) if isinstance(final, tuple) else [final]
    assert_agree([actual[f"recurrent.{part}_n"] for part in cell.state], finals)
    short = session({"symbols": symbols, "lengths": torch.tensor([8, 3, 1]), **state})
    assert_agree(short["log_probabilities"][1, :3], expected[1, :3])
    found = properties(tmp_path / "lm.onnx")
    assert found["vocabulary"] == ["<unk>", "ä"]
    assert found["recurra.model"] == "RecurrentLanguageModel"
    assert found["recurra.states"] == [
        {"layer": "recurrent", "input": f"recurrent.{part}_0", "output": f"recurrent.{part}_n"} for part in cell.state
    ]


def test_tied_embeddings_are_stored_once(tmp_path: Path) -> None:
    models = [RecurrentLanguageModel(cells.LSTM(), 500, 32, 32, tied=tied) for tied in (True, False)]
    tied, free = (export_onnx(model, tmp_path / "lm.onnx").size for model in models)
    assert free - tied > 500 * 32 * 4 - 1000


def classifier(**options: Any) -> SequenceClassifier:
    model = SequenceClassifier(cells.GRU(), 4, 5, 3, **options)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)
    return model


def scores(model: nn.Module, path: Path, features: int = 4, with_lengths: bool = True) -> tuple[Tensor, Tensor]:
    """What the graph and the model say of the same series."""
    inputs = {"input": torch.randn(5, 9, features), "lengths": LENGTHS}
    if not with_lengths:
        del inputs["lengths"]
    export_onnx(model, path, lengths=with_lengths, states=False)
    with torch.no_grad():
        expected = model.eval()(inputs["input"], LENGTHS if with_lengths else torch.full((5,), 9))[0]
    return run_file(path, inputs)["scores"], expected


@covering.parametrize(
    {
        "pooling": [*POOLINGS, tuple(reversed(POOLINGS))],
        "bidirectional": [True, False],
        "filters": [0, 6],
        "stride": [1, 2, 3],
        "num_layers": [1, 2],
        "with_lengths": [True, False],
    }
)
def test_classifiers(
    pooling: Any,
    bidirectional: bool,
    filters: int,
    stride: int,
    num_layers: int,
    with_lengths: bool,
    tmp_path: Path,
) -> None:
    options = {"pooling": pooling, "bidirectional": bidirectional, "num_layers": num_layers, "dropout": 0.5}
    model = classifier(filters=filters, stride=stride, **options)
    assert_agree(*scores(model, tmp_path / "model.onnx", with_lengths=with_lengths))


@pytest.mark.parametrize("with_lengths", [True, False])
def test_evidence(with_lengths: bool, tmp_path: Path) -> None:
    model = EvidenceClassifier(cells.LSTM(), 9, 5, 3, kinds=2, pooling="mean")
    nn.init.normal_(model.evidence)
    assert_agree(*scores(model, tmp_path / "model.onnx", 9, with_lengths))


def test_ensembles_have_the_states_of_each_member(tmp_path: Path) -> None:
    model = ClassifierEnsemble([classifier(filters=filters, stride=2) for filters in (0, 4, 6)])
    assert_agree(*scores(model, tmp_path / "model.onnx"))
    found = export_onnx(model, tmp_path / "model.onnx")
    assert [name for name in found.inputs if name.endswith("h_0")] == [f"members.{k}.recurrent.h_0" for k in range(3)]


class OfWords(nn.Module):
    """As the network of a trained classifier of texts."""

    def __init__(self, embedding: TokenEmbedding | None, classifier: nn.Module) -> None:
        super().__init__()
        self.embedding = embedding
        self.classifier = classifier

    def forward(self, tokens: Tokens) -> Any:
        assert self.embedding is not None
        features = self.embedding(tokens)
        if tokens.evidence is not None:
            features = torch.cat([features, tokens.evidence], 2)
        return self.classifier(features, tokens.lengths)


@pytest.mark.parametrize("with_evidence", [True, False])
def test_classifiers_of_words(with_evidence: bool, tmp_path: Path) -> None:
    characters = CharacterEncoder("convolution", 12, 4, 3, cells.GRU())
    embedding = TokenEmbedding(30, 5, characters, vector_size=2)
    one = EvidenceClassifier(cells.GRU(), embedding.size + 6, 5, 3, kinds=2)
    several = ClassifierEnsemble([SequenceClassifier(cells.GRU(), embedding.size, 5, 3) for _ in range(2)])
    model = OfWords(embedding, one if with_evidence else several).eval()
    found = export_onnx(model, tmp_path / "model.onnx")
    first = "classifier.recurrent.h_0" if with_evidence else "classifier.members.0.recurrent.h_0"
    assert first in found.inputs
    export_onnx(model, tmp_path / "model.onnx", states=False)
    inputs = {
        "words": torch.randint(0, 30, (5, 9)),
        "lengths": LENGTHS,
        "characters": torch.randint(0, 12, (4, 6)),
        "character_lengths": torch.tensor([6, 1, 0, 3]),
        "spellings": torch.randint(0, 4, (5, 9)),
        "vectors": torch.randn(5, 9, 2),
    }
    if with_evidence:
        inputs["evidence"] = torch.randn(5, 9, 6)
    with torch.no_grad():
        expected, _ = model(Tokens(**inputs))
    assert_agree(run_file(tmp_path / "model.onnx", inputs)["scores"], expected)


def test_a_network_that_passes_series_on(tmp_path: Path) -> None:
    model = OfWords(None, classifier(filters=4, stride=2)).eval()
    found = export_onnx(model, tmp_path / "model.onnx")
    assert list(found.inputs) == ["input", "lengths", "classifier.recurrent.h_0"]
    assert found.outputs["scores"] == ("batch", 3)
    export_onnx(model, tmp_path / "model.onnx", states=False)
    inputs = {"input": torch.randn(5, 9, 4), "lengths": LENGTHS}
    with torch.no_grad():
        expected, _ = model.classifier(*inputs.values())
    assert_agree(run_file(tmp_path / "model.onnx", inputs)["scores"], expected)


def crf(tags: int) -> LinearChainCRF:
    allowed = torch.rand(tags, tags) > 0.3
    found = LinearChainCRF(tags, allowed | torch.eye(tags, dtype=torch.bool), torch.arange(tags) != 1)
    for parameter in found.parameters():
        nn.init.normal_(parameter, std=2)
    return found


@pytest.mark.parametrize("kind", ["recurrent", "convolution", None])
@pytest.mark.parametrize("vectors", [0, 3])
@pytest.mark.parametrize("joint", [True, False])
def test_taggers(kind: Any, vectors: int, joint: bool, tmp_path: Path) -> None:
    characters = None if kind is None else CharacterEncoder(kind, 12, 4, 3, cells.LSTM())
    model = SequenceTagger(cells.LSTM(), 30, 5, 6, crf(5) if joint else 5, characters=characters, vector_size=vectors)
    found = export_onnx(model, tmp_path / "tagger.onnx", states=False)
    words = torch.randint(0, 30, (5, 9))
    inputs = {"words": words, "lengths": LENGTHS}
    if kind is not None:
        inputs["characters"] = torch.randint(0, 12, (4, 6))
        inputs["character_lengths"] = torch.tensor([6, 1, 0, 3])
        inputs["spellings"] = torch.randint(0, 4, (5, 9))
    if vectors:
        inputs["vectors"] = torch.randn(5, 9, vectors)
    assert set(found.inputs) == set(inputs)
    actual = run_file(tmp_path / "tagger.onnx", inputs)
    others = {"characters": words[:0], "character_lengths": words[0, :0], "spellings": words}
    with torch.no_grad():
        chain, _ = model.eval()(Tokens(**{**others, **inputs}))
    assert_agree(actual["emissions"], chain.emissions)
    assert actual["tags"].tolist() == chain.best().tolist()
    assert ("Scan" in operators(tmp_path / "tagger.onnx")) == joint


def test_a_crf_forbids_as_the_model_does(tmp_path: Path) -> None:
    model = SequenceTagger(cells.GRU(), 30, 5, 6, crf(7))
    nn.init.normal_(model.emissions.weight, std=5)
    export_onnx(model, tmp_path / "tagger.onnx", states=False)
    session = Session(tmp_path / "tagger.onnx")
    for _ in range(20):
        words, lengths = torch.randint(0, 30, (6, 12)), torch.randint(0, 13, (6,))
        with torch.no_grad():
            none = words[:0]
            chain, _ = model.eval()(Tokens(words, lengths, none, none[:, 0], words))
        assert session({"words": words, "lengths": lengths})["tags"].tolist() == chain.best().tolist()


def test_other_models_of_the_package_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="LinearChainCRF has no form in ONNX here; RecurrentLanguageModel"):
        export_onnx(crf(3), tmp_path / "model.onnx")
