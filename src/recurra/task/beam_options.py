"""The options of beam search that tasks share."""

from recurra.errors import ParameterError
from recurra.options import Options, option

__all__ = ["BeamOptions"]


class BeamOptions(Options):
    """Beam search; a task states what its results are called in the help of its own fields."""

    beam_size: int = option(default=5, at_least=1, help="hypotheses in the beam; 1: greedy search", main=True)
    n_best: int = option(default=1, at_least=1, help="results of each input, up to the beam size")
    length_penalty: float = option(
        default=1.0, at_least=0, help="alpha of Wu et al. 2016: 0 prefers short results, about 1 has no preference"
    )

    def check(self) -> None:
        if self.n_best > self.beam_size:
            raise ParameterError("n_best", f"at most beam_size = {self.beam_size}", self.n_best)
