"""From encoded texts to a trainer."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from recurra.data.batches.batch import Batch
from recurra.data.batches.lanes import Lanes
from recurra.data.text.tokens import EncodedText
from recurra.models import RecurrentLanguageModel
from recurra.tasks.language.fitted import FittedModel
from recurra.training import Mean, Trainer, evaluate, processes

__all__ = ["make_trainer"]


def make_trainer(
    model: FittedModel,
    parts: Mapping[str, EncodedText],
    folder: Path | None = None,
    tensorboard: bool = False,
    progress: bool | None = None,
) -> Trainer:
    """The trainer of a model, by truncated backpropagation through lanes of the text; arguments as of `Trainer`.

    Validation reads its text in as many lanes, each from an empty state: a little worse than the same text in one
    stream, as `LanguageModel.evaluate` reads it, and many times as fast.
    """
    settings, network = model.settings, model.network
    share = processes().share
    lanes = {
        part: Lanes.from_stream(
            parts[part].codes.to(model.device), settings.truncation.segment_length, settings.batch_size, share=share
        )
        for part in ("train", "valid")
    }

    def loss(features: Tensor, target: Tensor) -> Tensor:
        return network.loss(features, target)

    def batch(step: int) -> Batch:
        return lanes["train"](step)

    def validate(averaged: nn.Module) -> Mean:
        assert isinstance(averaged, RecurrentLanguageModel)
        valid = lanes["valid"]
        return evaluate(averaged, averaged.loss, (valid(n + 1) for n in range(valid.steps_per_epoch)), carry=True)

    return Trainer(
        network,
        loss,
        batch,
        settings,
        validate,
        folder,
        tensorboard,
        progress=progress,
        truncation=settings.truncation,
        record={"initialization": model.initialization},
    )
