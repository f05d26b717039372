"""What is asked of a Milvus server: rows by their keys, and nothing that it may answer in several ways."""

import importlib
import logging
import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from camseek.address import MilvusAddress
from camseek.errors import CollectionError, CollectionVersionError, CorruptCollectionError, ServerError
from camseek.store.database import corrupt

ROWS = "camseek_rows"
"""Files, folders, what was skipped, and what collections say of themselves."""
TRACES = "camseek_traces"
"""Traces of pictures, and whitenings, in parts."""
TEXT = 65_000
"""Bytes of a row's text: Milvus allows 65,535."""

_PICTURES = "camseek_pictures_"
_KEY = 250
_IS_KEY = re.compile(rf"[A-Za-z0-9._/!-]{{1,{_KEY}}}")
_OLDEST = (2, 3)
# Seconds until a server must have answered: a connection, and a question.
CONNECTING, _ASKING = 10.0, 60.0
# Milvus takes messages of 64 MB.
_MESSAGE = 16_000_000
_KEYS = 500
PAGE = 4096
"""Rows that are read at a time; 8,000 characters of text each, or a descriptor, make 33 MB."""


def pictures_of_length(dimensions: int) -> str:
    """The Milvus collection of pictures whose descriptors have this length."""
    return f"{_PICTURES}{dimensions}"


