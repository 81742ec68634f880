"""Topologies built from recurrent layers."""

from recurra.models.encoder_decoder import EncoderDecoder

__all__ = ["EncoderDecoder"]
