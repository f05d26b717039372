"""Searches over the API: pictures, uploads, forms, streams, what is taken away."""

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camseek.config import PARTS
from camseek.results import Outline, Verdict
from camseek.service.renders import Renders
from camseek.service.schema import SearchRecord
from served import events, scene, serving
from textures import png, texture

SEARCH = "/api/v1/collections/museum/search"


@pytest.fixture(scope="module")
def pictures(client):
    """The collection's pictures by name."""
    found = client.get("/api/v1/collections/museum/pictures").json()["pictures"]
    return {item["name"]: item for item in found}


def uploaded(client, content):
    return client.post("/api/v1/uploads", content=content, headers={"Content-Type": "image/png"})


class TestSearch:
    def test_an_upload_finds_what_shows_it_with_outline_and_verdict(self, client, pictures):
        told = uploaded(client, png(texture(3))).json()
        assert told["size"] == [320, 240]
        found = client.post(SEARCH, json={"query": [{"upload": told["id"]}], "without_self": False}).json()
        names = [hit["picture"]["name"] for hit in found["hits"]]
        assert set(names[:2]) == {"museum/hall/3.png", "museum/hall/scene.png"}
        [outline] = next(hit for hit in found["hits"] if "scene" in hit["picture"]["name"])["outlines"]
        assert outline["scale"] == pytest.approx(0.7, abs=0.02)
        assert [hit["verdict"]["verdict"] for hit in found["hits"][:2]] == ["present", "present"]
        assert found["final"]
        assert found["present"] == 2
        assert not found["not_here"]
        assert found["weak_from"] == 3
        assert found["query"] == [{"id": told["id"], "upload": True, "region": None, "size": [320, 240]}]

    def test_a_region_of_a_picture_of_the_collection(self, client, pictures):
        part = {"picture": pictures["museum/hall/scene.png"]["id"], "region": [60, 80, 380, 360]}
        found = client.post(SEARCH, json={"query": [part], "points": True}).json()
        assert found["hits"][0]["picture"]["name"] == "museum/hall/3.png"
        points = found["hits"][0]["outlines"][0]["matching_points"]
        assert len(points) > 10
        assert all(60 <= x <= 380 and 80 <= y <= 360 for x, y, _, _ in points)
        assert all(hit["picture"]["id"] != part["picture"] for hit in found["hits"])

    def test_what_is_not_there_is_said_to_be_not_here(self, client):
        told = uploaded(client, png(texture(77))).json()
        found = client.post(SEARCH, json={"query": [{"upload": told["id"]}]}).json()
        assert found["not_here"]
        assert found["weak_from"] == 1
        assert found["present"] == 0

    def test_a_form_with_the_picture_itself(self, client):
        files = [("picture", ("a.png", png(texture(3)))), ("picture", ("b.png", png(scene())))]
        data = {"region": ["", "60,80,380,360"], "options": json.dumps({"top": 3, "without_self": False})}
        found = client.post(SEARCH, files=files, data=data).json()
        assert len(found["hits"]) == 3
        assert [part["region"] for part in found["query"]] == [None, [60, 80, 380, 360]]

    @pytest.mark.parametrize(
        ("data", "word"),
        [
            ({"options": "{"}, "JSON"),
            ({"options": '{"query": []}'}, "query"),
            ({"region": ["1,2,3"]}, "region"),
            ({"region": ["", ""]}, "a region for each"),
        ],
    )
    def test_a_form_that_says_something_else(self, client, data, word):
        answer = client.post(SEARCH, files=[("picture", ("a.png", png(texture(3))))], data=data)
        assert answer.status_code == 422
        assert word in answer.json()["detail"]

    def test_stages_come_before_the_end(self, client, pictures):
        body = {"query": [{"picture": pictures["museum/hall/3.png"]["id"]}]}
        answer = client.post(SEARCH, json=body, headers={"Accept": "text/event-stream"})
        told = events(answer.text)
        assert [name for name, _ in told] == [*["stage"] * (len(told) - 1), "result"]
        assert len(told) > 2
        assert not told[0][1]["final"]
        assert len(told[0][1]["stages"]) == 1
        assert told[-1][1]["final"]
        once = client.post(SEARCH, json=body).json()
        assert [hit["score"] for hit in told[-1][1]["hits"]] == [hit["score"] for hit in once["hits"]]

    def test_what_fails_after_a_stream_began_is_an_event(self, client):
        body = {"query": [{"upload": "0" * 64}]}
        [(name, told)] = events(client.post(SEARCH, json=body, headers={"Accept": "text/event-stream"}).text)
        assert name == "problem"
        assert told["status"] == 404

    def test_how_much_hits_were_changed(self, client, pictures):
        """The scene has the texture turned by 25 degrees: (1 - cos 25) / 2 is 0.05; its look is the same."""
        told = uploaded(client, png(texture(3))).json()
        for part in ({"upload": told["id"]}, {"picture": pictures["museum/hall/3.png"]["id"]}):
            body = {"query": [part], "without_self": False}
            found = client.post(SEARCH, json={**body, "changes": True}).json()
            changes = {hit["picture"]["name"]: hit["change"] for hit in found["hits"]}
            assert changes["museum/hall/3.png"] < 0.01
            assert 0.04 < changes["museum/hall/scene.png"] < 0.2
            assert changes["museum/0.png"] is None
            assert all(hit["change"] is None for hit in client.post(SEARCH, json=body).json()["hits"])

    def test_near_copies_stand_under_the_first(self, client, tmp_path, stocked, model):
        from camseek import Engine

        with Engine.open(tmp_path / "c", model=model, create=True) as engine:
            retouched = texture(1)
            retouched[:2, :2] = 0
            engine.add({"one.png": png(texture(1)), "two.png": png(retouched), "other.png": png(texture(2))})
        with serving(tmp_path / "c", tmp_path / "state", model) as made:
            told = uploaded(made, png(texture(1))).json()
            body = {"query": [{"upload": told["id"]}], "without_self": False}
            found = made.post(SEARCH, json=body).json()
            first, other = found["hits"]
            [copy] = first["copies"]
            assert {first["picture"]["name"], copy["name"]} == {"one.png", "two.png"}
            assert (other["picture"]["name"], other["copies"]) == ("other.png", [])
            apart = made.post(SEARCH, json={**body, "fold": False}).json()
            assert [hit["copies"] for hit in apart["hits"]] == [[], [], []]

    def test_classes_are_attended_to(self, client, pictures):
        body = {"query": [{"picture": pictures["museum/hall/3.png"]["id"]}], "options": {"attend": [7, 9]}}
        found = client.post(SEARCH, json=body).json()
        assert [stage["stage"] for stage in found["stages"]] == ["ranking", "online"]
        body["options"]["attend"] = [5000]
        answer = client.post(SEARCH, json=body)
        assert answer.status_code == 422
        assert "class 5000" in answer.json()["detail"]

    @pytest.mark.parametrize(
        ("body", "status", "word"),
        [
            ({"query": []}, 422, "query"),
            ({"query": [{}]}, 422, "upload or a picture"),
            ({"query": [{"upload": "0" * 64}]}, 404, "upload it again"),
            ({"query": [{"picture": "0" * 64}]}, 404, "no such picture"),
            ({"query": [{"picture": "../etc"}]}, 422, "query.0.picture does not have the form"),
            ({"query": [{"upload": "0" * 64}], "top": 0}, 422, "top is 1 at least"),
            ({"query": [{"upload": "0" * 64}] * 40}, 422, "query has 40 parts, and may have 32"),
            (
                {"query": [{"upload": "0" * 64}], "options": {"first": "x"}},
                422,
                "descriptors, words or joined",
            ),
            ({"query": [{"upload": "0" * 64}], "what": 1}, 422, "what is not known here"),
            ({"query": [{"upload": "0" * 64, "region": [1, 2, 3]}]}, 422, "region"),
        ],
    )
    def test_what_is_no_search_is_a_problem(self, client, body, status, word):
        answer = client.post(SEARCH, json=body)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert word in json.dumps(answer.json())

    def test_a_region_outside_the_picture_says_so(self, client, pictures):
        part = {"picture": pictures["museum/hall/3.png"]["id"], "region": [0, 0, 999, 10]}
        answer = client.post(SEARCH, json={"query": [part]})
        assert answer.status_code == 422
        assert answer.json()["code"] == "region"
        assert "320 x 240" in answer.json()["detail"]

    def test_without_points_a_plan_that_needs_them_is_refused_by_name(self, tmp_path, model):
        from camseek import Engine

        with Engine.open(tmp_path / "c", model=model, create=True, without=PARTS) as engine:
            engine.add({"one.png": png(texture(1))})
        with serving(tmp_path / "c", tmp_path / "state", model) as made:
            told = uploaded(made, png(texture(1))).json()
            body = {"query": [{"upload": told["id"]}], "options": {"first": "words"}}
            answer = made.post(SEARCH, json=body)
            assert answer.status_code == 422
            assert "the collection museum keeps no points" in answer.json()["detail"]
            assert str(tmp_path) not in answer.text

    def test_no_answer_names_a_place_of_the_server(self, client, pictures, stocked):
        body = {"query": [{"picture": pictures["museum/hall/3.png"]["id"]}], "points": True}
        kinds = ("csv", "json", "annotations", "html")
        paths = ("", "/museum", "/museum/pictures", "/museum/folders", "/museum/skipped")
        exports = [client.post(f"{SEARCH}/export?format={kind}", json=body) for kind in kinds]
        lists = [client.get(f"/api/v1/collections{path}") for path in paths]
        for answer in (client.post(SEARCH, json=body), *exports, *lists):
            assert answer.status_code == 200
            assert str(stocked[1].parent) not in answer.text


