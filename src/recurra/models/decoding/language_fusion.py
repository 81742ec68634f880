"""A recurrent language model beside a search for texts: within a beam, or over the texts that it found."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from recurra.data.batches.ignored import IGNORED
from recurra.data.text.tokens import Characters, Tokenization
from recurra.models.decoding.token_fusion import TokenFusion
from recurra.models.language import RecurrentLanguageModel

__all__ = ["RecurrentScorer", "character_fusion"]


class RecurrentScorer:
    """The log-probability of texts by a recurrent language model, each a line of its own.

    Args:
        network: the model; it is put into evaluation mode.
        tokens: how it cuts a text.
    """

    def __init__(self, network: RecurrentLanguageModel, tokens: Tokenization) -> None:
        self._network, self._tokens = network.eval(), tokens

    @torch.no_grad()
    def __call__(self, texts: Sequence[str]) -> list[float]:
        """log p of each text and of the line end after it, in nats, after a line end."""
        if not texts:
            return []
        end = torch.tensor([self._tokens.line_end])
        lines = [torch.cat([end, self._tokens.ids(text), end]) for text in texts]
        device = self._network.embedding.weight.device
        inputs = pad_sequence([line[:-1] for line in lines], batch_first=True).to(device)
        targets = pad_sequence([line[1:] for line in lines], batch_first=True, padding_value=IGNORED).to(device)
        features, _ = self._network(inputs)
        counted = targets != IGNORED
        surprise = features.new_zeros(targets.shape)
        surprise[counted] = self._network.surprise(features[counted], targets[counted])
        return (-surprise.double().sum(1)).tolist()


def character_fusion(
    network: RecurrentLanguageModel, tokens: Tokenization, symbols: Sequence[str], weight: float
) -> TokenFusion | None:
    """Fusion within a beam over characters; None: the model's tokens are not these symbols.

    Args:
        network: the model; it is put into evaluation mode if it can be fused.
        tokens: how it cuts a text.
        symbols: the names of the search's symbols (V); the first is the blank.
        weight: of the log-probabilities, above 0.
    """
    if not isinstance(tokens, Characters) or any(symbol not in tokens.vocabulary for symbol in symbols[1:]):
        return None
    network.eval()
    device = network.embedding.weight.device

    def step(last: Tensor, state: object) -> tuple[Tensor, object]:
        features, after = network(last.to(device).unsqueeze(1), state)
        return network.log_probabilities(features[:, -1]), after

    columns = [-1, *(tokens.vocabulary[symbol] for symbol in symbols[1:])]
    end = tokens.line_end
    return TokenFusion(step, None, begin=end, columns=columns, end=end, weight=weight, batch_dim=1)
