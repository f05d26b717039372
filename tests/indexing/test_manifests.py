"""IIIF manifests, and collections of manifests, as the roots of index runs."""

import json

import pytest

from buckets import shelves
from camseek import Engine
from camseek.cli import run
from camseek.errors import SourceError
from camseek.images import manifests
from camseek.store import open_collection


def canvas(address, **image):
    body = {"id": address, "type": "Image", "width": 64} | image
    annotation = {"type": "Annotation", "motivation": "painting", "body": body}
    return {"type": "Canvas", "items": [{"type": "AnnotationPage", "items": [annotation]}]}


def three(*addresses):
    """A manifest of version 3."""
    return json.dumps({"type": "Manifest", "items": [canvas(item) for item in addresses]}).encode()


def two(*addresses):
    """And one of version 2."""
    canvases = [{"images": [{"resource": {"@id": item}}]} for item in addresses]
    return json.dumps({"@type": "sc:Manifest", "sequences": [{"canvases": canvases}]}).encode()


def collection(*addresses):
    items = [{"id": item, "type": "Manifest"} for item in addresses]
    return json.dumps({"type": "Collection", "items": items}).encode()


@pytest.fixture
def library(encoded):
    """A server of pictures, manifests and whatever a test adds."""
    files = {f"/pictures/{number}": encoded(number) for number in range(4)}
    answers = {}
    with shelves(files, answers=answers) as (server, asked):
        yield server, files, answers, asked


def paths(engine):
    return sorted(engine.descriptors()[0])


@pytest.mark.parametrize("manifest", [three, two])
def test_a_manifest_is_kept_in_step(engine, library, encoded, manifest):
    server, files, _, asked = library
    pictures = [f"{server}/pictures/{number}" for number in range(4)]
    root = f"{server}/book/manifest.json"
    files["/book/manifest.json"] = manifest(*pictures[:3], pictures[0])
    assert engine.index(root).added == 3
    assert paths(engine) == pictures[:3], "names are the pictures' own addresses"
    [place] = engine.info().roots
    assert place == root.encode()

    asked.clear()
    again = engine.index(root)
    assert (again.unchanged, again.added, again.encoded, again.removed) == (3, 0, 0, 0)
    assert [path for method, path in asked if method == "GET" and "pictures" in path] == []

    files["/book/manifest.json"] = manifest(*pictures[1:])
    files["/pictures/1"] = encoded(9)
    last = engine.index(root)
    assert (last.added, last.changed, last.removed, last.unchanged) == (1, 1, 1, 1)
    assert paths(engine) == pictures[1:]
    # Every later step reads a picture again by its name.
    result = engine.search(pictures[1], boxes=True, views=True)
    assert result.hits[0].path == pictures[1]
    assert not isinstance(result.views[0], str)
    assert engine.collection.catalogue.check() == []


def test_image_services_and_what_is_no_picture(engine, library, encoded):
    server, files, answers, _ = library
    service = {"id": f"{server}/iiif/big", "type": "ImageService3"}
    secret = f"{server}/pictures/0?token=hush"
    items = [
        canvas(f"{server}/big.tif", width=9000, service=[service]),
        canvas(f"{server}/pictures/0.html"),
        canvas(secret),
        canvas("data:image/png;base64,AAAA"),
        canvas("http://me:hush@host/a.jpg"),
    ]
    files["/m.json"] = json.dumps({"type": "Manifest", "items": items}).encode()
    files["/iiif/big/full/1600,/0/default.jpg"] = encoded(5)
    files["/pictures/0.html"] = encoded(6)

    def no_head(handler):
        """Answers as some image servers do, which know GET alone."""
        content = encoded(5)
        handler.send_response(405 if handler.command == "HEAD" else 200)
        handler.send_header("ETag", '"5"')
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        if handler.command == "GET":
            handler.wfile.write(content)

    answers["/iiif/big/full/1600,/0/default.jpg"] = no_head
    report = engine.index(f"{server}/m.json")
    assert paths(engine) == [f"{server}/iiif/big/full/1600,/0/default.jpg", f"{server}/pictures/0.html"]
    told = {item.path.decode(): item.reason for item in report.skipped}
    assert set(told) == {f"{server}/pictures/0", f"{server}/m.json", "http://***@host/a.jpg"}
    assert "hush" not in str(told)
    assert engine.index(f"{server}/m.json").unchanged == 2
    assert engine.collection.catalogue.check() == []


def test_patterns_tell_pictures_by_their_addresses(engine, library):
    server, files, _, _ = library
    files["/m.json"] = three(f"{server}/pictures/0", f"{server}/pictures/1")
    assert engine.index(f"{server}/m.json", exclude=["**/pictures/0"]).added == 1
    assert paths(engine) == [f"{server}/pictures/1"]
    assert engine.index(f"{server}/m.json", exclude=()).added == 1
    report = engine.index(f"{server}/m.json", exclude=["127.0.0.1:*/pictures/1"])
    assert (report.removed, report.removal.reasons) == (1, {"excluded": 1})


