import numpy as np
import pytest
import torch

import covering
from recurra.cells import GRU, LSTM
from recurra.models.sequence_autoencoder import SequenceAutoencoder, patch_length, trailing_windows


@covering.parametrize({"window": [2, 5, 32, 33, 70], "channels": [1, 3], "flags": [0, 3], "layers": [1, 2]})
def test_windows_come_back_in_their_shape(window, channels, flags, layers):
    torch.manual_seed(0)
    network = SequenceAutoencoder(
        GRU(), channels + flags, channels, window, hidden_size=6, num_layers=layers, code_size=2, dropout=0.0
    )
    written, code = network(torch.randn(4, window, channels + flags))
    assert written.shape == (4, window, channels)
    assert code.shape == (4, 2)
    assert network.steps <= 32
    assert network.steps * patch_length(window) >= window


def test_the_code_is_all_that_the_window_is_written_from():
    torch.manual_seed(0)
    network = SequenceAutoencoder(LSTM(), 1, 1, 70, hidden_size=8, num_layers=1, code_size=3, dropout=0.0).eval()
    with torch.no_grad():
        network.code.weight.zero_()
        written = network(torch.randn(2, 70, 1))[0]
    assert torch.equal(written[0], written[1])


def test_it_learns_what_varies_and_not_what_is_new():
    torch.manual_seed(0)
    generator, t = np.random.default_rng(0), np.arange(40)

    def waves(count):
        phases = generator.uniform(0, 2 * np.pi, (count, 1))
        return torch.from_numpy(np.sin(2 * np.pi * t / 20 + phases)[..., None]).float()

    network = SequenceAutoencoder(LSTM(), 1, 1, 40, hidden_size=24, num_layers=1, code_size=3, dropout=0.0)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(250):
        batch = waves(32)
        optimizer.zero_grad()
        ((network(batch)[0] - batch) ** 2).mean().backward()
        optimizer.step()
    with torch.no_grad():
        usual = waves(32)
        other = usual.clone()
        other[:, 10:30] = 0
        errors = [float(((network(one)[0] - one) ** 2).mean()) for one in (usual, other)]
    assert errors[0] < 0.05
    assert errors[1] > 3 * errors[0]


@pytest.mark.parametrize("window", [1, 4, 10])
def test_trailing_windows_end_with_their_rows(window):
    rows = torch.arange(20.0).reshape(10, 2)
    windows = trailing_windows(rows, window)
    assert windows.shape == (11 - window, window, 2)
    for at, one in enumerate(windows):
        assert torch.equal(one, rows[at : at + window])
