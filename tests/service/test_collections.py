"""Collections, their pictures, jobs and marks over the API."""

import csv
import io
import json
import os
import shutil
import threading
from base64 import urlsafe_b64encode

import pytest
from PIL import Image

from camseek import Engine
from camseek.service import jobs, shelf
from camseek.service.problems import ApiError
from camseek.service.routes import collections
from camseek.service.tables import Tables, read_table
from models import other_model
from served import ended, events, serving
from textures import png, texture

MUSEUM = "/api/v1/collections/museum"


def test_it_goes_on_while_the_collection_goes_over_to_another_network(own, tmp_path, model, monkeypatch):
    """The other one has no sketches to compare, and is found among the models that are here."""
    monkeypatch.setenv("CAMSEEK_MODELS", str(tmp_path / "models"))
    other = other_model(tmp_path / "models", sketch=False)
    client, _ = own
    picture = client.get(f"{MUSEUM}/pictures").json()["pictures"][0]["id"]
    query = {"query": [{"picture": picture}], "without_self": False, "top": 3}

    def searched():
        return client.post(f"{MUSEUM}/search", json=query)

    seen = []

    class Asking:
        def start(self, total):
            pass

        def step(self):
            if len(seen) < 2:
                seen.append(searched())

    before = searched()
    with Engine.open(tmp_path / "c", model=model, workers=2) as engine:
        engine.upgrade(other, progress=Asking())
        after = searched()
        engine.undo_upgrade()
        back = searched()
    answers = [before, *seen, after, back]
    assert len(answers) == 5
    assert [answer.status_code for answer in answers] == [200] * len(answers)
    first = [answer.json()["hits"][0]["picture"]["id"] for answer in answers]
    assert first == [picture] * len(answers)
    stages = [[stage["stage"] for stage in answer.json()["stages"]] for answer in (before, after, back)]
    assert stages[0] == stages[2]
    assert "late interaction" in stages[0]
    assert "late interaction" not in stages[1]


def test_its_network_is_not_here_any_more(own, tmp_path, model, monkeypatch):
    """Health tells it, and nobody where the collection lies."""
    monkeypatch.setenv("CAMSEEK_MODELS", str(tmp_path / "models"))
    place = other_model(tmp_path / "models")
    client, _ = own
    picture = client.get(f"{MUSEUM}/pictures").json()["pictures"][0]["id"]
    with Engine.open(tmp_path / "c", model=model, workers=2) as engine:
        engine.upgrade(place)
    shutil.rmtree(place)
    assert client.get("/api/v1/health").status_code == 503
    answer = client.post(f"{MUSEUM}/search", json={"query": [{"picture": picture}]})
    assert (answer.status_code, answer.json()["code"]) == (503, "model")
    with serving(tmp_path / "c", tmp_path / "other state", None) as stranger:
        for told in (stranger.get("/api/v1/health"), stranger.get(MUSEUM)):
            assert told.status_code == 503
            assert str(tmp_path) not in told.text


