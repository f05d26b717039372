"""What the parts of the engine share."""

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
