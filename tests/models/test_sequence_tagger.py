import pytest
import torch

from recurra.cells import GRU, LSTM
from recurra.errors import ParameterError, ShapeError
from recurra.models import CharacterEncoder, IndependentTags, LinearChain, LinearChainCRF, SequenceTagger, Tokens

KINDS = ["recurrent", "convolution"]


def tokens(lengths: tuple[int, ...] = (3, 5, 1), vectors: bool = False) -> Tokens:
    """Sentences over nine words, number 8 being spelled with four characters, number 0 with none."""
    steps = max(lengths)
    words = torch.arange(len(lengths) * steps).reshape(len(lengths), steps) % 9
    return Tokens(
        words,
        torch.tensor(lengths),
        torch.arange(36).reshape(9, 4) % 7,
        torch.arange(9) // 2,
        words,
        torch.randn(*words.shape, 3) if vectors else None,
    )


def make_tagger(tags: LinearChainCRF | int = 5, **options: object) -> SequenceTagger:
    options = {"characters": CharacterEncoder("recurrent", 7, 3, 4, LSTM()), **options}
    return SequenceTagger(LSTM(), 9, 6, 8, tags, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cell", [LSTM(), GRU()])
def test_characters_of_a_word_do_not_depend_on_its_batch(kind, cell) -> None:
    encoder = CharacterEncoder(kind, 7, 3, 4, cell).double()
    given = tokens()
    with torch.no_grad():
        together = encoder(given.characters, given.character_lengths)
        assert together.shape == (9, encoder.size) == (9, 8)
        for row, length in enumerate(given.character_lengths.tolist()):
            if length:
                alone = encoder(given.characters[row : row + 1, :length], torch.tensor([length]))
                torch.testing.assert_close(alone[0], together[row])
            else:
                assert not together[row].any()
        changed = given.characters.clone()
        changed[2, 0] += 1
        assert not torch.equal(encoder(changed, given.character_lengths)[2], together[2])


def test_the_convolution_is_the_largest_filter_over_the_word() -> None:
    encoder = CharacterEncoder("convolution", 7, 3, 2, LSTM(), width=3).double()
    assert encoder.convolution is not None
    with torch.no_grad():
        embedded = encoder.embedding(torch.tensor([1, 2, 3]))
        padded = torch.cat([embedded.new_zeros(1, 3), embedded, embedded.new_zeros(1, 3)])
        weight, bias = encoder.convolution.weight, encoder.convolution.bias
        assert bias is not None
        windows = [padded[place : place + 3].t() for place in range(3)]
        expected = torch.stack([(weight * window).sum((1, 2)) + bias for window in windows]).amax(0)
        found = encoder(torch.tensor([[1, 2, 3, 6]]), torch.tensor([3]))[0]
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("tags", [5, LinearChainCRF(5)], ids=["softmax", "crf"])
def test_a_batch_is_its_sentences(tags: LinearChainCRF | int) -> None:
    tagger = make_tagger(tags, num_layers=2, dropout=0.3).double().eval()
    given = tokens()
    with torch.no_grad():
        chain, state = tagger(given)
        assert state is None
        assert isinstance(chain, IndependentTags if isinstance(tags, int) else LinearChain)
        marginals, best = chain.marginals(), chain.best()
        for row, length in enumerate(given.lengths.tolist()):
            part = slice(row, row + 1)
            one = Tokens(
                given.words[part, :length],
                torch.tensor([length]),
                given.characters,
                given.character_lengths,
                given.spellings[part, :length],
            )
            alone, _ = tagger(one)
            torch.testing.assert_close(alone.marginals()[0], marginals[row, :length])
            assert torch.equal(alone.best()[0], best[row, :length])
            assert (best[row, length:] == -100).all()
            torch.testing.assert_close(marginals[row, :length].sum(1), torch.ones(length, dtype=torch.float64))
            assert not marginals[row, length:].any()


def test_independent_tags_are_a_softmax() -> None:
    emissions = torch.randn(2, 3, 4, dtype=torch.float64)
    chain = IndependentTags(emissions, torch.tensor([3, 1]))
    tags = torch.tensor([[1, -100, 2], [3, 0, 0]])
    logs = emissions.log_softmax(2)
    torch.testing.assert_close(chain.log_likelihood(tags), torch.stack([logs[0, 0, 1] + logs[0, 2, 2], logs[1, 0, 3]]))
    assert chain.best().tolist() == [emissions[0].argmax(1).tolist(), [int(emissions[1, 0].argmax()), -100, -100]]
    with pytest.raises(ShapeError, match="tags"):
        chain.log_likelihood(tags[:, :2])


def test_words_become_unknown_by_their_share_and_only_while_training() -> None:
    unknown = torch.tensor([0.0, *([1.0] * 4), *([0.0] * 4)])
    tagger = make_tagger(characters=None, unknown=unknown).double()
    given = tokens((5, 5))
    replaced = given.words.masked_fill((given.words >= 1) & (given.words <= 4), 0)
    bare = Tokens(replaced, given.lengths, given.characters, given.character_lengths, given.spellings)
    with torch.no_grad():
        torch.testing.assert_close(tagger(given)[0].emissions, tagger(bare)[0].emissions)
        tagger.eval()
        assert not torch.allclose(tagger(given)[0].emissions, tagger(bare)[0].emissions)


def test_pretrained_vectors_are_read() -> None:
    tagger = make_tagger(vector_size=3).eval()
    given = tokens(vectors=True)
    assert tagger.recurrent.input_size == 6 + 8 + 3
    with torch.no_grad():
        before = tagger(given)[0].emissions
        assert given.vectors is not None
        given.vectors[0, 0] += 1
        assert not torch.allclose(tagger(given)[0].emissions[0], before[0])
        torch.testing.assert_close(tagger(given)[0].emissions[1], before[1])
    with pytest.raises(ShapeError, match=r"vectors: expected shape \(B, T, P\) = \(3, 5, 3\), got \(0,\)"):
        tagger(tokens())


def test_every_parameter_learns() -> None:
    tagger = make_tagger(LinearChainCRF(5), num_layers=2, dropout=0.1, recurrent_dropout=0.1)
    chain, _ = tagger(tokens())
    (-chain.log_likelihood(torch.zeros(3, 5, dtype=torch.int64)).sum()).backward()
    for name, parameter in tagger.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def test_refusals() -> None:
    with pytest.raises(ParameterError, match="kind: expected 'recurrent' or 'convolution', got 'wavelet'"):
        CharacterEncoder("wavelet", 7, 3, 4, LSTM())  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="width: expected an odd number, got 2"):
        CharacterEncoder("convolution", 7, 3, 4, LSTM(), width=2)
    with pytest.raises(ParameterError, match="num_tags"):
        make_tagger(0)
    with pytest.raises(ParameterError, match=r"dropout: expected a number from 0 to 1, got 1\.5"):
        make_tagger(dropout=1.5)
    with pytest.raises(ShapeError, match=r"unknown: expected shape \(V,\) = \(9,\)"):
        make_tagger(unknown=torch.zeros(3))