class TestPictures:
    def test_a_list_in_pages(self, client):
        page = client.get(f"{MUSEUM}/pictures?limit=3").json()
        assert (page["total"], page["offset"]) == (7, 0)
        last = client.get(f"{MUSEUM}/pictures?limit=5&after={page['next']}").json()
        assert (len(last["pictures"]), last["next"], last["offset"]) == (4, None, 3)
        assert client.get(f"{MUSEUM}/pictures?offset=6").json()["pictures"] == last["pictures"][3:]
        deep, endless = "[" * 9000, '[Infinity, "a", 1]'
        texts = ("[]", "null", '{"a": 1}', '[1, "a", null]', "[1, 2]", deep, endless, "x")
        for wrong in ("x", "a/b", *(urlsafe_b64encode(text.encode()).decode().rstrip("=") for text in texts)):
            assert client.get(f"{MUSEUM}/pictures?after={wrong}").status_code == 422

    @pytest.mark.parametrize("order", ["added", "newest", "name"])
    def test_what_leaves_meanwhile_moves_no_page(self, own, order):
        client, _ = own
        listed = client.get(f"{MUSEUM}/pictures?order={order}").json()["pictures"]
        first = client.get(f"{MUSEUM}/pictures?order={order}&limit=3").json()
        assert first["pictures"] == listed[:3]
        # One before the end of the page, and the very one that it ends with.
        for item in (listed[0], listed[2]):
            client.delete(f"{MUSEUM}/pictures/{item['id']}")
        rest = client.get(f"{MUSEUM}/pictures?order={order}&after={first['next']}").json()
        assert rest["pictures"] == listed[3:]
        assert rest["next"] is None

    def test_by_name_folder_and_text(self, client):
        def names(query):
            return [item["name"] for item in client.get(f"{MUSEUM}/pictures?{query}").json()["pictures"]]

        assert names("order=name")[:2] == ["museum/0.png", "museum/2.png"]
        assert names("folder=museum/hall&order=name")[-1] == "museum/hall/scene.png"
        assert names("text=SCENE") == ["museum/hall/scene.png"]
        assert names("order=newest") == names("")[::-1]
        assert client.get(f"{MUSEUM}/folders").json() == [
            {"name": "museum", "files": 7},
            {"name": "museum/hall", "files": 4},
        ]

    def test_by_the_dates_of_their_files(self, own):
        client, photos = own
        days = {"0.png": 3, "hall/3.png": 1, "2.png": 2}
        for name, day in days.items():
            os.utime(photos / name, (day * 86400, day * 86400))
        ended(client, client.post("/api/v1/jobs", json={"kind": "index", "collection": "museum"}).json())
        client.post(f"{MUSEUM}/pictures", files=[("files", ("given.png", png(texture(91))))])
        found = client.get(f"{MUSEUM}/pictures?order=oldest&limit=4").json()
        dated = [item for item in found["pictures"] if item["date"]]
        assert [(item["name"], item["date"]) for item in dated[:3]] == [
            ("museum/hall/3.png", "1970-01-02T00:00:00+00:00"),
            ("museum/2.png", "1970-01-03T00:00:00+00:00"),
            ("museum/0.png", "1970-01-04T00:00:00+00:00"),
        ]
        rest = client.get(f"{MUSEUM}/pictures?order=oldest&after={found['next']}").json()["pictures"]
        latest = client.get(f"{MUSEUM}/pictures?order=date").json()["pictures"]
        assert {item["id"] for item in latest} >= {item["id"] for item in rest}
        assert [item["name"] for item in latest if item in dated[:3]] == [
            "museum/0.png",
            "museum/2.png",
            "museum/hall/3.png",
        ]

    def test_what_was_skipped_is_text(self, client):
        [item] = client.get(f"{MUSEUM}/skipped").json()
        assert item["name"] == "museum/<b>bold.png"
        assert item["code"] == "not_a_picture"

    def test_thumbnails_are_kept_for_good(self, own):
        client, photos = own
        [item] = client.get(f"{MUSEUM}/pictures?text=scene").json()["pictures"]
        place = f"{MUSEUM}/pictures/{item['id']}"
        assert client.get(place).json()["present"]
        answer = client.get(f"{place}/thumbnail")
        assert max(Image.open(io.BytesIO(answer.content)).size) == 360
        assert "immutable" in answer.headers["cache-control"]
        part = client.get(f"{place}/thumbnail", headers={"Range": "bytes=0-9"})
        assert (part.status_code, part.content) == (206, answer.content[:10])
        (photos / "hall" / "scene.png").unlink()
        assert client.get(f"{place}/thumbnail").content == answer.content
        gone = client.get(f"{place}/view?side=640")
        assert gone.status_code == 410
        assert str(photos) not in gone.text
        assert not client.get(place).json()["present"]

    def test_a_view_tells_nothing_but_pixels(self, own):
        client, photos = own
        image, exif = Image.fromarray(texture(40)), Image.Exif()
        exif[0x010F] = "a secret place"
        image.save(photos / "with.jpg", exif=exif)
        ended(client, client.post("/api/v1/jobs", json={"kind": "index", "collection": "museum"}).json())
        [item] = client.get(f"{MUSEUM}/pictures?text=with.jpg").json()["pictures"]
        for kind in ("thumbnail", "view"):
            content = client.get(f"{MUSEUM}/pictures/{item['id']}/{kind}").content
            assert b"secret" not in content
            assert not Image.open(io.BytesIO(content)).getexif()

    def test_when_they_were_taken_is_told_where_that_is_allowed(self, stocked, tmp_path, model):
        photos = tmp_path / "trip"
        photos.mkdir()
        for number, year in enumerate((2019, 2017, None)):
            exif = Image.Exif()
            exif[0x010F] = "a secret place"
            if year:
                exif.get_ifd(0x8769)[0x9003] = f"{year}:05:04 17:03:00"
            Image.fromarray(texture(80 + number)).save(photos / f"{number}.jpg", exif=exif)
            os.utime(photos / f"{number}.jpg", (1.5e9 + number, 1.5e9 + number))  # July 2017
        with Engine.open(tmp_path / "c", model=model, create=True, workers=2) as engine:
            engine.index(photos)

        def told(**options):
            with serving(tmp_path / "c", tmp_path / "state", model, **options) as client:
                for job in client.get("/api/v1/jobs").json():
                    assert ended(client, job)["state"] == "done"
                answer = client.get(f"{MUSEUM}/pictures?order=oldest")
                assert "secret" not in answer.text
                return [(item["name"], item["taken"]) for item in answer.json()["pictures"]]

        assert told() == [("trip/0.jpg", None), ("trip/1.jpg", None), ("trip/2.jpg", None)]
        dated = [
            ("trip/1.jpg", "2017-05-04T17:03:00"),
            ("trip/2.jpg", None),
            ("trip/0.jpg", "2019-05-04T17:03:00"),
        ]
        assert told(dates=True, read_only=True) == dated
        assert told() == [("trip/0.jpg", None), ("trip/1.jpg", None), ("trip/2.jpg", None)]

    def test_another_file_in_its_place_is_not_shown(self, own):
        client, photos = own
        [item] = client.get(f"{MUSEUM}/pictures?text=scene").json()["pictures"]
        (photos / "hall" / "scene.png").write_bytes(png(texture(60)))
        answer = client.get(f"{MUSEUM}/pictures/{item['id']}/view")
        assert answer.status_code == 410
        assert "changed" in answer.json()["detail"]

    def test_what_is_not_there(self, client):
        assert client.get("/api/v1/collections/nothing").status_code == 404
        assert client.get(f"{MUSEUM}/pictures/{'0' * 64}").status_code == 404
        assert client.get(f"{MUSEUM}/pictures/..%2f..%2fetc").status_code in (404, 422)
        assert client.get("/api/v1/jobs/nothing").status_code == 404