def test_a_collection_of_manifests_and_one_that_fails(engine, library):
    server, files, answers, _ = library
    pictures = [f"{server}/pictures/{number}" for number in range(4)]
    files["/1.json"], files["/2.json"] = three(*pictures[:2]), two(*pictures[1:3])
    files["/inner"] = collection(f"{server}/2.json", f"{server}/all")
    files["/all"] = json.dumps(
        {
            "type": "Collection",
            "items": [
                {"id": f"{server}/1.json", "type": "Manifest"},
                {"id": f"{server}/inner", "type": "Collection"},
            ],
        }
    ).encode()
    assert engine.index(f"{server}/all").added == 3
    # Which pictures one names that does not come is not known: nothing leaves.
    answers["/2.json"] = lambda handler: handler.send_error(503)
    files["/1.json"] = three(pictures[3])
    report = engine.index(f"{server}/all", allow_removal=True)
    assert (report.added, report.removed) == (1, 0)
    assert [item.path.decode() for item in report.unknown] == [f"{server}/2.json"]
    del answers["/2.json"]
    assert engine.index(f"{server}/all").removed == 1
    assert paths(engine) == pictures[1:]


def test_what_two_manifests_name_stays_with_the_other(engine, library):
    server, files, _, _ = library
    pictures = [f"{server}/pictures/{number}" for number in range(4)]
    files["/1.json"], files["/2.json"] = three(*pictures[:2]), three(*pictures[1:])
    engine.index(f"{server}/1.json")
    engine.index(f"{server}/2.json")
    files["/2.json"] = three(*pictures[2:])
    assert engine.index(f"{server}/2.json").removed == 0
    assert paths(engine) == pictures
    files["/2.json"] = three(*pictures[1:])
    engine.index(f"{server}/2.json")
    assert engine.remove([f"{server}/1.json"], dry_run=True).files == (pictures[0].encode(),)
    report = engine.remove([f"{server}/1.json"])
    assert (report.files, report.unknown) == ((pictures[0].encode(),), ())
    assert [*engine.info().roots] == [f"{server}/2.json".encode()]
    assert paths(engine) == pictures[1:]
    assert engine.remove([f"{server}/2.json"]).removed == 3
    assert len(engine) == 0


def test_bounds_and_what_is_no_manifest(engine, library, monkeypatch):
    server, files, _, _ = library
    pictures = [f"{server}/pictures/{number}" for number in range(4)]
    files["/m.json"] = three(*pictures[:2])
    engine.index(f"{server}/m.json")
    for content, reason in (
        (b'{"pictures": []}', "no IIIF manifest"),
        (b'{"type": "Manifest", ', "no JSON"),
        (collection(*(f"{server}/{number}.json" for number in range(4))), "more than 3 manifests"),
        (three(*pictures), "or 3 pictures"),
        (three("http://a.invalid/1", "http://b.invalid/1"), "more than 2 servers"),
    ):
        monkeypatch.setattr(manifests, "_MANIFESTS", 3)
        monkeypatch.setattr(manifests, "_PICTURES", 3)
        monkeypatch.setattr(manifests, "_SERVERS", 2)
        files["/m.json"] = content
        with pytest.raises(SourceError, match=f"cannot be listed: .*{reason}"):
            engine.index(f"{server}/m.json", allow_removal=True)
    assert len(engine) == 2
    files["/m.json"] = three()
    report = engine.index(f"{server}/m.json")
    assert (report.held, report.removal.files) == (True, 2)
    files["/new.json"] = three()
    with pytest.raises(SourceError, match="holds no pictures"):
        engine.index(f"{server}/new.json")


def test_a_manifest_does_not_lead_into_this_machines_network(engine, library, monkeypatch):
    server, files, _, asked = library
    monkeypatch.setattr(manifests, "may_lead", lambda old, new: new == "museum.example")
    files["/m.json"] = three(f"{server}/pictures/0", server.replace("127.0.0.1", "localhost") + "/secret")
    report = engine.index(f"{server}/m.json")
    [skipped] = report.skipped
    assert (report.added, skipped.code) == (1, "not_permitted")
    assert "localhost" in skipped.reason
    assert ("HEAD", "/secret") not in asked


def test_the_command(library, tmp_path, capsys, model):
    server, files, _, _ = library
    files["/m.json"] = three(*(f"{server}/pictures/{number}" for number in range(2)))
    place = str(tmp_path / "c")
    words = ["index", f"{server}/m.json", "--collection", place, "--json"]
    assert run([*words, "--dry-run"]) == 0
    assert json.loads(capsys.readouterr().out)["added"] == 2
    assert run([*words, "--without", "points"]) == 0
    assert json.loads(capsys.readouterr().out)["added"] == 2
    with open_collection(place) as opened:
        found = opened.catalogue.pictures(opened.catalogue.records().tolist())
    assert all(picture.lengths for picture in found.values()), "they may be read again"
    with Engine.open(place, model=model) as engine:
        assert engine.info().roots[f"{server}/m.json".encode()].files == 2
