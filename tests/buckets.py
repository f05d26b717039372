"""An object storage of this machine: moto's S3, and files that a server of the web lists."""

import html
import http.server
import itertools
import json
import threading
from contextlib import contextmanager
from urllib.parse import parse_qs, quote, unquote

import boto3
from moto.server import ThreadedMotoServer


class Storage:
    """Buckets of one server."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="a-key",
            aws_secret_access_key="a-secret",
        )

    def bucket(self, name, files=()):
        """A new bucket of some files."""
        self.client.create_bucket(Bucket=name)
        for key, content in dict(files).items():
            self.put(name, key, content)
        return f"s3://{name}"

    def put(self, bucket, key, content):
        self.client.put_object(Bucket=bucket, Key=key, Body=content)

    def delete(self, bucket, key):
        self.client.delete_object(Bucket=bucket, Key=key)

    def environment(self):
        """What drivers read of the environment."""
        return {
            "AWS_ACCESS_KEY_ID": "a-key",
            "AWS_SECRET_ACCESS_KEY": "a-secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }


@contextmanager
def storage():
    """A server of S3's that keeps everything in memory."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield Storage("http://{}:{}".format(*server.get_host_and_port()))
    finally:
        server.stop()


@contextmanager
def google(objects):
    """A server that answers as Google's storage does: lists of two objects a page, single objects, contents.

    Args:
        objects: Contents by bucket and name, ``bucket/photos/a.jpg``; they may change.
    """
    began = itertools.count(1)
    generations = {}

    def told(name, content):
        if generations.get(name, (None, 0))[0] != content:
            generations[name] = content, next(began)
        bucket, _, key = name.partition("/")
        generation = generations[name][1]
        written = f"2026-01-02T03:04:{generation % 60:02}.123Z"
        return {
            "kind": "storage#object",
            "bucket": bucket,
            "name": key,
            "size": str(len(content)),
            "generation": str(generation),
            "etag": f"tag-{generation}",
            "timeCreated": written,
            "updated": written,
        }

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            place, _, query = self.path.partition("?")
            asked = {key: values[-1] for key, values in parse_qs(query).items()}
            content = place.startswith("/download/")
            bucket, _, rest = place.partition("/storage/v1/b/")[2].partition("/o")
            name = f"{bucket}/{unquote(rest[1:])}"
            if not any(item.startswith(f"{bucket}/") for item in objects):
                self.answer(404, {"error": {"code": 404, "message": "The specified bucket does not exist."}})
            elif not rest:
                self.answer(200, self.listed(bucket, asked))
            elif name not in objects:
                self.answer(404, {"error": {"code": 404, "message": f"No such object: {name}"}})
            elif content:
                first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
                self.answer(206, objects[name][int(first) : int(last) + 1 if last else None])
            else:
                self.answer(200, told(name, objects[name]))

        def listed(self, bucket, asked):
            start = f"{bucket}/{asked.get('prefix', '')}"
            names = sorted(item for item in objects if item.startswith(start))
            at = int(asked.get("pageToken", 0))
            page = {
                "kind": "storage#objects",
                "items": [told(name, objects[name]) for name in names[at : at + 2]],
            }
            return page | ({"nextPageToken": str(at + 2)} if at + 2 < len(names) else {})

        def answer(self, status, value):
            body = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with _served(Handler) as address:
        yield address


@contextmanager
def _served(handler):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def shelves(files, *, answers=None):
    """A server of the web: files by their paths, and a page of links of every folder.

    Args:
        files: Contents by path, ``/photos/a.jpg``.
        answers: Of a path what is done in the place of an answer: called with the handler.
    """
    answers = {} if answers is None else answers
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.answer(body=True)

        def do_HEAD(self):
            self.answer(body=False)

        def answer(self, *, body):
            path = unquote(self.path)
            asked.append((self.command, path))
            if path in answers:
                answers[path](self)
                return
            content = files.get(path) or self.page(path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            if path in files:
                self.send_header("ETag", f'"{hash(content)}"')
            self.end_headers()
            if body:
                self.wfile.write(content or b"")

        def page(self, folder):
            inner = {path[len(folder) :] for path in files if path.startswith(folder)}
            names = {name.partition("/")[0] + "/" * ("/" in name) for name in inner}
            if not folder.endswith("/") or not names:
                return None
            links = "".join(
                f'<li><a href="{html.escape(quote(name))}">{html.escape(name)}</a>' for name in sorted(names)
            )
            return f'<html><a href="../">up</a><a href="?C=N">by name</a><ul>{links}</ul>'.encode()

        def log_message(self, *_):
            pass

    with _served(Handler) as address:
        yield address, asked
