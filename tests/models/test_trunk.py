"""Models whose recurrent layers are a stack of blocks: padding is not read, and state is carried."""

import pytest
import torch
from torch import Tensor

from agreement import assert_agree
from recurra import cells
from recurra.data.text.word_encoding import Tokens
from recurra.errors import ParameterError
from recurra.layers import Architecture, Stack, trunk
from recurra.models import EncoderDecoder, SequenceClassifier, SequenceTagger, StepClassifier
from recurra.models.frames import FrameModel

BLOCKS = Architecture.of(["conv:3", "gru", "attention:3", "mlp:2"])


def test_a_classifier_reads_the_true_steps_of_a_sequence() -> None:
    torch.manual_seed(1)
    x, lengths = torch.randn(2, 6, 3), torch.tensor([6, 4])
    for model in (SequenceClassifier(BLOCKS, 3, 8, 2, bidirectional=False), StepClassifier(BLOCKS, 3, 8, 2, 2, False)):
        assert isinstance(model.recurrent, Stack)
        scores, _ = model(x, lengths)
        alone, _ = model(x[1:, :4])
        assert_agree(scores[1:] if scores.dim() == 2 else scores[1:, :4], alone)


def test_dropout_is_on_every_block_of_one_repetition_too() -> None:
    for kind in (SequenceClassifier, StepClassifier):
        model = kind(BLOCKS, 3, 8, 2, bidirectional=False, dropout=0.5)
        assert model.recurrent.dropout == 0.5


def test_a_decoder_begins_with_the_state_of_every_block() -> None:
    torch.manual_seed(5)
    model = EncoderDecoder(BLOCKS, 3, 2, 8)
    read, written = torch.randn(2, 6, 3), torch.randn(2, 4, 2)
    output, _ = model(read, written)
    _, state = model.encoder(read)
    assert_agree(output, model.decoder(written, state)[0])
    assert not torch.allclose(output, model.decoder(written)[0])
    with pytest.raises(ParameterError, match="architecture: expected blocks with residual connections"):
        EncoderDecoder(Architecture.of("cnn_lstm"), 3, 2, 8)


def test_a_tagger_reads_the_true_words_of_a_sentence() -> None:
    torch.manual_seed(2)
    model = SequenceTagger(BLOCKS, 9, 5, 8, 3, bidirectional=False)

    def tags(words: Tensor, lengths: list[int]) -> Tensor:
        unread = torch.zeros_like(words)  # no characters
        return model(Tokens(words, torch.tensor(lengths), unread, unread, unread))[0].emissions

    words = torch.randint(0, 9, (2, 6))
    assert_agree(tags(words, [6, 4])[1:, :4], tags(words[1:, :4], [4]))


def test_a_model_of_frames_carries_the_state_of_every_block() -> None:
    torch.manual_seed(3)
    model = FrameModel(BLOCKS, 5, 8)
    frames = torch.randint(0, 2, (2, 7, 5)).float()
    whole, final = model(frames)
    before, state = model(frames[:, :3])
    after, state = model(frames[:, 3:], state)
    assert_agree((torch.cat([before, after], 1), state), (whole, final))


def test_what_blocks_do_not_have_is_refused() -> None:
    assert trunk(cells.GRU(), 3, 4, 2, bidirectional=True).output_size == 8
    with pytest.raises(ParameterError, match="bidirectional: expected False with an architecture"):
        SequenceClassifier(BLOCKS, 3, 8, 2)
    with pytest.raises(ParameterError, match="recurrent_dropout: expected 0 with an architecture"):
        trunk(BLOCKS, 3, 8, recurrent_dropout=0.1)
    with pytest.raises(ParameterError, match="elapsed_size: expected 1 with an architecture"):
        trunk(BLOCKS, 3, 8, elapsed_size=2)
    with pytest.raises(ParameterError, match="elapsed_size: expected 0, as"):
        SequenceClassifier(BLOCKS, 3, 8, 2, bidirectional=False, elapsed_size=1)
