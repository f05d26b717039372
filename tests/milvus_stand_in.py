"""A stand-in for a Milvus server, in memory: what fails in the middle, and what others do meanwhile."""

from collections import defaultdict

from camseek.errors import StorageError
from camseek.store.milvus.server import Server


class Killed(BaseException):
    """A process ends here."""


class StandIn(Server):
    """Rows by their keys. All that are made of one ``data`` are connections to the same server.

    Attributes:
        down: It does not answer.
        killed: This process has ended.
        before: Called with what is about to be written or read: ``upsert``, ``delete`` or ``query``, the
            Milvus collection, and rows, keys or the filter.
        asked: How many rows were read of each Milvus collection.
    """

    data: dict

    def __init__(self, address):
        self.address = address
        self.down = self.killed = False
        self.before = None
        self.asked = defaultdict(int)

    def close(self):
        pass

    def is_prepared(self):
        return "camseek_rows" in self.data

    def require_pictures(self, dimensions):
        pass

    def prepare(self, dimensions):
        for name in ("camseek_rows", "camseek_traces", f"camseek_pictures_{dimensions}"):
            self.data.setdefault(name, {})

    def picture_collections(self):
        return sorted(name for name in self.data if name.startswith("camseek_pictures_"))

    def _said(self, what, collection, told):
        if self.killed:
            raise Killed
        if self.down:
            raise StorageError("the server is down", remedy="start it")
        if self.before is not None:
            self.before(what, collection, told)

    def query(self, collection, filter, fields, *, strong, limit=None, patience=0.0):
        self._said("query", collection, filter)
        # What camseek asks Milvus is Python, too.
        asked = compile(filter, "filter", "eval")
        rows = [row for _, row in sorted(self.data[collection].items()) if eval(asked, {}, row)]
        self.asked[collection] += len(rows[:limit])
        return [{field: row[field] for field in fields} for row in rows[:limit]]

    def _upsert(self, collection, rows):
        if rows:
            self._said("upsert", collection, rows)
            self.data[collection].update({row["key"]: dict(row) for row in rows})

    def delete(self, collection, keys):
        self._said("delete", collection, keys)
        for key in keys:
            self.data[collection].pop(key, None)