class TestJobs:
    def test_a_folder_is_brought_in_line(self, own):
        client, photos = own
        (photos / "new.png").write_bytes(png(texture(70)))
        (photos / "0.png").unlink()
        asked = client.post("/api/v1/jobs", json={"kind": "index", "collection": "museum"})
        assert asked.status_code == 202
        told = ended(client, asked.json())
        assert told["state"] == "done"
        assert {key: told["report"][key] for key in ("added", "removed", "unchanged", "skipped_count")} == {
            "added": 1,
            "removed": 1,
            "unchanged": 6,
            "skipped_count": 1,
        }
        assert told["report"]["skipped"][0]["name"] == "museum/<b>bold.png"
        assert client.get(f"{MUSEUM}").json()["pictures"] == 7
        [last] = [item for name, item in events(client.get(f"/api/v1/jobs/{told['id']}/events").text)]
        assert last["state"] == "done"

    def test_uploads_come_in_once_and_bad_ones_are_listed(self, own):
        client, _ = own
        content = png(texture(80))
        for added, names in ((1, ["a.png", "b.txt"]), (0, ["a.png"])):
            files = [("files", (name, content if name == "a.png" else b"none")) for name in names]
            answer = client.post(f"{MUSEUM}/pictures", files=files)
            assert answer.status_code == 202
            told = ended(client, answer.json())
            assert (told["state"], told["report"]["encoded"]) == ("done", added)
        assert client.get(f"{MUSEUM}/pictures?text=a.png").json()["total"] == 1
        files = [("files", ("../../a.png", png(texture(81))))]
        ended(client, client.post(f"{MUSEUM}/pictures", files=files).json())
        found = client.get(f"{MUSEUM}/pictures?text=a").json()["pictures"]
        assert "a (2).png" in [item["name"] for item in found]

    def test_no_file_is_no_job(self, own):
        client, _ = own
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        assert client.post(f"{MUSEUM}/pictures", content=b"--b--\r\n", headers=headers).status_code in (
            400,
            422,
        )

    def test_a_folder_that_is_not_there_is_a_problem_of_the_job(self, own):
        client, photos = own
        body = {"kind": "index", "collection": "museum", "folder": str(photos / "none")}
        told = ended(client, client.post("/api/v1/jobs", json=body).json())
        assert told["state"] == "failed"
        assert told["problem"]["code"] == "source"

    def test_folders_are_named_by_owners_alone(self, stocked, tmp_path, model):
        with serving(stocked[0], tmp_path, model) as client:
            body = {"kind": "index", "collection": "museum", "folder": "/etc"}
            assert client.post("/api/v1/jobs", json=body).status_code == 403

    def test_one_that_waits_is_stopped_and_remembered(self, own, tmp_path):
        client, _ = own
        jobs = [
            client.post("/api/v1/jobs", json={"kind": kind, "collection": "museum"}).json()
            for kind in ("index", "enrich")
        ]
        stopped = client.delete(f"/api/v1/jobs/{jobs[1]['id']}").json()
        assert stopped["state"] in ("cancelled", "running", "done")
        assert ended(client, jobs[0])["state"] == "done"
        listed = client.get("/api/v1/jobs?collection=museum").json()
        assert [item["kind"] for item in listed] == ["enrich", "index"]

    def test_work_that_had_not_ended_is_taken_up_again(self, stocked, tmp_path, model):
        from camseek.service.house import House
        from camseek.service.settings import ServiceSettings

        settings = ServiceSettings(collections={"museum": str(stocked[0])}, state=tmp_path)
        killed = House(settings, model)
        job = killed.jobs
        waiting = job.ask  # asked for, and the process ends before it begins
        killed.jobs._put = lambda _: None
        made = waiting("index", "museum", {})
        killed.state.close()
        with serving(stocked[0], tmp_path, model) as client:
            assert ended(client, {"id": made.id})["state"] == "done"


