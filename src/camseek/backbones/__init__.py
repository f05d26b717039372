"""Backbones: a picture's pixels to feature maps, classifier maps and class scores.

``camseek.backbones.importing`` makes models of other people's networks; it needs the extra
``camseek[models]``.
"""

from camseek.backbones.card import ModelCard
from camseek.backbones.library import find_model, find_network, imported_models
from camseek.backbones.onnx_backbone import Backbone, as_model, load_model

__all__ = [
    "Backbone",
    "ModelCard",
    "as_model",
    "find_model",
    "find_network",
    "imported_models",
    "load_model",
]
