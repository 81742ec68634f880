import torch

from recurra.cells import GRU
from recurra.models import ClassifierEnsemble, SequenceClassifier


def made(count: int) -> ClassifierEnsemble:
    return ClassifierEnsemble([SequenceClassifier(GRU(), 2, 3, 4, filters=2) for _ in range(count)])


def test_scores_are_means() -> None:
    ensemble, inputs, lengths = made(3).eval(), torch.randn(5, 6, 2), torch.tensor([6, 2, 3, 4, 1])
    with torch.no_grad():
        found, state = ensemble(inputs, lengths)
        each = [network(inputs, lengths) for network in ensemble.networks]
    torch.testing.assert_close(found, sum(scores for scores, _ in each) / 3)
    torch.testing.assert_close(state, each[0][1])


def test_in_training_each_item_is_read_by_one_network() -> None:
    ensemble, inputs, lengths = made(3), torch.randn(7, 6, 2), torch.tensor([6, 2, 3, 4, 1, 2, 2])
    # Without what a batch is normalised by, an item gets what its network gives it alone.
    for module in ensemble.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.eval()
    with torch.no_grad():
        found, _ = ensemble(inputs, lengths)
        for row, length in enumerate(lengths.tolist()):
            alone, _ = ensemble.networks[row % 3](inputs[row : row + 1, :length])
            torch.testing.assert_close(found[row], alone[0])


def test_every_parameter_learns_from_a_batch_of_fewer_items_than_networks() -> None:
    ensemble = made(3)
    ensemble(torch.randn(2, 6, 2), torch.tensor([6, 5]))[0].square().sum().backward()
    assert all(parameter.grad is not None for parameter in ensemble.parameters())