class TestRemoval:
    def test_many_that_are_gone_are_held_until_they_are_let_go(self, tmp_path, photos, model):
        folder = photos(30)
        with Engine.open(tmp_path / "c", model=model, create=True, without=("points",)) as engine:
            engine.index(folder)
        for number in range(25):
            (folder / f"{number}.jpg").unlink()
        body = {"kind": "index", "collection": "museum"}
        with serving(tmp_path / "c", tmp_path / "state", model) as client:
            assert client.get(MUSEUM).json()["held"] == 0
            ended(client, client.post("/api/v1/jobs", json=body).json())
            assert [client.get(MUSEUM).json()[key] for key in ("pictures", "held")] == [30, 25]
            ended(client, client.post("/api/v1/jobs", json={**body, "allow_removal": True}).json())
            assert [client.get(MUSEUM).json()[key] for key in ("pictures", "held")] == [5, 0]

    def test_a_picture_leaves_by_all_its_names(self, own):
        client, _ = own
        [item] = client.get(f"{MUSEUM}/pictures?text=scene").json()["pictures"]
        answer = client.delete(f"{MUSEUM}/pictures/{item['id']}")
        assert answer.json() == {"removed": 1, "coming_back": 1, "job": None}
        assert client.get(f"{MUSEUM}/pictures?text=scene").json()["total"] == 0
        assert client.delete(f"{MUSEUM}/pictures/{item['id']}").status_code == 404

    def test_its_small_pictures_go_with_it(self, own, tmp_path):
        client, photos = own
        found = client.get(f"{MUSEUM}/pictures").json()["pictures"]
        for item in found[:3]:
            for kind in ("thumbnail", "view?side=640"):
                assert client.get(f"{MUSEUM}/pictures/{item['id']}/{kind}").status_code == 200
        client.delete(f"{MUSEUM}/pictures/{found[0]['id']}")
        (photos / found[1]["name"].removeprefix("museum/")).unlink()
        ended(client, client.post("/api/v1/jobs", json={"kind": "index", "collection": "museum"}).json())
        kept = {place.stem[:64] for place in (tmp_path / "state").rglob("*.jpg")}
        # The first one's file is still there: the update has brought it back, with a thumbnail.
        assert found[1]["id"] not in kept
        assert {found[0]["id"], found[2]["id"]} <= kept
        assert not list((tmp_path / "state").rglob(f"{found[0]['id']}-640.jpg"))

    def test_while_another_writes_it_is_done_later(self, own, tmp_path, model, monkeypatch):
        monkeypatch.setattr(jobs, "_BUSY", 0.02)
        monkeypatch.setattr(collections, "_PATIENCE", 0.1)
        client, _ = own
        [item] = client.get(f"{MUSEUM}/pictures?text=scene").json()["pictures"]
        with Engine.open(tmp_path / "c", model=model) as engine, engine.collection.write("camseek index"):
            answer = client.delete(f"{MUSEUM}/pictures/{item['id']}")
            assert (answer.status_code, answer.json()["job"]["kind"]) == (202, "remove")
        assert ended(client, answer.json()["job"])["report"] == {"removed": 1, "coming_back": 1}
        assert client.get(f"{MUSEUM}/pictures?text=scene").json()["total"] == 0


