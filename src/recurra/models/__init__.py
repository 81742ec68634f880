"""Topologies built from recurrent layers."""

from recurra.data.text.word_encoding import Tokens
from recurra.models.attention import (
    AdditiveAttention,
    Attention,
    DotAttention,
    GeneralAttention,
    Memory,
    coverage_loss,
    doubly_stochastic_loss,
)
from recurra.models.attention_decoder import AttentionDecoder, DecoderState, SearchState
from recurra.models.bridge import Bridge
from recurra.models.character_encoder import CharacterEncoder
from recurra.models.classifier import SequenceClassifier
from recurra.models.classifier_ensemble import ClassifierEnsemble
from recurra.models.context_decoder import ContextDecoder
from recurra.models.convolution import SequenceConvolutions
from recurra.models.crf import LinearChain, LinearChainCRF
from recurra.models.decoding import Hypothesis, beam_search, ensemble, greedy_search, select_rows
from recurra.models.encoder_decoder import EncoderDecoder
from recurra.models.evidence import EvidenceClassifier
from recurra.models.feedback import FeedbackDecoder
from recurra.models.first_state import FirstState
from recurra.models.language import RecurrentLanguageModel
from recurra.models.pooling import POOLINGS, Pooling
from recurra.models.ridge_readout import PENALTIES, RidgeReadout, RidgeSums, solve_ridge
from recurra.models.step_classifier import StepClassifier
from recurra.models.tagger import IndependentTags, SequenceTagger
from recurra.models.token_embedding import TokenEmbedding

__all__ = [
    "PENALTIES",
    "POOLINGS",
    "AdditiveAttention",
    "Attention",
    "AttentionDecoder",
    "Bridge",
    "CharacterEncoder",
    "ClassifierEnsemble",
    "ContextDecoder",
    "DecoderState",
    "DotAttention",
    "EncoderDecoder",
    "EvidenceClassifier",
    "FeedbackDecoder",
    "FirstState",
    "GeneralAttention",
    "Hypothesis",
    "IndependentTags",
    "LinearChain",
    "LinearChainCRF",
    "Memory",
    "Pooling",
    "RecurrentLanguageModel",
    "RidgeReadout",
    "RidgeSums",
    "SearchState",
    "SequenceClassifier",
    "SequenceConvolutions",
    "SequenceTagger",
    "StepClassifier",
    "TokenEmbedding",
    "Tokens",
    "beam_search",
    "coverage_loss",
    "doubly_stochastic_loss",
    "ensemble",
    "greedy_search",
    "select_rows",
    "solve_ridge",
]
