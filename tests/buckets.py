"""An object storage of this machine: moto's S3, and files that a server of the web lists."""

import html
import http.server
import threading
from contextlib import contextmanager
from urllib.parse import quote, unquote

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

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()
