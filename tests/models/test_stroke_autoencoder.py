import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from covering import parametrize
from every_cell import KINDS
from recurra.cells import GRU
from recurra.data.drawings.stroke_batches import code_noise, encode_strokes
from recurra.errors import ParameterError
from recurra.models.stroke_autoencoder import Posterior, StrokeAutoencoder, interpolated
from recurra.models.stroke_decoder import StrokeDecoder

STROKES = [
    np.array([[1, 2, 0], [3, 4, 1]], dtype=np.float32),
    np.array([[5, 6, 1], [7, 8, 0], [9, 10, 0], [11, 12, 1]], dtype=np.float32),
]


@parametrize({"cell": KINDS, "num_layers": [1, 2], "classes": [1, 2]})
def test_padding_and_the_batch_change_nothing(cell: object, num_layers: int, classes: int) -> None:
    decoder = StrokeDecoder(cell, 6, num_layers, 2, classes=classes, latent_size=3)  # type: ignore[arg-type]
    network = StrokeAutoencoder(decoder, cell, 4).double().eval()  # type: ignore[arg-type]
    inputs, _ = encode_strokes(STROKES, [0, classes - 1])
    (raw, posterior), _ = network(inputs._replace(points=inputs.points.double()))
    alone, _ = encode_strokes(STROKES[:1], [0])
    (other, code), _ = network(alone._replace(points=alone.points.double()))
    torch.testing.assert_close(other[0], raw[0, :3])
    torch.testing.assert_close(code.mean[0], posterior.mean[0])
    assert posterior.mean.shape == (2, 3)


def test_the_encoder_reads_both_ends_and_gets_gradients() -> None:
    network = StrokeAutoencoder(StrokeDecoder(GRU(), 6, mixtures=2, latent_size=3), GRU(), 5)
    inputs, _ = encode_strokes(STROKES[1:], [0])
    code = network.encode(inputs).mean
    for step in (1, 4):
        changed = inputs.points.clone()
        changed[0, step, 0] += 1
        assert not torch.allclose(network.encode(inputs._replace(points=changed)).mean, code)
    (raw, _), _ = network(inputs._replace(noise=code_noise([(0,)], 3)))
    raw.square().sum().backward()
    for name, parameter in network.encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_noise_moves_the_code_by_deviations() -> None:
    network = StrokeAutoencoder(StrokeDecoder(GRU(), 6, mixtures=2, latent_size=3), GRU(), 5).eval()
    inputs, _ = encode_strokes(STROKES[:1], [0])
    posterior = network.encode(inputs)
    noise = torch.tensor([[1.0, 0.0, -2.0]])
    (raw, _), _ = network(inputs._replace(noise=noise))
    code = posterior.mean + posterior.log_deviation.exp() * noise
    torch.testing.assert_close(raw, network.decoder(inputs, latent=code)[0])
    with pytest.raises(ParameterError, match="latent"):
        network.decoder(inputs)


def test_the_divergence_is_that_of_torch() -> None:
    posterior = Posterior(torch.randn(4, 3), torch.randn(4, 3))
    expected = kl_divergence(Normal(posterior.mean, posterior.log_deviation.exp()), Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(posterior.divergence(), expected)


def test_the_great_circle() -> None:
    first, last = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0])
    torch.testing.assert_close(interpolated(first, last, 0.0), first)
    torch.testing.assert_close(interpolated(first, last, 1.0), last)
    torch.testing.assert_close(interpolated(first, last, 1 / 3), 2 * torch.tensor([3**0.5 / 2, 0.5]))
    torch.testing.assert_close(interpolated(first, 3 * first, 0.5), 2 * first)
