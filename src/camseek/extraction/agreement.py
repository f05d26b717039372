"""Whether a model, settings and a collection fit together."""

from collections.abc import Iterable

from camseek.backbones import Backbone
from camseek.config import Settings, parts_without
from camseek.encoding.whitening import Whitening
from camseek.errors import SettingsError
from camseek.extraction.classes import require_class_ids
from camseek.extraction.traces import possible
from camseek.store import Collection, Profile


def require_model(model: Backbone, address: str, profile: Profile) -> Backbone:
    """The model, if a collection of this profile was made with it.

    Raises:
        SettingsError: It was made with another.
    """
    if model.checksum != profile.model_checksum:
        raise SettingsError(
            f"{address} was made with the model {profile.model} "
            f"({profile.model_checksum[:12]}), not {model.card.name} ({model.checksum[:12]})",
            remedy="give that model, or index the pictures into a new collection",
        )
    if model.layer != profile.settings.layer:
        raise SettingsError(
            f"{address} was made with the layer {profile.settings.layer}, not {model.layer}",
            remedy=f"load the model with layer={profile.settings.layer!r}",
        )
    _require_profile(model, address, profile)
    return model


def _require_profile(model: Backbone, address: str, profile: Profile) -> None:
    """Makes sure that a collection, which anybody may have made, says of itself what the model gives."""
    whitening = None if profile.whitening is None else Whitening.from_bytes(profile.whitening)
    require_class_ids(model, profile.settings.predefined)
    require_whitening(whitening, model)
    if profile.settings.encoding.name == "cam":
        model.require_classifier(f"the encoding {profile.settings.encoding}")
    if whitening is None and profile.dimensions != model.channels:
        raise SettingsError(
            f"{address} has descriptors of {profile.dimensions} dimensions; the layer {model.layer} of "
            f"{model.card.name} gives {model.channels}",
            remedy="restore it from a copy, or index the pictures into a new collection",
        )


def require_settings(collection: Collection, wanted: Settings | None) -> None:
    """Makes sure that a collection has the settings somebody wants; None is whatever it has.

    Raises:
        SettingsError: It was made with others.
    """
    has = collection.profile.settings
    if wanted is not None and wanted != has:
        differing = ", ".join(
            f"{key} {value} instead of {wanted.to_json()[key]}"
            for key, value in has.to_json().items()
            if wanted.to_json()[key] != value
        )
        raise SettingsError(
            f"{collection.address} was made with other settings: {differing}",
            remedy="leave those options out, or index the pictures into a new collection",
        )


def require_without(collection: Collection, without: Iterable[str]) -> None:
    """Makes sure that a collection does not keep what somebody wants left out.

    Raises:
        SettingsError: It does, or there is no such part.
    """
    wanted = parts_without(without)
    if kept := [part for part in collection.profile.keeps if part not in wanted]:
        raise SettingsError(
            f"{collection.address} keeps {' and '.join(kept)} of each picture",
            remedy=f"drop them with: camseek enrich --without {kept[0]}, or leave the option out",
        )


def require_whitening(whitening: Whitening | None, model: Backbone) -> None:
    """Makes sure that a whitening, if there is one, takes what a model's layer gives.

    Raises:
        SettingsError: It was fitted on vectors of another length.
    """
    if whitening is not None and len(whitening.mean) != model.channels:
        raise SettingsError(
            f"the whitening takes vectors of {len(whitening.mean)} dimensions; the layer {model.layer} of "
            f"{model.card.name} gives {model.channels}",
            remedy="fit one on descriptors of this layer",
        )


def new_profile(
    model: Backbone, settings: Settings, whitening: Whitening | None, keeps: tuple[str, ...] = ()
) -> Profile:
    """The profile of a new collection; of what it would keep, the parts that can be made with the model.

    Raises:
        SettingsError: The model was loaded with another layer, or the whitening was fitted on vectors of
            another length.
    """
    if model.layer != settings.layer:
        raise SettingsError(
            f"the settings want the layer {settings.layer}, the model was loaded with {model.layer}",
            remedy=f"load the model with layer={settings.layer!r}",
        )
    if settings.encoding.name == "cam":
        model.require_classifier(f"the encoding {settings.encoding}")
    require_class_ids(model, settings.predefined)
    require_whitening(whitening, model)
    return Profile(
        model=model.card.name,
        model_checksum=model.checksum,
        settings=settings,
        dimensions=whitening.projection.shape[1] if whitening else model.channels,
        whitening=whitening.to_bytes() if whitening else None,
        keeps=possible(model, keeps),
    )
