from typing import Any

import numpy as np
import pytest
import torch
from made_pairs import TINY, make_pairs
from torch.nn import functional as F

from recurra.cells import find_cell
from recurra.data.text.parallel import ParallelText
from recurra.data.text.subwords import Subwords
from recurra.models.decoding import sample_sequences, scheduled_inputs
from recurra.tasks.translate.network import PairLoss, TranslationNetwork
from recurra.tasks.translate.pairs import EncodedPairs

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def pairs() -> EncodedPairs:
    source, target = make_pairs(12)
    subwords = Subwords.train([*source, *target], 300)
    return EncodedPairs(ParallelText(tuple(source), tuple(target)), subwords, subwords)


def make(**changes: Any) -> TranslationNetwork:
    torch.manual_seed(1)
    sizes = {name: TINY[name] for name in ("hidden_size", "embedding_size")}
    return TranslationNetwork(300, 300, cell=find_cell("lstm"), **sizes | changes).double().eval()


@pytest.mark.parametrize("input_feeding", [False, True])
@pytest.mark.parametrize("coverage", [False, True])
def test_steps_of_a_search_are_those_of_training(pairs: EncodedPairs, input_feeding: bool, coverage: bool):
    network = make(input_feeding=input_feeding, coverage=coverage)
    batch = pairs.batch([3, 1, 7], CPU)
    given = batch.inputs
    output, _ = network(given)
    state = network.begin(given.source, given.source_lengths)
    found = []
    for t in range(given.inputs.shape[1]):
        log_probs, state = network.step(given.inputs[:, t], state)
        found.append(log_probs)
    expected = output.logits.log_softmax(1)
    expected[:, :3] = -torch.inf
    torch.testing.assert_close(torch.stack(found, 1)[given.counted()], expected)


@torch.no_grad()
def test_the_loss_of_a_batch_is_the_mean_over_true_steps(pairs: EncodedPairs):
    network = make()
    whole = pairs.batch(range(12), CPU)
    output, _ = network(whole.inputs)
    total = 0.0
    for n in range(12):
        one = pairs.batch([n], CPU)
        total += float(PairLoss(0.1, 1.0)(network(one.inputs)[0], one.target)) * one.weight
    assert len(output.logits) == len(whole.target) == whole.weight
    assert float(PairLoss(0.1, 1.0)(output, whole.target)) == pytest.approx(total / whole.weight)


def test_label_smoothing_is_a_mixture_with_the_uniform(pairs: EncodedPairs):
    batch = pairs.batch([0, 1], CPU)
    output, _ = make()(batch.inputs)
    log_probs = output.logits.log_softmax(1)
    mixed = 0.9 * F.one_hot(batch.target, 300) + 0.1 / 300
    torch.testing.assert_close(PairLoss(0.1, 0.0)(output, batch.target), -(mixed * log_probs).sum(1).mean())
    torch.testing.assert_close(
        PairLoss(0.0, 2.0)(output, batch.target),
        F.cross_entropy(output.logits, batch.target) + 2 * output.repeated,
    )


def test_tied_embeddings_are_one_matrix():
    tied = make()
    assert tied.source_embedding.weight is tied.readout.weight is tied.target_embedding.weight
    output = make(tied_embeddings="output")
    assert output.source_embedding.weight is not output.readout.weight is output.target_embedding.weight
    assert make(tied_embeddings="none").readout.weight.shape == (300, 16)


def test_the_memory_is_copied_only_where_sentences_leave(pairs: EncodedPairs):
    network = make()
    given = pairs.batch([3, 1], CPU).inputs
    state = network.begin(given.source, given.source_lengths).select(torch.tensor([0, 0, 1, 1]))
    within = state.select(torch.tensor([1, 1, 3, 2]))
    assert within.memory is state.memory
    assert len(state.select(torch.tensor([2, 3])).memory.values) == 2


def test_batches_hold_begin_and_end(pairs: EncodedPairs):
    batch = pairs.batch([0, 1, 2], CPU)
    given = batch.inputs
    assert (given.inputs[:, 0] == Subwords.begin).all()
    ends = given.source.gather(1, (given.source_lengths - 1).unsqueeze(1))
    assert (ends == Subwords.end).all()
    assert int((batch.target == Subwords.end).sum()) == 3


def test_long_pairs_are_left_out_and_the_others_are_what_they_were(pairs: EncodedPairs):
    longest = int(np.median(pairs.lengths)) - 1
    fitting = np.flatnonzero(pairs.lengths <= longest + 1).tolist()
    within = pairs.within(longest)
    assert list(within.lengths) == [n for n in pairs.lengths if n <= longest + 1]
    for number, before in enumerate(fitting):
        assert torch.equal(within.batch([number], CPU).target, pairs.batch([before], CPU).target)


def test_translations_are_sampled_with_their_gradient() -> None:
    network = make()
    source = torch.randint(4, 300, (5, 4))
    begin = torch.full((5,), Subwords.begin)
    state = network.begin(source, torch.full((5,), 4))
    sampled = sample_sequences(network.step, state, begin, Subwords.end, 6)
    assert not torch.isin(sampled.tokens, torch.tensor(network.never_written)).any()
    sampled.log_prob.sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    mixed = scheduled_inputs(network.step, network.begin(source, torch.full((5,), 4)), source, Subwords.end, 0.0)
    assert torch.equal(mixed[:, 0], source[:, 0])
    assert not torch.isin(mixed[:, 1:], torch.tensor([*network.never_written, Subwords.end])).any()