class TestUploads:
    def test_what_is_no_picture_is_refused(self, client):
        for content, code in (
            (b"", "empty"),
            (b"hello", "not_a_picture"),
            (png(texture(1))[:300], "damaged"),
        ):
            answer = uploaded(client, content)
            assert answer.json()["code"] == code
            assert answer.status_code in (400, 422)
        small = io.BytesIO()
        Image.new("RGB", (8, 8)).save(small, "PNG")
        assert uploaded(client, small.getvalue()).json()["code"] == "too_small"

    def test_it_is_seen_again_upright_and_small(self, client, monkeypatch):
        wide = np.zeros((100, 3000, 3), np.uint8)
        told = uploaded(client, png(wide)).json()
        answer = client.get(f"/api/v1/uploads/{told['id']}/view?side=640")
        assert Image.open(io.BytesIO(answer.content)).size == (640, 21)
        with monkeypatch.context() as patched:  # it is not decoded again
            patched.setattr(Renders, "read", None)
            assert client.get(f"/api/v1/uploads/{told['id']}").json() == told
        assert client.get(f"/api/v1/uploads/{told['id']}/view?side=641").status_code == 422
        assert client.get(f"/api/v1/uploads/{'1' * 64}").status_code == 404

    def test_one_that_is_kept_is_there_after_a_restart(self, stocked, tmp_path, model):
        with serving(stocked[0], tmp_path, model) as made:
            kept, held = (uploaded(made, png(texture(seed))).json() for seed in (3, 4))
            assert not kept["kept"]
            assert made.post(f"/api/v1/uploads/{kept['id']}/keep").json()["kept"]
        with serving(stocked[0], tmp_path, model) as made:
            found = made.post(SEARCH, json={"query": [{"upload": kept["id"]}]}).json()
            assert found["hits"][0]["picture"]["name"] == "museum/hall/scene.png"
            assert made.get(f"/api/v1/uploads/{held['id']}").status_code == 404


