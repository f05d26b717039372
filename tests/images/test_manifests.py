"""What IIIF manifests name, and where they may lead."""

import json

import pytest

from camseek.errors import ManifestError
from camseek.images import manifests
from camseek.images.iiif import canvases, looks_like_manifest, read_manifest


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"items": 3}',
        b'{"items": [null, 1, {"items": [[]]}]}',
        b'{"sequences": [{}]}',
        b'{"type": "Manifest", "items": [null, 1, {"items": [[]]}]}',
        b'{"@type": "sc:Manifest", "sequences": [{}]}',
        b'{"type": ["Manifest"]}',
    ],
)
def test_what_is_no_manifest_or_has_no_picture(content):
    with pytest.raises(ManifestError):
        canvases(content)


def test_too_many_pictures():
    canvas = {"images": [{"resource": {"@id": "http://h/a"}}]}
    manifest = {"@type": "sc:Manifest", "sequences": [{"canvases": [canvas] * 10_001}]}
    with pytest.raises(ManifestError, match="more than 10,000"):
        read_manifest(json.dumps(manifest).encode())


def test_collections_of_both_versions():
    three = {"type": "Collection", "items": [{"id": "http://h/3", "type": "Manifest"}, {"id": "http://h/x"}]}
    two = {
        "@type": "sc:Collection",
        "manifests": [{"@id": "http://h/2", "@type": "sc:Manifest"}],
        "collections": [{"@id": "http://h/c", "@type": "sc:Collection"}, 3],
        "members": [{"@id": "http://h/m", "@type": "sc:Manifest"}, {"@type": "sc:Manifest"}],
    }
    assert read_manifest(json.dumps(three).encode()).others == ("http://h/3",)
    assert read_manifest(json.dumps(two).encode()).others == ("http://h/2", "http://h/c", "http://h/m")


def test_pages_are_no_manifests():
    assert looks_like_manifest(b'\xef\xbb\xbf\n {"type"')
    assert not looks_like_manifest(b"<!doctype html>")
    assert not looks_like_manifest(b"")


@pytest.mark.parametrize(
    ("old", "new", "leads"),
    [
        ("93.184.216.34", "1.1.1.1", True),
        ("93.184.216.34", "10.0.0.7", False),
        ("93.184.216.34", "127.0.0.1", False),
        ("10.0.0.5", "192.168.1.9", True),
        ("10.0.0.5", "127.0.0.1", False),
        ("10.0.0.5", "169.254.169.254", False),
        ("127.0.0.1", "10.0.0.5", False),
        ("10.0.0.5", "::1", False),
        ("93.184.216.34", "never-there.invalid", True),
        ("never-there.invalid", "10.0.0.5", False),
    ],
)
def test_a_server_of_the_outer_world_sends_nobody_inside(monkeypatch, old, new, leads):
    def resolve(host, port):
        if host.endswith(".invalid"):
            raise OSError("not known")
        return [(0, 0, 0, "", (host, 0))]

    monkeypatch.setattr(manifests.socket, "getaddrinfo", resolve)
    assert manifests.may_lead(old, new) is leads
