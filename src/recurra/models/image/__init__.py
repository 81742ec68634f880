"""Networks that read images as a grid of features, and images read by them."""

from recurra.models.image.captioner import CaptionBatch, CaptionLoss, CaptionOutput, ImageCaptioner, ImagesToCaption
from recurra.models.image.efficientnet_lite import EfficientNetLite0
from recurra.models.image.frame_features import FrameFeatures
from recurra.models.image.grid_network import GridNetwork, check_channels
from recurra.models.image.image_reader import FeatureReader, ImageReader, PixelReader, ReadImages, read_images

__all__ = [
    "CaptionBatch",
    "CaptionLoss",
    "CaptionOutput",
    "EfficientNetLite0",
    "FeatureReader",
    "FrameFeatures",
    "GridNetwork",
    "ImageCaptioner",
    "ImageReader",
    "ImagesToCaption",
    "PixelReader",
    "ReadImages",
    "check_channels",
    "read_images",
]