class TestExports:
    def test_a_table(self, client, pictures):
        body = {"query": [{"picture": pictures["museum/hall/3.png"]["id"]}], "top": 3}
        answer = client.post(f"{SEARCH}/export?format=csv", json=body)
        rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
        assert len(rows) == 3
        assert rows[0]["name"] == "museum/hall/scene.png"
        assert rows[0]["verdict"] == "present"
        assert len(rows[0]["corners"].split()) == 4
        assert 'filename="museum-hits.csv"' in answer.headers["content-disposition"]

    def test_annotations_have_a_box_and_a_quadrilateral(self, client, pictures):
        body = {"query": [{"picture": pictures["museum/hall/3.png"]["id"]}], "top": 3}
        page = client.post(f"{SEARCH}/export?format=annotations", json=body).json()
        assert page["type"] == "AnnotationPage"
        [item] = page["items"]
        box, shape = item["target"]["selector"]
        assert box["value"].startswith("xywh=")
        assert shape["value"].count(",") >= 4
        assert client.get(item["target"]["source"]).headers["content-type"] == "image/jpeg"
        assert item["body"][0]["value"].startswith("present")

    def test_annotations_of_a_large_picture_are_of_its_view(self, tmp_path, model):
        from camseek import Engine

        large = np.zeros((1200, 3200, 3), np.uint8)
        large[300:780, 2400:3040] = np.kron(texture(3), np.ones((2, 2, 1), np.uint8))
        with Engine.open(tmp_path / "c", model=model, create=True) as engine:
            engine.add({"large.png": png(large), "other.png": png(texture(5))})
        with serving(tmp_path / "c", tmp_path / "state", model) as made:
            told = uploaded(made, png(texture(3))).json()
            page = made.post(
                f"{SEARCH}/export?format=annotations", json={"query": [{"upload": told["id"]}]}
            ).json()
        [item] = page["items"]
        assert item["target"]["source"].endswith("/view?side=1600")
        box = [
            float(value) for value in item["target"]["selector"][0]["value"].removeprefix("xywh=").split(",")
        ]
        assert box == pytest.approx([1200, 150, 320, 240], abs=8)

    def test_a_page_that_needs_nothing(self, client, pictures):
        body = {"query": [{"picture": pictures["museum/hall/3.png"]["id"]}], "top": 2}
        page = client.post(f"{SEARCH}/export?format=html", json=body).text
        assert page.startswith("<!doctype html>")
        assert "museum/hall/scene.png" in page
        assert "file://" not in page


