"""A language model as it computes: tokens and network."""

from dataclasses import dataclass, field

import torch

from recurra.cells import find_cell
from recurra.data.text.tokens import Tokenization
from recurra.layers import initialize
from recurra.models import RecurrentLanguageModel
from recurra.tasks.language.settings import LanguageSettings
from recurra.training.device import usable_device

__all__ = ["FittedModel"]


@dataclass
class FittedModel:
    """Everything that scoring and generating need.

    Attributes:
        settings: of the language model.
        tokens: how text is cut.
        network: on `device`; drawn from the settings' seed until weights are loaded.
        initialization: what was drawn how, by parameter.
    """

    settings: LanguageSettings
    tokens: Tokenization
    network: RecurrentLanguageModel = field(init=False)
    initialization: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        settings = self.settings
        self.device = usable_device(settings.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            network = RecurrentLanguageModel(
                find_cell(settings.cell),
                len(self.tokens),
                settings.features,
                settings.hidden_size,
                settings.num_layers,
                settings.dropout,
                settings.input_dropout,
                settings.embedding_dropout,
                settings.recurrent_dropout,
                settings.weight_dropout,
                settings.variational,
                settings.tied,
                settings.cutoffs,
            )
            drawn = initialize(network, settings.initialization, forget_bias=settings.forget_bias)
        self.initialization = {"embedding.weight": f"normal, variance 1 / {settings.features}", **drawn}
        self.network = network.to(self.device)
