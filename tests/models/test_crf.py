"""The CRF against the enumeration of every sequence of tags."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from recurra.data.text.tag_schemes import allowed_transitions, scheme_tags, spans_of, tags_of
from recurra.errors import ParameterError, ShapeError
from recurra.models import LinearChain, LinearChainCRF

K = 4


def make_crf(seed: int = 0, num_tags: int = K, share: float = 1.0) -> LinearChainCRF:
    """Random transitions, of which about a share is allowed; every tag may follow the first, and it any."""
    generator = torch.Generator().manual_seed(seed)
    allowed = torch.rand(num_tags, num_tags, generator=generator) < share
    starts, ends = torch.rand(2, num_tags, generator=generator) < share
    allowed[0], allowed[:, 0], starts[0], ends[0] = True, True, True, True
    crf = LinearChainCRF(num_tags, allowed, starts, ends).double()
    with torch.no_grad():
        for parameter in crf.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return crf


def enumerate_scores(chain: LinearChain, row: int) -> tuple[Tensor, Tensor]:
    """Every sequence of tags of a sentence (N, n), and their scores (N,)."""
    n, num_tags = int(chain.lengths[row]), chain.emissions.shape[2]
    tags = torch.tensor(list(itertools.product(range(num_tags), repeat=n)), dtype=torch.int64).reshape(num_tags**n, n)
    scores = chain.emissions.new_zeros(len(tags))
    if n:
        scores = scores + chain.starts[tags[:, 0]] + chain.ends[tags[:, -1]]
    for t in range(n):
        scores = scores + chain.emissions[row, t, tags[:, t]]
        if t:
            scores = scores + chain.transitions[tags[:, t - 1], tags[:, t]]
    return tags, scores


RAGGED = (4, 1, 0, 3)


def ragged(crf: LinearChainCRF, seed: int = 1) -> LinearChain:
    emissions = 2 * torch.randn(len(RAGGED), 4, len(crf.starts), generator=torch.Generator().manual_seed(seed)).double()
    for row, length in enumerate(RAGGED):
        emissions[row, length:] = math.nan  # never read
    return crf(emissions, torch.tensor(RAGGED))


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), share=st.sampled_from([1.0, 0.5, 0.2]))
def test_equals_enumeration(seed: int, share: float) -> None:
    with torch.no_grad():
        chain = ragged(make_crf(seed, share=share), seed)
        partition, marginals, best = chain.log_partition(), chain.marginals(), chain.best()
        for row, length in enumerate(RAGGED):
            tags, scores = enumerate_scores(chain, row)
            torch.testing.assert_close(partition[row], scores.logsumexp(0))
            expected = torch.zeros(4, K, dtype=torch.float64)
            for t in range(length):
                expected[t].index_add_(0, tags[:, t], scores.softmax(0))
            torch.testing.assert_close(marginals[row], expected)
            assert best[row, length:].tolist() == [-100] * (4 - length)
            torch.testing.assert_close(scores[(tags == best[row, :length]).all(1)], scores.max().unsqueeze(0))


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), data=st.data())
def test_likelihood_of_known_and_unknown_tags(seed: int, data: st.DataObject) -> None:
    with torch.no_grad():
        chain = ragged(make_crf(seed), seed)
        tags = torch.tensor([[data.draw(st.sampled_from([0, 1, 2, 3, -100])) for _ in range(4)] for _ in RAGGED])
        found = chain.log_likelihood(tags)
        for row, length in enumerate(RAGGED):
            sequences, scores = enumerate_scores(chain, row)
            given_here = tags[row, :length]
            agreeing = ((sequences == given_here) | (given_here == -100)).all(1)
            torch.testing.assert_close(found[row], scores[agreeing].logsumexp(0) - scores.logsumexp(0))


@pytest.mark.parametrize("share", [1.0, 0.4])
def test_gradients(share: float) -> None:
    crf = make_crf(3, share=share)
    emissions = torch.randn(4, 4, K, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor(RAGGED)
    best = crf(emissions, lengths).best().clamp(min=0)  # tags that are allowed
    partly = best.masked_fill(torch.rand(best.shape) < 0.4, -100)

    def likelihood(emissions: Tensor, transitions: Tensor, starts: Tensor, ends: Tensor) -> Tensor:
        chain = LinearChain(
            emissions,
            transitions.masked_fill(crf.forbidden, -math.inf),
            starts.masked_fill(crf.forbidden_starts, -math.inf),
            ends.masked_fill(crf.forbidden_ends, -math.inf),
            lengths,
        )
        return torch.stack([chain.log_likelihood(best), chain.log_likelihood(partly), chain.log_partition()])

    inputs = (emissions, crf.transitions, crf.starts, crf.ends)
    assert torch.autograd.gradcheck(likelihood, inputs)
    assert torch.autograd.gradgradcheck(lambda e, t: partition(e[:, :3], t, lengths.clamp(max=3)), inputs[:2])
    (by_emission,) = torch.autograd.grad(crf(emissions, lengths).log_partition().sum(), emissions)
    torch.testing.assert_close(by_emission, crf(emissions, lengths).marginals())


def partition(emissions: Tensor, transitions: Tensor, lengths: Tensor) -> Tensor:
    zeros = torch.zeros(K, dtype=torch.float64)
    return LinearChain(emissions, transitions, zeros, zeros, lengths).log_partition()


def test_a_batch_is_its_sentences() -> None:
    crf = make_crf(5)
    with torch.no_grad():
        chain = ragged(crf)
        tags = torch.randint(K, (4, 4))
        for row, length in enumerate(RAGGED):
            alone = crf(chain.emissions[row : row + 1, :length])
            torch.testing.assert_close(alone.log_partition()[0], chain.log_partition()[row])
            torch.testing.assert_close(
                alone.log_likelihood(tags[row : row + 1, :length])[0], chain.log_likelihood(tags)[row]
            )
            torch.testing.assert_close(alone.marginals()[0], chain.marginals()[row, :length])
            assert torch.equal(alone.best()[0], chain.best()[row, :length])


def test_a_batch_of_nothing() -> None:
    chain = make_crf()(torch.zeros(2, 0, K, dtype=torch.float64), torch.tensor([0, 0]))
    assert chain.log_partition().tolist() == [0, 0]
    assert chain.log_likelihood(torch.zeros(2, 0, dtype=torch.int64)).tolist() == [0, 0]
    assert chain.best().shape == (2, 0)
    assert chain.marginals().shape == (2, 0, K)


@given(seed=st.integers(0, 10_000), scheme=st.sampled_from(["iob1", "iob2", "iobes"]), length=st.integers(1, 6))
def test_what_a_scheme_forbids_has_no_probability(seed: int, scheme: str, length: int) -> None:
    """The best tags are those of some entities, whatever the emissions, and tags that are none are impossible."""
    tags = scheme_tags(["LOC", "PER"], scheme)
    crf = LinearChainCRF(len(tags), *map(torch.from_numpy, allowed_transitions(tags, scheme)))
    emissions = 50 * torch.randn(3, length, len(tags), generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        chain = crf(emissions)
        for found in chain.best().tolist():
            names = [tags[number] for number in found]
            assert tags_of(spans_of(names), length, scheme) == names
        wrong = torch.full((3, length), tags.index("B-LOC" if scheme == "iob1" else "I-LOC"))
        assert chain.log_likelihood(wrong).tolist() == [-math.inf] * 3
        assert torch.isfinite(chain.marginals()).all()


def test_far_apart_scores_stay_finite() -> None:
    """In float32 too, with scores and transitions of hundreds, over a long sentence."""
    crf = make_crf(8).float()
    with torch.no_grad():
        crf.transitions.mul_(100)
    emissions = (200 * torch.randn(2, 300, K)).requires_grad_()
    chain = crf(emissions)
    likelihood = chain.log_likelihood(chain.best())
    assert torch.isfinite(likelihood).all()
    assert (likelihood <= 1e-6).all()
    likelihood.sum().backward()
    assert emissions.grad is not None
    assert torch.isfinite(emissions.grad).all()


def test_where_nothing_is_allowed() -> None:
    crf = LinearChainCRF(2, torch.zeros(2, 2, dtype=torch.bool))
    emissions = torch.zeros(2, 2, 2, requires_grad=True)
    found = crf(emissions, torch.tensor([1, 2])).log_partition()
    assert found.tolist() == [pytest.approx(math.log(2)), -math.inf]
    found[0].backward()
    assert emissions.grad is not None
    assert torch.isfinite(emissions.grad).all()


def test_refusals() -> None:
    crf = LinearChainCRF(3)
    with pytest.raises(ParameterError, match=r"num_tags: expected .* number .* 1, got 0"):
        LinearChainCRF(0)
    with pytest.raises(ShapeError, match=r"allowed: expected shape \(K, K\) = \(3, 3\), got \(2, 3\)"):
        LinearChainCRF(3, torch.ones(2, 3, dtype=torch.bool))
    with pytest.raises(ShapeError, match=r"ends: expected bool, got torch.float32"):
        LinearChainCRF(3, ends=torch.ones(3))
    with pytest.raises(ShapeError, match=r"emissions: expected shape \(B, T, 3\), got \(2, 4, 2\)"):
        crf(torch.zeros(2, 4, 2))
    with pytest.raises(ShapeError, match=r"lengths: expected .* 0 to T = 4, got 2 to 5"):
        crf(torch.zeros(2, 4, 3), torch.tensor([2, 5]))
    with pytest.raises(ShapeError, match=r"tags: expected shape \(B, T\) = \(2, 4\), got \(2, 3\)"):
        crf(torch.zeros(2, 4, 3)).log_likelihood(torch.zeros(2, 3, dtype=torch.int64))