class TestFolders:
    def test_those_that_are_allowed_are_added_by_name_and_no_others(self, stocked, tmp_path, model):
        allowed, secret = tmp_path / "pictures", tmp_path / "secret"
        for place in (allowed / "more" / "deep", allowed / ".hidden", secret):
            place.mkdir(parents=True)
        (allowed / "away").symlink_to(secret)
        (allowed / "more" / "a.png").write_bytes(png(texture(95)))
        Engine.open(tmp_path / "c", model=model, create=True).close()
        body = {"kind": "index", "collection": "museum"}
        with serving(tmp_path / "c", tmp_path / "state", model, folders=(allowed,)) as client:
            assert client.get("/api/v1/session").json()["folders"]
            place = "/api/v1/folders"
            assert client.get(place).json()["folders"] == ["pictures"]
            inside = client.get(f"{place}?name=pictures").json()["folders"]
            assert inside == ["pictures/away", "pictures/more"]
            for wrong in (
                *("pictures/away", "pictures/.hidden", "pictures/..", "pictures/../secret", str(secret)),
                *("pictures/more/a.png", "secret", "pictures/\0", "pictures//more"),
            ):
                assert client.get(place, params={"name": wrong}).status_code == 404
                answer = client.post("/api/v1/jobs", json={**body, "folder": wrong})
                assert (answer.status_code, answer.json()["code"]) == (404, "no_folder")
            told = ended(client, client.post("/api/v1/jobs", json={**body, "folder": "pictures/more"}).json())
            assert (told["state"], told["report"]["added"]) == ("done", 1)
            assert client.get(f"{MUSEUM}/pictures").json()["pictures"][0]["name"] == "more/a.png"

    def test_without_any_there_are_none(self, client):
        assert not client.get("/api/v1/session").json()["folders"]
        assert client.get("/api/v1/folders").json()["folders"] == []
        body = {"kind": "index", "collection": "museum", "folder": "pictures"}
        assert client.post("/api/v1/jobs", json=body).status_code == 403


class TestMarks:
    def test_they_are_kept_undone_and_taken_away(self, own):
        client, _ = own
        found = {item["name"]: item["id"] for item in client.get(f"{MUSEUM}/pictures").json()["pictures"]}
        query = [{"picture": found["museum/hall/3.png"], "region": [0, 0, 200, 200]}]
        scene, other = found["museum/hall/scene.png"], found["museum/0.png"]
        for picture, mark in ((scene, "right"), (other, "wrong"), (other, None)):
            answer = client.put(f"{MUSEUM}/marks", json={"query": query, "picture": picture, "mark": mark})
            assert answer.json() == {"mark": mark, "region": None}
        hits = client.post(f"{MUSEUM}/search", json={"query": query}).json()["hits"]
        assert {hit["picture"]["id"]: hit["mark"] for hit in hits}[scene] == "right"
        [mark] = client.get(f"{MUSEUM}/marks").json()
        assert (mark["id"], mark["mark"], mark["query"][0]["region"]) == (scene, "right", [0, 0, 200, 200])
        table = client.get(f"{MUSEUM}/marks?format=csv").text.splitlines()
        assert table[1].endswith(f"right,{mark['at']},,,,")
        again = client.post(f"{MUSEUM}/search", json={"query": [{"picture": query[0]["picture"]}]}).json()
        assert {hit["mark"] for hit in again["hits"]} == {None}
        nothing = {"query": query, "picture": "0" * 64, "mark": "right"}
        assert client.put(f"{MUSEUM}/marks", json=nothing).status_code == 404

    def test_one_that_was_missed_is_drawn_by_hand(self, own):
        client, _ = own
        found = {item["name"]: item["id"] for item in client.get(f"{MUSEUM}/pictures").json()["pictures"]}
        body = {"query": [{"picture": found["museum/hall/3.png"]}], "top": 1}
        missed, hit = found["museum/0.png"], found["museum/hall/scene.png"]
        asked = {"query": body["query"], "mark": "right"}
        for region in ([0, 0, 400, 10], [5, 5, 5, 9], [-1, 0, 9, 9]):
            answer = client.put(f"{MUSEUM}/marks", json={**asked, "picture": missed, "region": region})
            assert (answer.status_code, answer.json()["code"]) == (422, "region"), region
        wrong = {**asked, "picture": missed, "region": [0, 0, 9, 9], "mark": "wrong"}
        assert client.put(f"{MUSEUM}/marks", json=wrong).status_code == 422
        for picture, region in ((missed, [10, 20, 100, 200]), (hit, [60, 80, 380, 360])):
            told = client.put(f"{MUSEUM}/marks", json={**asked, "picture": picture, "region": region}).json()
            assert told == {"mark": "right", "region": region}
        answer = client.post(f"{MUSEUM}/search", json=body).json()
        assert [item["picture"]["id"] for item in answer["hits"]] == [hit]
        assert answer["hits"][0]["marked_region"] == [60, 80, 380, 360]
        [item] = answer["missed"]
        assert (item["picture"]["id"], item["region"]) == (missed, [10, 20, 100, 200])
        marks = list(
            csv.DictReader(io.StringIO(client.get(f"{MUSEUM}/marks?format=csv").text.lstrip("\ufeff")))
        )
        assert {row["id"]: [row[key] for key in ("x1", "y1", "x2", "y2")] for row in marks}[missed] == [
            *("10", "20", "100", "200")
        ]
        export = client.post(f"{MUSEUM}/search/export", json=body).content.decode("utf-8-sig")
        row = list(csv.DictReader(io.StringIO(export)))[-1]
        assert (row["rank"], row["id"], row["mark"], row["x2"], row["scored_by"]) == (
            *("", missed, "right", "100", "by hand"),
        )
        page = client.post(f"{MUSEUM}/search/export?format=annotations", json=body).json()
        by_hand = [item for item in page["items"] if item["id"].endswith("#by-hand")]
        assert {item["target"]["selector"][0]["value"] for item in by_hand} == {
            *("xywh=10,20,90,180", "xywh=60,80,320,280"),
        }
        client.put(f"{MUSEUM}/marks", json={**asked, "picture": missed, "mark": None})
        assert client.post(f"{MUSEUM}/search", json=body).json()["missed"] == []


