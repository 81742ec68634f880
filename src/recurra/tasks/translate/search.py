"""How translations are searched for."""

from recurra.errors import ParameterError
from recurra.options import Options, option

__all__ = ["Search"]


class Search(Options):
    """Beam search, and how many sentences are translated at once."""

    beam_size: int = option(
        default=5, at_least=1, help="hypotheses in the beam of a sentence; 1: greedy search", main=True
    )
    n_best: int = option(default=1, at_least=1, help="translations of each sentence, up to the beam size")
    length_penalty: float = option(
        default=1.0, at_least=0, help="alpha of Wu et al. 2016: 0 prefers short translations, about 1 has no preference"
    )
    no_repeat_ngram: int = option(
        default=0, at_least=0, help="length of the n-grams of subwords that may not occur twice; 0: no such rule"
    )
    max_length: int | None = option(
        default=None, at_least=1, help="subwords of a translation at most; by default twice those of the source and 10"
    )
    batch_size: int = option(default=64, at_least=1, help="sentences translated at once")

    def check(self) -> None:
        if self.n_best > self.beam_size:
            raise ParameterError("n_best", f"at most beam_size = {self.beam_size}", self.n_best)
