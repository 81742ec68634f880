"""How translations are searched for."""

from recurra.options import option
from recurra.task.beam_options import BeamOptions

__all__ = ["Search"]


class Search(BeamOptions):
    """Beam search, and how many sentences are translated at once."""

    no_repeat_ngram: int = option(
        default=0, at_least=0, help="length of the n-grams of subwords that may not occur twice; 0: no such rule"
    )
    max_length: int | None = option(
        default=None, at_least=1, help="subwords of a translation at most; by default twice those of the source and 10"
    )
    batch_size: int = option(default=64, at_least=1, help="sentences translated at once")
