"""Topologies built from recurrent layers."""

from recurra.models.encoder_decoder import EncoderDecoder
from recurra.models.feedback import FeedbackDecoder

__all__ = ["EncoderDecoder", "FeedbackDecoder"]
