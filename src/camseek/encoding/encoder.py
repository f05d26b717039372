"""The composition of the numerical stages: activations of one picture become its descriptor."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32, Int64

from camseek.config import Encoding, Settings
from camseek.encoding.activations import Activations
from camseek.encoding.aggregation import aggregate, most_probable
from camseek.encoding.cam import class_activation_maps
from camseek.encoding.pooling import (
    channel_weights,
    class_vectors,
    crow_pool,
    gem_pool,
    rmac_vectors,
    sum_pool,
)
from camseek.encoding.regions import Cells, crop
from camseek.encoding.whitening import Whitening, apply_whitening
from camseek.numerics import BOOL, F32, I64, l2_normalise


@dataclass(frozen=True, slots=True, eq=False)
class Choices:
    """Several choices of classes, each of which is summed to a descriptor of its own.

    Attributes:
        union: (1, U), int64: every class that is in some choice, ascending.
        members: (Q, U), float32: 1 where a choice has a class, else 0.
    """

    union: Int64[I64, "1 U"]
    members: Float32[F32, "Q U"]

    @classmethod
    def of(cls, choices: Sequence[Sequence[int]]) -> "Choices":
        """Puts choices together; a class stands once in each."""
        union = np.unique(np.array([number for chosen in choices for number in chosen], np.int64))
        members = np.stack([np.isin(union, np.array(chosen, np.int64)) for chosen in choices])
        return cls(union[None], members.astype(np.float32))

    def add_up(self, vectors: Float32[F32, "U D"]) -> Float32[F32, "Q D"]:
        """The normalised sum of each choice's vectors, given those of the union; zero where it is zero."""
        return l2_normalise(self.members @ vectors)


