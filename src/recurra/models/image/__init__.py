"""Networks that read images as a grid of features, and images read by them."""

from recurra.models.image.captioner import CaptionBatch, CaptionLoss, CaptionOutput, ImageCaptioner, ImagesToCaption
from recurra.models.image.efficientnet_lite import EfficientNetEnding, EfficientNetLite0
from recurra.models.image.frame_features import FrameFeatures, FrameMaps
from recurra.models.image.grid_network import GridNetwork, check_channels
from recurra.models.image.image_reader import FeatureReader, ImageReader, PixelReader, ReadImages, read_images

__all__ = [
    "CaptionBatch",
    "CaptionLoss",
    "CaptionOutput",
    "EfficientNetEnding",
    "EfficientNetLite0",
    "FeatureReader",
    "FrameFeatures",
    "FrameMaps",
    "GridNetwork",
    "ImageCaptioner",
    "ImageReader",
    "ImagesToCaption",
    "PixelReader",
    "ReadImages",
    "check_channels",
    "read_images",
]
