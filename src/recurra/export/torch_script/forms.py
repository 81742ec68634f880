"""What a model reads and returns as TorchScript, and how the model itself is asked for the same."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from recurra.errors import ExportError, ParameterError
from recurra.export.layer_states import Run
from recurra.export.recurrent_modules import CELLS, LAYERS
from recurra.export.tokens import tokens_of
from recurra.export.torch_script.loop import tracing
from recurra.models import LinearChain, RecurrentLanguageModel, SequenceTagger
from recurra.models.crf import best_path

__all__ = ["Form", "form_of"]


@dataclass(frozen=True)
class Form:
    """A model as TorchScript.

    Attributes:
        sample: the arguments by name, states excepted, in their order, for a number of sequences and of steps.
        recorded: what torch.jit.trace records, from the model with its layers replaced.
        reference: what the outputs are compared with.
        with_lengths: whether lengths are an argument.
        within_lengths: whether the layers run within them; otherwise the model's `forward` is given them.
        from_zeros: the names of layers without states among the arguments.
    """

    sample: Callable[[int, int], dict[str, Tensor]]
    recorded: Run
    reference: Run
    with_lengths: bool
    within_lengths: bool = False
    from_zeros: tuple[str, ...] = ()


def form_of(model: nn.Module, example: Tensor | None, lengths: bool) -> Form:
    """The form of a model; see `export_torch` for the arguments.

    Raises:
        ParameterError: an example is needed, or does not fit.
        ExportError: there is no recurrent layer.
    """
    if isinstance(model, SequenceTagger):
        return _tagger(model)
    within = type(model) in LAYERS or isinstance(model, RecurrentLanguageModel)
    lengths = lengths and (within or "lengths" in inspect.signature(model.forward).parameters)
    sample_input = _Sample(model, example)

    def sample(batch: int, steps: int) -> dict[str, Tensor]:
        inputs = {"input": sample_input(batch, steps)}
        return inputs | {"lengths": _lengths(batch, steps)} if lengths else inputs

    def run(model: nn.Module, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return _run(model, inputs["input"], None if within else inputs.get("lengths"))

    return Form(sample, run, run, lengths, within)


def _lengths(batch: int, steps: int) -> Tensor:
    return torch.tensor([steps, 0, 1, *range(2, batch)][:batch])


def _tagger(model: SequenceTagger) -> Form:
    """The scores of the tags of each word (B, T, K), and the best tags (B, T), -100 beyond the lengths."""
    embedding = model.embedding
    characters = embedding.characters

    def sample(batch: int, steps: int) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(batch)

        def ids(count: int, *shape: int) -> Tensor:
            return torch.randint(0, count, shape, generator=generator)

        inputs = {"words": ids(embedding.words.num_embeddings, batch, steps), "lengths": _lengths(batch, steps)}
        if embedding.vector_size:
            inputs["vectors"] = torch.randn(batch, steps, embedding.vector_size, generator=generator)
        if characters is not None:
            words, longest = batch + 2, steps + 1
            inputs["characters"] = ids(characters.embedding.num_embeddings, words, longest)
            inputs["character_lengths"] = torch.tensor([longest, 0, *[1] * batch])
            inputs["spellings"] = ids(words, batch, steps)
        return inputs

    def run(model: nn.Module, inputs: Mapping[str, Tensor], search: Any = None) -> dict[str, Tensor]:
        chain, _ = model(tokens_of(inputs))
        best = chain.best(search) if isinstance(chain, LinearChain) else chain.best()
        return {"emissions": chain.emissions, "tags": best}

    def recorded(model: nn.Module, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with tracing():
            return run(model, inputs, torch.jit.script(best_path))  # a loop of any length, which tracing has not

    spelled = characters is not None and characters.recurrent is not None
    from_zeros = ("embedding.characters.recurrent",) if spelled else ()
    return Form(sample, recorded, run, True, from_zeros=from_zeros)


class _Sample:
    """Inputs of any batch size and length for a model."""

    def __init__(self, model: nn.Module, example: Tensor | None) -> None:
        modules = list(model.modules())
        layers = [module for module in modules if type(module) in LAYERS]
        self.has_time = bool(layers)
        self.batch_first = any(bool(module.batch_first) for module in layers) if layers else True
        if not layers and not any(type(module) in CELLS for module in modules):
            raise ExportError("the model: expected a recurrent layer in it, got none")
        if example is None:
            example = _example(model)
        self._example = example.detach().cpu()
        if self._example.is_floating_point():
            self._example = self._example.float()
        if self._example.dim() < 1 + self.has_time or not self._example.numel():
            raise ParameterError("example", "an input of the model with a batch dimension", tuple(self._example.shape))

    def __call__(self, batch: int, steps: int) -> Tensor:
        """Like the example in its last dimensions; its values, or normal ones, in another order."""
        axes = [0, 1] if self.batch_first else [1, 0]
        sizes = [batch, steps] if self.has_time else [batch]
        example = self._example
        generator = torch.Generator().manual_seed(batch)
        for axis, size in zip(axes, sizes, strict=False):
            example = example.index_select(axis, torch.randint(0, example.shape[axis], (size,), generator=generator))
        if example.is_floating_point():
            example = example + torch.randn(example.shape, generator=generator)
        return example


def _example(model: Any) -> Tensor:
    if type(model) in CELLS:
        return torch.zeros(2, model.input_size)
    if type(model) in LAYERS:
        return torch.zeros(2, 2, model.input_size)
    if isinstance(model, RecurrentLanguageModel):
        return torch.arange(model.vocabulary_size).expand(2, -1)
    raise ParameterError("example", "an input of the model", None)


def _run(model: Any, first: Tensor, lengths: Tensor | None) -> dict[str, Tensor]:
    """The outputs by name, states excepted."""
    if isinstance(model, RecurrentLanguageModel):
        return {"log_probabilities": model.log_probabilities(model(first)[0])}
    result = model(first) if lengths is None else model(first, lengths=lengths)
    while isinstance(result, tuple | list):
        result = result[0]
    if not isinstance(result, Tensor):
        raise ExportError(f"the model: expected a tensor as its result, or first in it, got a {type(result).__name__}")
    return {"output": result}