@dataclass(frozen=True, slots=True)
class Encoder:
    """Makes descriptors of activations.

    Attributes:
        encoding: The encoding.
        classifier_weights: (classes, K'), float32: the model's linear layer.
        classifier_bias: (classes,), float32.
        whitening: Applied before the last normalisation (paper section 3.2), or None.
        predefined: Classes that every picture is described with, (M,), most wanted first; None for each
            picture's own (``cam`` only).
    """

    encoding: Encoding
    classifier_weights: Float32[F32, "classes K2"]
    classifier_bias: Float32[F32, " classes"]
    whitening: Whitening | None = None
    predefined: Int64[I64, " M"] | None = None

    @classmethod
    def of(
        cls,
        settings: Settings,
        weights: Float32[F32, "classes K2"],
        bias: Float32[F32, " classes"],
        whitening: Whitening | None,
    ) -> "Encoder":
        """The encoder that settings ask for, with a classifier's linear layer and a whitening, if any."""
        predefined = np.array(settings.predefined, np.int64) if settings.predefined else None
        return cls(settings.encoding, weights, bias, whitening, predefined)

    def describe(
        self,
        activations: Activations,
        cells: Cells | None = None,
        *,
        classes: Int64[I64, "B C"] | None = None,
    ) -> Float32[F32, "B D"]:
        """One descriptor a picture: the sum of its whitened parts (paper section 3.2).

        Args:
            activations: Feature maps, classifier maps and scores.
            cells: The query region on the feature maps; None for the whole picture. Features and activation
                maps come from the whole picture and are cropped to it; each map keeps its maximum over the
                whole picture (the paper's reading, ``cells``).
            classes: The classes to sum (``cam`` only): online aggregation. None for ``classes``.

        Returns:
            (B, D), float32, each of unit norm, or zero where the picture is featureless.
        """
        return self.combine(self.parts(activations, cells, classes=classes))

    def combine(self, parts: Float32[F32, "B P K"]) -> Float32[F32, "B D"]:
        """Whitens parts and sums them, or passes the one part on."""
        return add_up(self.whiten(parts))

    def whiten(self, parts: Float32[F32, "*shape K"]) -> Float32[F32, "*shape D"]:
        """Whitens parts, each on its own; without a whitening they stay what they are."""
        return parts if self.whitening is None else apply_whitening(parts, self.whitening)

    def parts(
        self,
        activations: Activations,
        cells: Cells | None = None,
        *,
        classes: Int64[I64, "B C"] | None = None,
    ) -> Float32[F32, "B P K"]:
        """The vectors whose whitened sum is the descriptor, each of unit norm or zero.

        Class vectors for ``cam`` (paper section 3.2), region vectors for ``rmac``, one pooled vector for the
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
                return self._class_vectors(features, mask, maps if cells is None else crop(maps, cells))
        return pooled[:, None]

    def classes(self, activations: Activations, count: int | None = None) -> Int64[I64, "B C"]:
        """The first classes of each picture: of the predefined list, or its own most probable ones.

        The one decision on which classes are a picture's, for what is summed (N_C) and for what a whitening
        is fitted on (N_pca) alike (paper section 4.3).

        Args:
            activations: Their scores.
            count: How many; None for N_C. Where the list or the classifier has fewer, all of them.
        """
        wanted = self.encoding.classes if count is None else count
        if self.predefined is not None:
            chosen = self.predefined[:wanted]
            return np.broadcast_to(chosen, (len(activations.scores), len(chosen)))
        return most_probable(activations.scores, wanted)

    def describe_regions(
        self, activations: Activations, classes: Int64[I64, "1 C"], regions: Sequence[Cells]
    ) -> Float32[F32, "R D"]:
        """One descriptor for each region of one picture, all with the same classes (paper section 4.5).

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
                self.combine(
                    self._class_vectors(
                        crop(activations.features, region), crop(activations.mask, region), crop(maps, region)
                    )
                )
                for region in regions
            ]
        )

    def describe_each(self, activations: Activations, choices: Choices) -> Float32[F32, "Q D"]:
        """One descriptor of one picture for each choice of classes (``cam`` only; paper section 3.2).

        A class that several choices sum is pooled and whitened once.

        Args:
            activations: Of one picture, B = 1.
            choices: The classes.

        Returns:
            (Q, D), float32, each of unit norm, or zero where nothing of a choice's classes is seen.
        """
        return choices.add_up(self.whiten(self.parts(activations, classes=choices.union)[0]))

    @property
    def key(self) -> tuple[Encoding, str | None, tuple[int, ...]]:
        """What decides the descriptors of one model: equal keys, equal descriptors."""
        chosen = () if self.predefined is None else tuple(self.predefined.tolist())
        return self.encoding, self.whitening.checksum if self.whitening else None, chosen

    def unchosen(self) -> "Encoder":
        """The same for classes that are said with each picture: which and how many decides nothing here."""
        return replace(self, encoding=self.encoding.with_classes(1), predefined=None)

    def unwhitened(self) -> "Encoder":
        """The same without the whitening."""
        return replace(self, whitening=None)

    def class_weighted(self) -> "Encoder":
        """The encoder of class vectors beside this one: itself for ``cam``.

        Other encodings have no class vectors: theirs are the paper's, with the power of ``gem``, and without
        the whitening, which was fitted on vectors of another kind.
        """
        if self.encoding.name == "cam":
            return self
        return replace(self, encoding=self.encoding.class_weighted(), whitening=None)

    def _class_vectors(
        self, features: Float32[F32, "B K H W"], mask: Bool[BOOL, "B H W"], maps: Float32[F32, "B C H W"]
    ) -> Float32[F32, "B C K"]:
        weights = channel_weights(features, mask)
        return class_vectors(features, maps, weights, power=self.encoding.power)

    def inside(self, activations: Activations, cells: Cells) -> Activations:
        """The part of the activations inside a query region, with class scores of its own."""
        return activations.inside(cells, self.classifier_weights, self.classifier_bias)


def add_up(parts: Float32[F32, "B P D"]) -> Float32[F32, "B D"]:
    """The normalised sum of whitened parts; one part is a descriptor as it is."""
    return parts[:, 0] if parts.shape[1] == 1 else aggregate(parts)


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