class TestHealth:
    def test_a_collection_that_is_missing_is_said_and_tried_again(self, tmp_path, model, monkeypatch):
        monkeypatch.setattr("camseek.service.shelf._AGAIN", 0.0)
        with serving(tmp_path / "c", tmp_path / "state", model) as client:
            answer = client.get("/api/v1/health")
            assert answer.status_code == 503
            [told] = answer.json()["collections"]
            assert (told["code"], told["reason"]) == ("no_collection", "there is no collection there")
            asked = client.get(MUSEUM)
            assert asked.status_code == 503
            assert str(tmp_path) not in asked.text
            [listed] = client.get("/api/v1/collections").json()
            assert (listed["name"], listed["problem"]["code"]) == ("museum", "no_collection")
            Engine.open(tmp_path / "c", model=model, create=True).close()
            assert client.get("/api/v1/health").json()["status"] == "ok"
            assert client.get(MUSEUM).json()["pictures"] == 0

    def test_one_that_takes_long_to_open_holds_nobody(self, stocked, tmp_path, model, monkeypatch):
        let, real = threading.Event(), Engine.open

        def hangs(*given, **more):
            assert let.wait(60)
            return real(*given, **more)

        monkeypatch.setattr(shelf, "_OPENING", 0.1)
        monkeypatch.setattr(Engine, "open", hangs)
        monkeypatch.setattr(jobs, "_BUSY", 0.02)
        with serving(stocked[0], tmp_path, model) as client:
            asked = client.get(MUSEUM)
            assert (asked.status_code, asked.json()["code"]) == (503, "opening")
            assert asked.headers["retry-after"] == "5"
            assert client.get("/api/v1/health").json()["collections"][0]["code"] == "opening"
            job = client.post("/api/v1/jobs", json={"kind": "index", "collection": "museum"}).json()
            let.set()
            assert ended(client, job)["state"] == "done"
            assert client.get("/api/v1/health").json()["status"] == "ok"

    def test_numbers(self, client):
        client.get(MUSEUM)
        text = client.get("/metrics").text
        assert 'camseek_pictures{collection="museum"} 7.0' in text

    def test_the_openapi_text_names_every_address(self, client):
        text = client.get("/api/v1/openapi.json").json()
        assert "/api/v1/collections/{name}/search" in text["paths"]
        assert "SearchRequest" in text["components"]["schemas"]
        assert "file://" not in json.dumps(text)

    def test_classes_by_name(self, client):
        found = client.get("/api/v1/classes?collection=museum&text=teapot").json()
        assert found == [{"id": 849, "name": "teapot"}]