class Server:
    """A connection to a Milvus server. Safe to use from several threads.

    Every camseek collection of a server lies in the same few Milvus collections: making one takes Milvus
    seconds, and it keeps thousands at most. Keys begin with the collection's name.
    """

    def __init__(self, address: MilvusAddress) -> None:
        """Connects.

        Raises:
            CollectionError: The package is missing.
            CollectionVersionError: The server is older than 2.3, or tells no version.
            ServerError: It does not answer, or does not let one in.
        """
        self.address = address
        # It writes to the log whatever it raises, arguments and all.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL + 1)
        try:
            self._package: Any = importlib.import_module("pymilvus")
            # Of its errors the package passes some on as they are.
            self._grpc: Any = importlib.import_module("grpc")
        except ImportError as error:
            raise CollectionError(
                f"a collection on a server needs the package pymilvus, which cannot be loaded: {error}",
                remedy="pip install 'camseek[milvus]'",
            ) from error
        host = f"[{address.host}]" if ":" in address.host else address.host
        uri = f"{'https' if address.tls else 'http'}://{host}:{address.port}"
        with self._translated():
            self._client: Any = self._package.MilvusClient(
                uri, token=address.token, db_name=address.database, timeout=CONNECTING
            )
            version = str(self._client.get_server_version())
        found = re.match(r"v?(\d+)\.(\d+)", version)
        if not found or (int(found[1]), int(found[2])) < _OLDEST:
            self.close()
            raise CollectionVersionError(
                f"the server of {address} is Milvus {version:.40}; camseek needs 2.3 or later",
                remedy="upgrade the server",
            )

    def close(self) -> None:
        """Lets go of the connection."""
        with self._translated():
            self._client.close()

    @contextmanager
    def _translated(self) -> Generator[None]:
        """Milvus's errors in the words of a user; what lets in is never among them."""
        try:
            yield
        except (self._package.MilvusException, self._grpc.RpcError) as error:
            code, told = self._code(error), getattr(error, "message", None) or _details(error)
            said = str(told).splitlines()[0] if told else code or "no reason is given"
            for secret in (self.address.token, self.address.token.partition(":")[2]):
                said = said.replace(secret, "***") if secret else said
            refused = code in ("UNAUTHENTICATED", "PERMISSION_DENIED")
            if refused or "auth" in said.lower() or "permission" in said.lower():
                raise ServerError(
                    f"the server of {self.address} does not let one in: {said:.300}",
                    remedy="check user and password, or the token, and what they may do",
                ) from None
            raise ServerError(
                f"the server of {self.address} failed, or does not answer: {said:.300}",
                remedy="check that it runs, then do it again; what was done before is kept",
            ) from None

    def _code(self, error: BaseException | None) -> str:
        """The name of the code of the call that failed, under whatever was made of it; empty for none."""
        seen: set[int] = set()
        while error is not None and id(error) not in seen:
            seen.add(id(error))
            if isinstance(error, self._grpc.RpcError):
                code: Any = getattr(error, "code", None)
                return str(getattr(code() if callable(code) else code, "name", ""))
            error = error.__cause__ or error.__context__
        return ""

    # -- what is there -----------------------------------------------------------------------------------

    def is_prepared(self) -> bool:
        """Whether there are collections of camseek's.

        Raises:
            CorruptCollectionError: They are another's.
        """
        return self._is_ready(ROWS, 2) and self._is_ready(TRACES, 2)

    def require_pictures(self, dimensions: int) -> None:
        """Makes sure that the pictures of this length can be read.

        Raises:
            CorruptCollectionError: They are not there, or another's.
        """
        if not self._is_ready(pictures_of_length(dimensions), dimensions):
            raise CorruptCollectionError(
                f"{self.address} is damaged: the server has no {pictures_of_length(dimensions)}",
                remedy="restore it from a backup, or index the pictures into a new collection",
            )

    def prepare(self, dimensions: int) -> None:
        """Makes what is missing, for descriptors of this length."""
        for name, length in ((ROWS, 2), (TRACES, 2), (pictures_of_length(dimensions), dimensions)):
            if self._is_ready(name, length):
                continue
            client, kinds = self._client, self._package.DataType
            schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
            schema.add_field("key", kinds.VARCHAR, max_length=_KEY, is_primary=True)
            schema.add_field("session", kinds.INT64)
            schema.add_field("seq", kinds.INT64)
            schema.add_field("content", kinds.VARCHAR, max_length=64)
            schema.add_field("text", kinds.VARCHAR, max_length=65_535)
            schema.add_field("vector", kinds.FLOAT_VECTOR, dim=length)
            with self._translated():
                try:
                    # One shard: whoever sees a row sees all that were written before it.
                    client.create_collection(
                        name, schema=schema, index_params=self._index(), num_shards=1, timeout=_ASKING
                    )
                except self._package.MilvusException:
                    # Another one may have made it in the same moment.
                    if not client.has_collection(name, timeout=_ASKING):
                        raise
            self._is_ready(name, length)

    def _is_ready(self, name: str, length: int) -> bool:
        """Whether a Milvus collection is there, and is ours; it can be read then."""
        with self._translated():
            if not self._client.has_collection(name, timeout=_ASKING):
                return False
            fields: Any = self._client.describe_collection(name, timeout=_ASKING)["fields"]
            found = {field["name"]: field.get("params", {}).get("dim") for field in fields}
            if list(found) != list(_FIELDS) or int(found["vector"]) != length:
                raise CorruptCollectionError(
                    f"the Milvus collection {name} of {self.address} is not as camseek makes it",
                    remedy="use another database of the server",
                )
            if not self._is_loaded(name):
                # Who made the collection may have been killed before it had one; without, it is never loaded.
                if not self._client.list_indexes(name, timeout=_ASKING):
                    self._client.create_index(name, self._index(), timeout=_ASKING)
                self._client.load_collection(name, timeout=_ASKING)
        return True

    def _index(self) -> Any:
        params = self._client.prepare_index_params()
        params.add_index("vector", index_type="FLAT", metric_type="IP")
        return params

    def picture_collections(self) -> list[str]:
        """The Milvus collections of pictures of any length, those that are loaded: others cannot be read.

        One that is not loaded is of no collection that somebody has open.
        """
        with self._translated():
            found: Any = self._client.list_collections(timeout=_ASKING)
            names = sorted(str(name) for name in found if str(name).startswith(_PICTURES))
            return [name for name in names if self._is_loaded(name)]

    def _is_loaded(self, name: str) -> bool:
        return "Loaded" in str(self._client.get_load_state(name, timeout=_ASKING).get("state"))

    # -- rows --------------------------------------------------------------------------------------------

    def query(
        self,
        collection: str,
        filter: str,
        fields: Sequence[str],
        *,
        strong: bool,
        limit: int | None = None,
        patience: float = _ASKING,
    ) -> list[dict[str, Any]]:
        """The rows of a filter.

        Args:
            collection: The Milvus collection.
            filter: In Milvus's words.
            fields: Which are wanted.
            strong: With all that was written before by anybody, which takes up to half a second; otherwise
                with what the server knows now, at most five seconds old.
            limit: How many at most: those with the least keys.
            patience: Seconds after which there must be an answer.
        """
        options: dict[str, Any] = {} if limit is None else {"limit": limit}
        with self._translated():
            found: Any = self._client.query(
                collection,
                filter=filter,
                output_fields=[*fields],
                consistency_level="Strong" if strong else "Bounded",
                timeout=patience,
                **options,
            )
            return [dict(row) for row in found]

    def walk(
        self,
        collection: str,
        prefix: str,
        fields: Sequence[str],
        *,
        also: str = "",
        strong: bool = True,
        patience: float = _ASKING,
    ) -> Iterator[dict[str, Any]]:
        """The rows whose keys begin with a prefix, ascending by key, some thousand read at a time.

        Raises:
            CorruptCollectionError: A key is not as camseek writes it: it would become part of a filter.
        """
        low = prefix
        while True:
            condition = f"{within(prefix, low)}{also}"
            rows = self.query(collection, condition, fields, strong=strong, limit=PAGE, patience=patience)
            for row in rows:
                if not _IS_KEY.fullmatch(str(row["key"])):
                    fault = ValueError(f"the key {row['key']!r:.80} cannot be")
                    raise corrupt(str(self.address), fault)
            yield from rows
            if len(rows) < PAGE:
                return
            # Every page with all that was written before: a server may answer the next one from a replica
            # that is behind, and what is not listed leaves the mirror.
            low = rows[-1]["key"]

    def rows_of(
        self, collection: str, keys: Iterable[str], fields: Sequence[str], *, strong: bool = False
    ) -> Iterator[dict[str, Any]]:
        """The rows of these keys that are there.

        Without ``strong`` rows that the server does not show yet are asked for once more, as with it: those
        that are still missing then are not there.
        """
        waiting = list(keys)
        for start in range(0, len(waiting), _KEYS):
            some = waiting[start : start + _KEYS]
            found = self.query(collection, f"key in {_listed(some)}", fields, strong=strong)
            yield from found
            lost = set(some) - {row["key"] for row in found} if not strong else set[str]()
            if lost:
                yield from self.query(collection, f"key in {_listed(sorted(lost))}", fields, strong=True)

    def upsert(self, collection: str, rows: Iterable[dict[str, Any]]) -> None:
        """Writes rows, each in the place of the one of its key."""
        waiting: list[dict[str, Any]] = []
        size = 0
        for row in rows:
            length = len(row["text"]) + 4 * len(row["vector"])
            if size + length > _MESSAGE:
                self._upsert(collection, waiting)
                waiting, size = [], 0
            waiting.append(row)
            size += length
        self._upsert(collection, waiting)

    def _upsert(self, collection: str, rows: list[dict[str, Any]]) -> None:
        if rows:
            with self._translated():
                self._client.upsert(collection, rows, timeout=_ASKING)

    def delete(self, collection: str, keys: Sequence[str]) -> None:
        """Takes rows away, those that are there."""
        for start in range(0, len(keys), _KEYS):
            with self._translated():
                self._client.delete(collection, ids=list(keys[start : start + _KEYS]), timeout=_ASKING)


_FIELDS = ("key", "session", "seq", "content", "text", "vector")


def _details(error: Any) -> Any:
    details = getattr(error, "details", None)
    return details() if callable(details) else details


def within(prefix: str, low: str | None = None) -> str:
    """The filter for keys that begin with a prefix, which ends with a slash, and lie above ``low``."""
    return f'key > "{prefix if low is None else low}" and key < "{prefix[:-1]}0"'


def _listed(texts: Sequence[str]) -> str:
    return "[" + ", ".join(f'"{text}"' for text in texts) + "]"


def contents_in(contents: Sequence[str]) -> str:
    """The filter for rows of these contents."""
    return f"content in {_listed(contents)}"
