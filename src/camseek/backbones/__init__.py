"""Backbones: a picture's pixels to feature maps, classifier maps and class scores."""

from camseek.backbones.card import ModelCard
from camseek.backbones.onnx_backbone import Activations, Backbone, load_model, probabilities, processors

__all__ = ["Activations", "Backbone", "ModelCard", "load_model", "probabilities", "processors"]