class TestSurveys:
    def test_many_queries_and_their_table(self, client):
        files = [
            ("files", ("there.png", png(texture(3)))),
            ("files", ("absent.png", png(texture(77)))),
            ("files", ("=none.txt", b"none")),
        ]
        told = ended(client, client.post(f"{MUSEUM}/batch/files", files=files).json())
        assert (told["kind"], told["state"], told["done"]) == ("batch", "done", 3)
        assert told["report"] == {"queries": 3, "present": 1, "failed": 1}
        place = f"/api/v1/jobs/{told['id']}/table"
        rows = client.get(place).json()
        assert [row["verdict"] for row in rows] == ["present", "not shown", None]
        assert rows[0]["hits"][0]["name"] == "museum/hall/scene.png"
        assert rows[2]["problem"] == "it is text"
        table = list(
            csv.DictReader(io.StringIO(client.get(f"{place}?format=csv").content.decode("utf-8-sig")))
        )
        assert table[0]["query"] == "there.png"
        assert table[-1]["query"] == "'=none.txt"

    def test_queries_of_the_collections_own_pictures(self, client):
        [scene] = client.get(f"{MUSEUM}/pictures?text=scene").json()["pictures"]
        query = {"name": "the scene", "query": [{"picture": scene["id"], "region": [60, 80, 380, 360]}]}
        body = {"queries": [query], "top": 2}
        told = ended(client, client.post(f"{MUSEUM}/batch", json=body).json())
        [row] = client.get(f"/api/v1/jobs/{told['id']}/table").json()
        assert [hit["verdict"] for hit in row["hits"]] == ["present", "not shown"]
        assert client.post(f"{MUSEUM}/batch", json={"queries": []}).status_code == 422

    def test_groups_of_what_shows_the_same(self, client):
        assert client.get(f"{MUSEUM}/groups").json() == []
        told = ended(
            client, client.post("/api/v1/jobs", json={"kind": "groups", "collection": "museum"}).json()
        )
        assert told["report"] == {"groups": 1, "pictures": 2}
        [group] = client.get(f"{MUSEUM}/groups").json()
        names = {item["name"] for item in group["pictures"]}
        assert (group["size"], names) == (2, {"museum/hall/3.png", "museum/hall/scene.png"})
        assert client.get(f"{MUSEUM}/groups/{group['id']}").json() == group
        assert client.get(f"{MUSEUM}/groups?after={group['id']}").json() == []
        assert client.get(f"{MUSEUM}/groups/{'0' * 64}").status_code == 404

    def test_where_the_network_looks(self, client):
        [scene] = client.get(f"{MUSEUM}/pictures?text=scene").json()["pictures"]
        place = f"{MUSEUM}/pictures/{scene['id']}/heat"
        for query in ("", "?classes=1,2"):
            answer = client.get(place + query)
            assert answer.headers["content-type"] == "image/png"
            assert Image.open(io.BytesIO(answer.content)).size[0] > 10
        assert client.get(f"{place}?classes=9999").status_code == 422
        assert client.get(f"{place}?classes=a").status_code == 422