class TestSchema:
    def test_every_field_of_results_is_told(self, client, pictures):
        """What ``to_json`` gains the schema must, too: it forbids what it does not know."""
        body = {"query": [{"picture": pictures["museum/hall/3.png"]["id"]}], "points": True}
        found = client.post(SEARCH, json=body).json()
        SearchRecord.model_validate(found)
        outline = found["hits"][0]["outlines"][0]
        assert set(outline) == set(Outline.__dataclass_fields__)
        verdict = Verdict(same=True, probability=1.0).to_json()
        assert set(found["hits"][0]["verdict"]) == set(verdict)


class TestDocs:
    def test_the_client_of_the_docs(self, tmp_path, model, capsys):
        from camseek import Engine

        root = Path(__file__).parents[2]
        text = (root / "docs" / "service.md").read_text("utf-8")
        [code] = re.findall(r"~~~python\n(.*?)~~~", text, re.DOTALL)
        with Engine.open(tmp_path / "c", model=model, create=True) as engine:
            engine.index(root / "examples" / "groceries" / "photos")
        with serving(tmp_path / "c", tmp_path / "state", model) as made:
            code = code.replace("http://127.0.0.1:8357", str(made.base_url).rstrip("/"))
            code = code.replace("/collections/demo/", "/collections/museum/")
            exec(code.replace("examples/", f"{root}/examples/"))
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 5
        assert lines[0].startswith("1 present photos/")
