"""What the parts of the engine share."""

from camseek.backbones import Backbone
from camseek.extraction.describer import Describers
from camseek.job import Job
from camseek.store import Collection


class Opened:
    """An open collection, and what reads pictures for it.

    Attributes:
        collection: The collection.
    """

    collection: Collection
    _job: Job
    _describers: Describers

    @property
    def model(self) -> Backbone:
        """The model of the descriptors, loaded now if it was not; raises as ``Engine.open``."""
        return self._describers.model