class TestTables:
    def test_what_a_column_says_groups_filters_and_leads_somewhere(self, own):
        client, _ = own
        rows = "file,artist,number\n0.png,Anna,a/1 ?\n1.png,Ben,\n2.png,Anna,3\n"
        client.put(f"{MUSEUM}/table", content=rows.encode())
        assert client.get(MUSEUM).json()["columns"] == ["artist", "number"]
        told = client.get(f"{MUSEUM}/table/values?column=artist").json()
        assert [(item["value"], item["pictures"]) for item in told] == [("", 4), ("Anna", 2), ("Ben", 1)]
        assert client.get(f"{MUSEUM}/table/values?column=artist&limit=1").json() == told[:1]

        def listed(query):
            return [
                item["name"]
                for item in client.get(f"{MUSEUM}/pictures?order=name&{query}").json()["pictures"]
            ]

        assert listed("column=artist&value=Anna") == ["museum/0.png", "museum/2.png"]
        assert listed("column=artist&value=Ann") == []
        assert len(listed("column=artist&value=")) == 4
        assert listed("column=artist&value=Anna&text=2.png") == ["museum/2.png"]
        links = {"number": "https://museum.example/o/{number}?by={artist}"}
        told = client.put(f"{MUSEUM}/table/links", json={"links": links}).json()
        assert told["links"] == links
        found = {item["name"]: item["links"] for item in client.get(f"{MUSEUM}/pictures").json()["pictures"]}
        assert found["museum/0.png"] == {"number": "https://museum.example/o/a%2F1%20%3F?by=Anna"}
        assert found["museum/hall/1.png"] == {}
        assert found["museum/hall/3.png"] is None
        # A fresh look at the disk has them, and another table keeps those of the columns that it has.
        fresh = Tables(own[1].parent / "state")
        [place] = (own[1].parent / "state" / ".tables").glob("*.csv")
        assert fresh[place.stem].links == links
        told = client.put(f"{MUSEUM}/table", content=b"file,number\n0.png,7\n").json()
        assert told["links"] == {}
        assert client.delete(f"{MUSEUM}/table").status_code == 204
        assert client.get(f"{MUSEUM}/table").json()["links"] == {}
        assert client.get(f"{MUSEUM}/table/values?column=artist").status_code == 404

    @pytest.mark.parametrize(
        "template",
        [
            "javascript:alert({a})",
            "https://{a}/",
            "https://museum.example{a}",
            "https://me@museum.example/{a}",
            "https://museum.example/{b}",
            "https://museum.example/ {a}",
            "//museum.example/{a}",
            "https://museum.example\\@evil.example/{a}",
            "https://museum.example/" + "{a}" * 400,
            "",
        ],
    )
    def test_what_a_column_cannot_lead_to(self, template):
        with pytest.raises(ApiError):
            read_table(b"file,a\n0.png,1\n").with_links({"a": template})

    def test_a_file_of_links_that_is_none_of_ours(self, tmp_path):
        tables = Tables(tmp_path)
        tables.put("key", read_table(b"file,a\n0.png,1\n"), b"file,a\n0.png,1\n")
        for content in ("[", "[1]", '{"a": 1}', '{"b": "https://x.example/"}', '{"a": "javascript:1"}'):
            (tmp_path / ".tables" / "key.links.json").write_text(content)
            assert Tables(tmp_path)["key"].links == {}

    def test_what_is_known_of_pictures_is_told_and_searched(self, own):
        client, _ = own
        place = f"{MUSEUM}/table"
        text = (
            "\ufefftitle;File;licence\nThe scene;hall/scene.png;CC0\n<b>Zero</b>;0.png;\nNobody;none.png;x\n"
        )
        assert client.put(place, content=text.encode()).json() == {
            "columns": ["title", "licence"],
            "rows": 3,
            "matched": 2,
            "ambiguous": [],
            "links": {},
        }
        [item] = client.get(f"{MUSEUM}/pictures?text=the SCENE").json()["pictures"]
        assert (item["name"], item["columns"]) == (
            "museum/hall/scene.png",
            {"title": "The scene", "licence": "CC0"},
        )
        [item] = client.get(f"{MUSEUM}/pictures?text=zero").json()["pictures"]
        assert item["columns"] == {"title": "<b>Zero</b>"}
        assert client.delete(place).status_code == 204
        assert client.get(place).json() == {
            "columns": [],
            "rows": 0,
            "matched": 0,
            "ambiguous": [],
            "links": {},
        }
        assert client.get(f"{MUSEUM}/pictures?text=zero").json()["total"] == 0

    def test_a_name_that_is_in_two_folders_says_nothing_of_either(self, own):
        client, photos = own
        (photos / "hall" / "0.png").write_bytes(png(texture(90)))
        ended(client, client.post("/api/v1/jobs", json={"kind": "index", "collection": "museum"}).json())
        told = client.put(f"{MUSEUM}/table", content=b"file,artist\n0.png,Anna\n1.png,Ben\n").json()
        assert (told["matched"], told["ambiguous"]) == (1, ["0.png"])
        assert client.get(f"{MUSEUM}/pictures?text=anna").json()["total"] == 0
        client.put(f"{MUSEUM}/table", content=b"file,artist\n0.png,Anna\nhall/0.png,Ben\n")
        [item] = client.get(f"{MUSEUM}/pictures?text=anna").json()["pictures"]
        assert item["name"] == "museum/0.png"

    def test_it_is_there_after_a_restart(self, stocked, tmp_path, model):
        with serving(stocked[0], tmp_path, model) as client:
            client.put(f"{MUSEUM}/table", content=b"path,artist\n1.png,Anna\n")
        with serving(stocked[0], tmp_path, model) as client:
            [item] = client.get(f"{MUSEUM}/pictures?text=anna").json()["pictures"]
            assert item["columns"] == {"artist": "Anna"}

    def test_one_that_names_no_picture_is_refused(self, own):
        client, _ = own
        for content in (b"a,b\n1,2\n", b"file,title\nelsewhere.png,x\n"):
            answer = client.put(f"{MUSEUM}/table", content=content)
            assert (answer.status_code, answer.json()["code"]) == (422, "table")
        assert client.get(f"{MUSEUM}/table").json()["rows"] == 0

    @pytest.mark.parametrize(
        "content", [b"", b"\xff\xfe", b"\n\n", b"a," * 60 + b"\n", b'a,b\n"' + b"x" * 200_000]
    )
    def test_what_is_none(self, own, content):
        client, _ = own
        answer = client.put(f"{MUSEUM}/table", content=content)
        assert answer.status_code == 422
        assert answer.json()["code"] == "table"
