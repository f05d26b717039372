"""The composition of the numerical stages: activations of one picture become its descriptor."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Int64
from numpy.typing import NDArray

from camseek.aggregation import aggregate, most_probable
from camseek.backbones import Activations
from camseek.cam import class_activation_maps
from camseek.config import Encoding
from camseek.pooling import channel_weights, class_vectors, crow_pool, gem_pool, rmac_vectors, sum_pool
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
        predefined: Classes that every picture is described with, (M,), most wanted first; None for each
            picture's own (``cam`` only).
    """

    encoding: Encoding
    classifier_weights: Float32[F32, "classes K2"]
    classifier_bias: Float32[F32, " classes"]
    whitening: Whitening | None = None
    predefined: Int64[I64, " M"] | None = None

    def describe(
        self,
        activations: Activations,
        cells: Cells | None = None,
        *,
        classes: Int64[I64, "B C"] | None = None,
    ) -> Float32[F32, "B D"]:
        """One descriptor a picture: the sum of its whitened parts (METHOD step 6).

        Args:
            activations: Feature maps, classifier maps and scores.
            cells: The query region on the feature maps; None for the whole picture. Features and activation
                maps come from the whole picture and are cropped to it; each map keeps its maximum over the
                whole picture (METHOD, "Query"; reading ``cells``).
            classes: The classes to sum (``cam`` only): online aggregation. None for ``classes``.

        Returns:
            (B, D), float32, each of unit norm, or zero where the picture is featureless.
        """
        return self.combine(self.parts(activations, cells, classes=classes))

    def combine(self, parts: Float32[F32, "B P K"]) -> Float32[F32, "B D"]:
        """Whitens parts and sums them, or passes the one part on."""
        if self.whitening is not None:
            parts = apply_whitening(parts, self.whitening)
        return parts[:, 0] if parts.shape[1] == 1 else aggregate(parts)

    def parts(
        self,
        activations: Activations,
        cells: Cells | None = None,
        *,
        classes: Int64[I64, "B C"] | None = None,
    ) -> Float32[F32, "B P K"]:
        """The vectors whose whitened sum is the descriptor, each of unit norm or zero.

        Class vectors for ``cam`` (METHOD step 4), region vectors for ``rmac``, one pooled vector for the
        others. Arguments as in ``describe``.
        """
        inside = activations if cells is None else self.inside(activations, cells)
        features, mask = inside.features, inside.mask
        match self.encoding.name:
            case "sum" | "ucrow":
                pooled = sum_pool(features, mask, prior=self.encoding.prior, weights=self.encoding.weights)
            case "crow":
                pooled = crow_pool(features, mask)
            case "gem":
                pooled = gem_pool(features, mask, power=self.encoding.power, prior=self.encoding.prior)
            case "rmac":
                return rmac_vectors(features, mask, scales=self.encoding.scales)
            case "cam":
                wanted = self.classes(inside) if classes is None else classes
                maps = activation_maps(activations, self.classifier_weights, wanted, encoding=self.encoding)
                return self._class_vectors(inside, maps if cells is None else crop(maps, cells))
        return pooled[:, None]

    def classes(self, activations: Activations) -> Int64[I64, "B C"]:
        """The classes that ``cam`` sums: the predefined ones, or each picture's N_C most probable."""
        if self.predefined is not None:
            chosen = self.predefined[: self.encoding.classes]
            return np.broadcast_to(chosen, (len(activations.scores), len(chosen)))
        return most_probable(activations.scores, self.encoding.classes)

    def describe_regions(
        self, activations: Activations, classes: Int64[I64, "1 C"], regions: Sequence[Cells]
    ) -> Float32[F32, "R D"]:
        """One descriptor for each region of one picture, all with the same classes (METHOD, re-ranking).

        The activation maps are made once; features and maps are cropped to each region.

        Args:
            activations: Of one picture, B = 1.
            classes: The query's most probable classes.
            regions: Cells of the feature maps, at least one region.

        Returns:
            (R, D), float32, each of unit norm, or zero where the region is featureless.
        """
        if self.encoding.name != "cam":
            return np.concatenate([self.describe(activations, region) for region in regions])
        maps = activation_maps(activations, self.classifier_weights, classes, encoding=self.encoding)
        return np.concatenate(
            [
                self.combine(self._class_vectors(self.inside(activations, region), crop(maps, region)))
                for region in regions
            ]
        )

    def class_weighted(self) -> "Encoder":
        """The encoder of class vectors beside this one: itself for ``cam``.

        Other encodings have no class vectors: theirs are the paper's, with the power of ``gem``, and without
        the whitening, which was fitted on vectors of another kind.
        """
        if self.encoding.name == "cam":
            return self
        cam = replace(Encoding.parse("cam"), power=self.encoding.power)
        return replace(self, encoding=cam, whitening=None)

    def _class_vectors(self, inside: Activations, maps: Float32[F32, "B C H W"]) -> Float32[F32, "B C K"]:
        weights = channel_weights(inside.features, inside.mask)
        return class_vectors(inside.features, maps, weights, power=self.encoding.power)

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
        scores = activations.scores
        if scores.shape[1]:
            scores = maps.mean(axis=(2, 3)) @ self.classifier_weights.T + self.classifier_bias
        return replace(
            activations,
            features=crop(activations.features, cells),
            classifier_maps=maps,
            scores=scores,
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
