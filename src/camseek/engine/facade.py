"""The engine: a collection and the model that reads it."""

import os
from collections.abc import Iterable, Mapping
from typing import Any

from camseek.arguments import whole_number
from camseek.backbones import Backbone, as_model
from camseek.backbones.devices import running
from camseek.config import Device, Encoding, Limits, Settings, parts_without
from camseek.encoding.whitening import Whitening
from camseek.engine.asking import Asking
from camseek.engine.holding import Holding
from camseek.engine.keeping import Keeping
from camseek.errors import NoCollectionError
from camseek.extraction.agreement import new_profile, require_settings
from camseek.extraction.describer import Describers
from camseek.job import Job
from camseek.store import Collection, create_collection, open_collection, open_shards


class Engine(Holding, Keeping, Asking):
    """Indexes pictures into a collection and searches it.

    ``len`` is the number of its pictures, and iterating gives them. The model is loaded when it is first
    needed. Several threads may search at once, also while one of them, or another process, writes.

    Attributes:
        collection: The collection.
    """

    def __init__(
        self,
        collection: Collection,
        *,
        model: Backbone | str | os.PathLike[str] | None = None,
        limits: Limits | None = None,
        workers: int | None = None,
        device: Device | str | None = None,
    ) -> None:
        """Puts a collection and a model together.

        Args:
            collection: An open collection; ``close`` closes it.
            model: The model it was made with, or its name; None for the embedded one.
            limits: What this machine may spend on one picture.
            workers: Threads of one index run or search; None for one a core.
            device: What models run on that are loaded here: ``cpu``, ``cuda``, ``auto``, or a ``Device``;
                None for the processor.

        Raises:
            SettingsError: The collection was made with another model.
            DeviceError: A GPU is asked for, and there is none that can be used.
        """
        self.collection = collection
        self._job = Job.of(limits, workers)
        layer = collection.profile.settings.layer
        chosen = None if device is None else Device.of(device)
        if chosen is not None:
            running(chosen)  # what is missing is told before there is work to lose
        loaded = None if model is None else as_model(model, layer, chosen)
        self._describers = Describers(collection, loaded, self._job.limits, chosen)

    @classmethod
    def open(
        cls,
        address: str | os.PathLike[str],
        *,
        model: Backbone | str | os.PathLike[str] | None = None,
        settings: Settings | Encoding | str | Mapping[str, Any] | None = None,
        whitening: Whitening | None = None,
        without: Iterable[str] = (),
        create: bool = False,
        limits: Limits | None = None,
        workers: int | None = None,
        keep_descriptors: bool = True,
        device: Device | str | None = None,
        shards: int | None = None,
        cluster: str = "auto",
    ) -> "Engine":
        """Opens a collection, or makes it.

        Args:
            address: The collection's folder, or ``milvus://HOST:PORT/NAME``.
            model: The model, or its name; None for the embedded one.
            settings: What a new collection is made with, and what an existing one must have been made with:
                settings, or an encoding's name, or a dictionary; None for the defaults and for whatever it
                has.
            whitening: What a new collection's descriptors are whitened with; an existing one keeps its own.
            without: What a new collection does not keep of each picture, of ``camseek.config.PARTS``; an
                existing one keeps what it keeps.
            create: Make the collection if there is none.
            limits: What this machine may spend on one picture.
            workers: Threads of one index run or search; None for one a core.
            keep_descriptors: Hold the descriptors in memory between searches; of a large collection, codes
                of them. A single search is quicker without.
            device: What models run on that are loaded here: ``cpu``, ``cuda``, ``auto``, or a ``Device``;
                None for the processor. It is no part of the collection.
            shards: Search a collection on a server in so many shards, which actors of a Ray cluster hold:
                nothing of it lies here, and it is only read. None: with a mirror of it here.
            cluster: That of the shards: ``HOST:PORT`` of its head, or ``auto`` for the one of which this
                machine is a part.

        Raises:
            CollectionError: It cannot be opened or made.
            ClusterError: The cluster cannot be used, or has no room for the shards.
            SettingsError: It was made with another model or other settings.
            ModelError: The model cannot be loaded.
            DeviceError: A GPU is asked for, and there is none that can be used.
        """
        chosen_device = None if device is None else Device.of(device)
        wanted, place, keeps = Settings.of(settings), os.fspath(address), parts_without(without)
        try:
            if shards is None:
                collection = open_collection(place, keep_vectors=keep_descriptors)
            else:
                collection = open_shards(place, whole_number(shards, "shards"), cluster)
        except NoCollectionError:
            if not create or shards is not None:
                raise
            chosen = wanted or Settings()
            Job.of(limits, workers)  # what is wrong with these must not leave a collection behind
            model = as_model(model, chosen.layer, chosen_device)
            profile = new_profile(model, chosen, whitening, keeps)
            collection = create_collection(place, profile, keep_vectors=keep_descriptors)
        try:
            require_settings(collection, wanted)
            return cls(collection, model=model, limits=limits, workers=workers, device=chosen_device)
        except BaseException:
            collection.close()
            raise

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the collection."""
        self.collection.close()

    @property
    def settings(self) -> Settings:
        """The settings of the collection."""
        return self.collection.profile.settings
