"""A network made ready for a model's folder."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from camseek.backbones.card import Classifier, Layer
from camseek.backbones.proof import TOLERANCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A finished ONNX file and what a card says of it.

    Attributes:
        content: The file.
        input: Name of the graph's input, float32 (N, 3, H, W).
        layers: The layers that feature maps may come from, by name.
        default_layer: The one that they come from where none is asked for.
        multiple: H and W are multiples of this.
        size: H and W, if it takes no other.
        classifier: The linear layer after global average pooling; None for a plain backbone.
        scores: Name of the output of the logits; None for a plain backbone.
        classes: Number of classes; 0 for a plain backbone.
        tolerance: How far another processor's outputs may be off, as a share of their spread.
        notes: What was assumed or seen, for people.
    """

    content: bytes
    input: str
    layers: Mapping[str, Layer]
    default_layer: str = "head"
    multiple: int
    size: tuple[int, int] | None = None
    classifier: Classifier | None = None
    scores: str | None = None
    classes: int = 0
    tolerance: float = TOLERANCE
    notes: list[str] = field(default_factory=list[str])
