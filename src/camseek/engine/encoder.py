"""The composition of the numerical stages: activations of one picture become its descriptor."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Int64
from numpy.typing import NDArray

from camseek.aggregation import aggregate, most_probable
from camseek.backbones import Activations
from camseek.cam import class_activation_maps
from camseek.config import Encoding
from camseek.pooling import channel_weights, class_vectors, crow_pool, gem_pool, sum_pool
from camseek.regions import Cells, crop
from camseek.whitening import Whitening, apply_whitening

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Encoder:
    """Makes descriptors of activations.

    Attributes:
        encoding: The encoding.
        classifier_weights: (classes, K'), float32: the model's linear layer.
        classifier_bias: (classes,), float32.
        whitening: Applied before the last normalisation (METHOD step 5), or None.
    """

    encoding: Encoding
    classifier_weights: Float32[F32, "classes K2"]
    classifier_bias: Float32[F32, " classes"]
    whitening: Whitening | None = None

    def describe(self, activations: Activations, cells: Cells | None = None) -> Float32[F32, "B D"]:
        """One descriptor a picture.

        Args:
            activations: Feature maps, classifier maps and scores.
            cells: The query region on the feature maps; None for the whole picture. Features and activation
                maps come from the whole picture and are cropped to it; each map keeps its maximum over the
                whole picture (paper section 4; reading ``cells``).

        Returns:
            (B, D), float32, each of unit norm, or zero where the picture is featureless.
        """
        inside = activations if cells is None else self.inside(activations, cells)
        features, mask = inside.features, inside.mask
        match self.encoding.name:
            case "sum" | "ucrow":
                pooled = sum_pool(features, mask, prior=self.encoding.prior)
            case "crow":
                pooled = crow_pool(features, mask)
            case "gem":
                pooled = gem_pool(features, mask, power=self.encoding.power, prior=self.encoding.prior)
            case "cam":
                return aggregate(self._class_vectors(activations, inside, cells))
        return pooled if self.whitening is None else apply_whitening(pooled, self.whitening)

    def _class_vectors(
        self, whole: Activations, inside: Activations, cells: Cells | None
    ) -> Float32[F32, "B C D"]:
        classes = most_probable(inside.scores, self.encoding.classes)
        maps = activation_maps(whole, self.classifier_weights, classes, encoding=self.encoding)
        if cells is not None:
            maps = crop(maps, cells)
        weights = channel_weights(inside.features, inside.mask)
        vectors = class_vectors(inside.features, maps, weights, power=self.encoding.power)
        return vectors if self.whitening is None else apply_whitening(vectors, self.whitening)

    def inside(self, activations: Activations, cells: Cells) -> Activations:
        """The part of the activations inside a query region.

        The paper does not say where a region's class scores come from. Here they are those that the
        classifier gives when it pools the region's cells alone: no second pass.
        """
        _, _, rows, columns = activations.features.shape
        _, _, classifier_rows, classifier_columns = activations.classifier_maps.shape
        # An earlier layer has a finer grid than the classifier's: the region covers the cells it touches.
        down, across = rows / classifier_rows, columns / classifier_columns
        top, bottom, left, right = cells
        coarse = (
            int(top / down),
            max(int(top / down) + 1, int(np.ceil(bottom / down))),
            int(left / across),
            max(int(left / across) + 1, int(np.ceil(right / across))),
        )
        maps = crop(activations.classifier_maps, coarse)
        return replace(
            activations,
            features=crop(activations.features, cells),
            classifier_maps=maps,
            scores=maps.mean(axis=(2, 3)) @ self.classifier_weights.T + self.classifier_bias,
            mask=crop(activations.mask, cells),
            classifier_mask=crop(activations.classifier_mask, coarse),
        )


def activation_maps(
    activations: Activations,
    classifier_weights: Float32[F32, "classes K2"],
    classes: Int64[I64, "B C"],
    *,
    encoding: Encoding,
) -> Float32[F32, "B C H W"]:
    """The activation maps of some classes on the grid of the feature maps, in [0, 1]."""
    _, _, rows, columns = activations.features.shape
    return class_activation_maps(
        activations.classifier_maps,
        classifier_weights,
        classes,
        activations.classifier_mask,
        size=(rows, columns),
        normalisation=encoding.maps,
    )
