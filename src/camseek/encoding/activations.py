"""What a network gives for a picture: the arrays that every stage starts from."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32

from camseek.encoding.regions import Cells, crop
from camseek.numerics import BOOL, F32


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Activations:
    """What the network gives for a picture. B is 1.

    Attributes:
        features: Feature maps of the chosen layer, non-negative: in a signed layer, negatives are 0 here.
        classifier_maps: Maps just before global average pooling, as they are; the same array as
            ``features`` where the chosen layer is the classifier's and not signed. Of a plain backbone, which
            has no classifier, ``features``.
        scores: Logits: classifier weights times the means of the classifier maps (padding included), plus
            the bias. Of a plain backbone (B, 0).
        mask: True for the feature maps' cells that hold a pixel of the picture, False for those wholly
            in padding.
        classifier_mask: The same for the classifier maps.
    """

    features: Float32[F32, "B K H W"]
    classifier_maps: Float32[F32, "B K2 H2 W2"]
    scores: Float32[F32, "B classes"]
    mask: Bool[BOOL, "B H W"]
    classifier_mask: Bool[BOOL, "B H2 W2"]

    def inside(
        self, cells: Cells, weights: Float32[F32, "classes K2"], bias: Float32[F32, " classes"]
    ) -> "Activations":
        """The part of the activations inside a query region.

        The paper does not say where a region's class scores come from. Here they are those that the
        classifier gives when it pools the region's cells alone: no second pass.

        Args:
            cells: The region on the feature maps.
            weights: The classifier's linear layer.
            bias: Its bias.
        """
        _, _, rows, columns = self.features.shape
        _, _, classifier_rows, classifier_columns = self.classifier_maps.shape
        # An earlier layer has a finer grid than the classifier's: the region covers the cells it touches.
        down, across = rows / classifier_rows, columns / classifier_columns
        top, bottom, left, right = cells
        coarse = (
            int(top / down),
            max(int(top / down) + 1, int(np.ceil(bottom / down))),
            int(left / across),
            max(int(left / across) + 1, int(np.ceil(right / across))),
        )
        maps = crop(self.classifier_maps, coarse)
        scores = self.scores
        if scores.shape[1]:
            scores = maps.mean(axis=(2, 3)) @ weights.T + bias
        return replace(
            self,
            features=crop(self.features, cells),
            classifier_maps=maps,
            scores=scores,
            mask=crop(self.mask, cells),
            classifier_mask=crop(self.classifier_mask, coarse),
        )


def probabilities(scores: Float32[F32, "*batch classes"]) -> Float32[F32, "*batch classes"]:
    """Softmax over the last axis: logits to probabilities in [0, 1] that sum to 1."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
