"""Pictures and IIIF manifests from other servers."""

import http.server
import json
import threading

import pytest

from camseek import Engine
from camseek.service.problems import ApiError
from camseek.service.remote import Remote
from served import ended, scene, serving
from textures import png, texture

MUSEUM = "/api/v1/collections/museum"


@pytest.fixture(scope="module")
def library():
    """A server with files, and what was asked of it."""
    files, asked = {}, []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            content = files.get(self.path.partition("?")[0])
            if isinstance(content, str):
                self.send_response(302)
                self.send_header("Location", content)
                self.end_headers()
                return
            self.send_response(404 if content is None else 200)
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}", files, asked
        server.shutdown()
        thread.join()


def manifest_3(base):
    def canvas(label, image):
        annotation = {"type": "Annotation", "motivation": "painting", "body": image}
        page = {"type": "AnnotationPage", "items": [annotation]}
        return {"type": "Canvas", "label": {"en": [label]}, "items": [page]}

    small = {"id": f"{base}/there.png", "type": "Image", "width": 480}
    service = {"id": f"{base}/iiif/big", "type": "ImageService3", "profile": "level1"}
    large = {"id": f"{base}/big.tif", "type": "Image", "width": 9000, "service": [service]}
    choice = {"type": "Choice", "items": [large, small]}
    return {
        "@context": "http://iiif.io/api/presentation/3/context.json",
        "type": "Manifest",
        "items": [
            canvas("The scene", small),
            canvas("Large / and wide", choice),
            canvas("", {"id": f"{base}/gone"}),
        ],
    }


def manifest_2(base):
    resource = {"@id": f"{base}/there.png", "width": 480}
    canvas = {"@type": "sc:Canvas", "label": [{"@value": "Seite 1"}], "images": [{"resource": resource}]}
    canvas["label"] = "Seite 1"
    return {"@type": "sc:Manifest", "sequences": [{"canvases": [canvas]}]}


@pytest.fixture
def served(library, stocked, tmp_path, model):
    host, files, _ = library
    base = f"http://{host}"
    files |= {"/there.png": png(scene()), "/iiif/big/full/1600,/0/default.jpg": png(texture(3))}
    files |= {
        "/3.json": json.dumps(manifest_3(base)).encode(),
        "/2.json": json.dumps(manifest_2(base)).encode(),
    }
    with Engine.open(tmp_path / "c", model=model, create=True) as engine:
        engine.add({"three.png": png(texture(3)), "four.png": png(texture(4))})
    with serving(tmp_path / "c", tmp_path / "state", model, remotes=(host,)) as client:
        yield client, base


def test_the_pictures_of_a_manifest_are_queries(served):
    client, base = served
    told = ended(
        client, client.post(f"{MUSEUM}/manifest", json={"url": f"{base}/3.json", "use": "batch"}).json()
    )
    rows = client.get(f"/api/v1/jobs/{told['id']}/table").json()
    assert [row["query"] for row in rows] == ["The scene", "Large / and wide", "canvas 3"]
    assert [row["verdict"] for row in rows[:2]] == [
        "present",
        "not shown",
    ]  # the second is the picture itself
    assert "404" in rows[2]["problem"] or "Not Found" in rows[2]["problem"]


def test_the_pictures_of_a_manifest_come_in(served):
    client, base = served
    told = ended(
        client, client.post(f"{MUSEUM}/manifest", json={"url": f"{base}/3.json", "use": "add"}).json()
    )
    assert (told["state"], told["report"]["added"], told["report"]["skipped_count"]) == ("done", 1, 1)
    names = [item["name"] for item in client.get(f"{MUSEUM}/pictures").json()["pictures"]]
    assert names == ["three.png", "four.png", "The scene.jpg"]
    told = ended(
        client, client.post(f"{MUSEUM}/manifest", json={"url": f"{base}/2.json", "use": "add"}).json()
    )
    assert (told["report"]["added"], told["report"]["unchanged"]) == (0, 1)


def test_a_picture_by_its_address(served):
    client, base = served
    told = client.post("/api/v1/uploads/remote", json={"url": f"{base}/there.png"})
    assert (told.status_code, told.json()["size"]) == (201, [480, 400])
    answer = client.post("/api/v1/uploads/remote", json={"url": f"{base}/none.png"})
    assert answer.json()["code"] == "remote"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/a",
        "http://localhost/a",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "ftp://127.0.0.1/a",
        "http://{host}@evil.example/a",
        "http://user:secret@{host}/a",
        "//a",
        "",
        "http://[::1",
    ],
)
def test_other_hosts_and_kinds_are_refused(served, library, url):
    client, _ = served
    answer = client.post("/api/v1/uploads/remote", json={"url": url.format(host=library[0])})
    assert answer.status_code in (403, 422)
    assert answer.json()["code"] == "remote"


def test_a_redirection_elsewhere_is_refused(library):
    host, files, asked = library
    files |= {"/away": "http://localhost:1/secret", "/near": f"http://{host}/target", "/target": b"here"}
    remote = Remote([host], 1000)
    assert remote.fetch(f"http://{host}/near") == b"here"
    with pytest.raises(ApiError, match=r"nothing is fetched from [a-z.:0-9]+$"):
        remote.fetch(f"http://{host}/away")
    files["/large"] = bytes(2000)
    with pytest.raises(ApiError, match="more than 1,000 bytes"):
        remote.fetch(f"http://{host}/large")
    assert "/secret" not in asked


@pytest.mark.parametrize("content", [b"{}", b'{"type": "Manifest", "items": []}'])
def test_what_is_no_manifest(served, library, content):
    client, base = served
    library[1]["/none.json"] = content
    answer = client.post(f"{MUSEUM}/manifest", json={"url": f"{base}/none.json", "use": "add"})
    assert (answer.status_code, answer.json()["code"]) == (422, "manifest")
    assert "IIIF manifest" in answer.json()["remedy"]
