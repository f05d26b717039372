"""What ``scale.sh`` cannot say in shell: fills a bucket, asks a service, and compares answers."""

import json
import secrets
import socket
import sys
import urllib.request
from pathlib import Path

_SCORES = 1e-4

Answer = dict[str, tuple[float, str]]


def upload(folder: str, address: str) -> None:
    """Puts the pictures of a folder into a new bucket."""
    import fsspec

    files = fsspec.filesystem("s3")
    place = address.removeprefix("s3://")
    files.mkdir(place.partition("/")[0])
    pictures = sorted(Path(folder).glob("*.jpg"))
    files.put([str(path) for path in pictures], [f"{place}/{path.name}" for path in pictures])
    print(f"{len(pictures)} pictures")


def ready(port: str) -> None:
    """Fails until a Milvus server answers."""
    from pymilvus import MilvusClient

    socket.create_connection(("127.0.0.1", int(port)), 1).close()
    MilvusClient(f"http://127.0.0.1:{port}", timeout=5).list_collections()


def indexed(report: str, count: str) -> None:
    """Fails unless an index run brought in so many pictures, and left none out."""
    told = json.loads(Path(report).read_text())
    if (told["added"], told["skipped"]) != (int(count), []):
        sys.exit(f"{told['added']} pictures came in, and were left out: {told['skipped']}")
    print(f"{told['added']} pictures, {told['encoded']} encoded, none left out")


def compare(one: str, other: str) -> None:
    """Fails unless two outputs of ``camseek search --json`` hold the same answers."""
    _same(_found(one), _found(other))


def serve(address: str, expected: str, *queries: str) -> None:
    """Fails unless a service answers queries as an output of ``camseek search --json`` does."""
    _same(_found(expected), [_asked(address, Path(query)) for query in queries])


def _found(report: str) -> list[Answer]:
    answers = json.loads(Path(report).read_text())["queries"]
    return [{_name(hit["path"]): _of(hit) for hit in answer["hits"]} for answer in answers]


def _asked(address: str, query: Path) -> Answer:
    border = secrets.token_hex(16)
    options = json.dumps({"top": 10, "without_self": False, "fold": False})
    parts = [
        f'--{border}\r\nContent-Disposition: form-data; name="options"\r\n\r\n{options}\r\n'.encode(),
        f'--{border}\r\nContent-Disposition: form-data; name="picture"; filename="q.jpg"\r\n\r\n'.encode(),
        query.read_bytes(),
        f"\r\n--{border}--\r\n".encode(),
    ]
    headers = {"Content-Type": f"multipart/form-data; boundary={border}", "X-Camseek": "example"}
    request = urllib.request.Request(f"{address}/search", b"".join(parts), headers)
    with urllib.request.urlopen(request, timeout=120) as answer:
        hits = json.loads(answer.read())["hits"]
    return {_name(hit["picture"]["name"]): _of(hit) for hit in hits}


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _of(hit: dict) -> tuple[float, str]:
    return hit["score"], hit["verdict"]["verdict"]


def _same(expected: list[Answer], given: list[Answer]) -> None:
    if len(expected) != len(given) or not all(expected):
        sys.exit(f"{len(given)} answers in the place of {len(expected)}, or empty ones")
    for one, other in zip(expected, given, strict=True):
        names = sorted(one.keys() ^ other.keys())
        worse = [
            f"{name}: {one[name]}, and {other[name]}"
            for name in one.keys() & other.keys()
            if abs(one[name][0] - other[name][0]) > _SCORES or one[name][1] != other[name][1]
        ]
        if names or worse:
            sys.exit(f"other answers than the folder's: {names} {worse}")
    print(f"{len(given)} queries, {sum(map(len, given))} hits: as the folder's, scores to {_SCORES:g}")


if __name__ == "__main__":
    verb, *given = sys.argv[1:]
    {item.__name__: item for item in (upload, ready, indexed, compare, serve)}[verb](*given)
