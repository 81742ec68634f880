"""Decoding: from a function that gives the next symbol's probabilities to whole sequences."""

from recurra.models.decoding.beam_search import beam_search
from recurra.models.decoding.ensemble import ensemble
from recurra.models.decoding.greedy_search import greedy_search
from recurra.models.decoding.hypothesis import Hypothesis
from recurra.models.decoding.rows import Step, select_rows

__all__ = ["Hypothesis", "Step", "beam_search", "ensemble", "greedy_search", "select_rows"]
