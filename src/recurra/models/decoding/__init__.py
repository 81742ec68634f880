"""Decoding: from a function that gives the next symbol's probabilities, or from those of frames, to whole sequences."""

from recurra.models.decoding.beam_search import beam_search
from recurra.models.decoding.ctc_alignment import forced_align
from recurra.models.decoding.ctc_beam_search import CTCBeamSearch, CTCBeamStream
from recurra.models.decoding.ensemble import ensemble
from recurra.models.decoding.greedy_search import greedy_search
from recurra.models.decoding.greedy_streams import CTCGreedyStream, GreedyStream, TransducerGreedyStream
from recurra.models.decoding.hypothesis import Hypothesis
from recurra.models.decoding.particles import choose_particles, resample
from recurra.models.decoding.rescoring import rescored
from recurra.models.decoding.rows import Step, concatenate_rows, select_rows
from recurra.models.decoding.sampled_sequences import (
    SampledSequences,
    SelfCriticalLoss,
    SelfCriticalOutput,
    sample_sequences,
)
from recurra.models.decoding.sampling import sample_index
from recurra.models.decoding.scheduled_sampling import scheduled_inputs
from recurra.models.decoding.timed import TimedHypothesis, TimedToken, TimedWord, Tokens
from recurra.models.decoding.token_fusion import TokenFusion
from recurra.models.decoding.transducer_search import Transducer, TransducerSearch, TransducerStream

__all__ = [
    "CTCBeamSearch",
    "CTCBeamStream",
    "CTCGreedyStream",
    "GreedyStream",
    "Hypothesis",
    "SampledSequences",
    "SelfCriticalLoss",
    "SelfCriticalOutput",
    "Step",
    "TimedHypothesis",
    "TimedToken",
    "TimedWord",
    "TokenFusion",
    "Tokens",
    "Transducer",
    "TransducerGreedyStream",
    "TransducerSearch",
    "TransducerStream",
    "beam_search",
    "choose_particles",
    "concatenate_rows",
    "ensemble",
    "forced_align",
    "greedy_search",
    "resample",
    "rescored",
    "sample_index",
    "sample_sequences",
    "scheduled_inputs",
    "select_rows",
]
