"""Who may ask, from where, and how much they may send."""

import contextlib
import json
import socket
import time

import pytest

from camseek.errors import SettingsError
from camseek.service import guard, tokens
from camseek.service.settings import ServiceSettings, collection_name
from camseek.service.tokens import add_token, read_tokens, revoke_token
from served import FORM, serving
from textures import png, texture

HEALTH = "/api/v1/health"
MARKS = "/api/v1/collections/museum/marks"


class TestPlace:
    def test_another_host_name_is_refused(self, client):
        for host in ("evil.example", "127.0.0.1.evil.example:8357", "", "evil.example:127.0.0.1"):
            answer = client.get(HEALTH, headers={"Host": host})
            assert answer.status_code == 421, host
        for host in ("localhost", "LOCALHOST:9", "[::1]:8357", "127.0.0.1"):
            assert client.get(HEALTH, headers={"Host": host}).status_code == 200

    def test_another_sites_page_is_refused(self, client):
        for headers in (
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://127.0.0.1:80"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ):
            answer = client.get(HEALTH, headers=headers)
            assert answer.status_code == 403, headers
            assert answer.json()["code"] == "foreign"
        assert client.get(HEALTH, headers={"Origin": str(client.base_url).rstrip("/")}).status_code == 200

    def test_nothing_is_changed_by_what_a_form_can_send(self, client):
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a"):
            headers = {"Content-Type": kind}
            del client.headers["X-Camseek"]
            try:
                assert client.post("/api/v1/uploads", content=b"a", headers=headers).status_code == 403
            finally:
                client.headers.update(FORM)

    def test_every_answer_is_kept_in(self, client):
        for path in (HEALTH, "/api/v1/collections/nothing", "/api/v1/nothing"):
            headers = client.get(path).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert "default-src 'none'" in headers["content-security-policy"]
            assert headers["cache-control"] == "no-store"
            assert "access-control-allow-origin" not in headers


class TestMethods:
    def test_what_an_address_answers_to_is_said(self, client):
        answer = client.request("PATCH", MARKS)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, PUT")
        assert answer.headers["content-type"] == "application/problem+json"
        answer = client.get("/api/v1/collections/museum/search")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        answer = client.get("/api/v1/uploads/remote")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        assert client.get("/api/v1/nothing").status_code == 404

    def test_a_body_where_none_is_read(self, client):
        assert client.request("GET", HEALTH, content=b"x" * 1000).status_code == 200


class TestTokens:
    @pytest.fixture
    def held(self, stocked, tmp_path, model):
        place = tmp_path / "tokens"
        read, write = add_token(place, "anna", write=False), add_token(place, "ben", write=True)
        with serving(stocked[0], tmp_path / "state", model, token_file=place) as client:
            yield client, read, write

    def test_nothing_is_read_without_one(self, held):
        client, read, _ = held
        for told, headers in (
            ("a token is needed", {}),
            ("that is no token of this service", {"Authorization": "Bearer wrong"}),
            ("a token is needed", {"Authorization": f"Basic {read}"}),
        ):
            answer = client.get("/api/v1/collections", headers=headers)
            assert (answer.status_code, answer.json()["detail"]) == (401, told)
            assert client.get("/metrics", headers=headers).status_code == 401
        assert client.get(HEALTH).status_code == 200
        assert (
            client.get("/api/v1/collections", headers={"Authorization": f"Bearer {read}"}).status_code == 200
        )

    def test_health_tells_strangers_no_name(self, held):
        client, read, _ = held
        assert client.get(HEALTH).json()["collections"] == []
        [told] = client.get(HEALTH, headers={"Authorization": f"Bearer {read}"}).json()["collections"]
        assert told["name"] == "museum"

    def test_who_is_taken_out_of_the_file_is_let_in_no_more(self, held, tmp_path, monkeypatch):
        monkeypatch.setattr(tokens, "_LOOK", 0.0)
        client, read, write = held
        reader, writer = ({"Authorization": f"Bearer {item}"} for item in (read, write))
        assert client.get("/api/v1/collections", headers=reader).status_code == 200
        fresh = add_token(tmp_path / "tokens", "anna", write=False)
        newer = {"Authorization": f"Bearer {fresh}"}
        given = [
            client.get("/api/v1/collections", headers=item).status_code for item in (reader, writer, newer)
        ]
        assert given == [401, 200, 200]
        (tmp_path / "tokens").unlink()
        answer = client.get("/api/v1/collections", headers=writer)
        assert (answer.status_code, answer.json()["code"]) == (503, "tokens")
        assert str(tmp_path) not in answer.text

    @pytest.mark.parametrize("slip", ["mode", "line", "both"])
    def test_a_slip_in_the_file_locks_nobody_out_and_lets_nobody_in(
        self, held, tmp_path, monkeypatch, caplog, slip
    ):
        """As ``grep -v anna tokens > new; mv new tokens`` leaves it."""
        monkeypatch.setattr(tokens, "_LOOK", 0.0)
        client, read, write = held
        place, new = tmp_path / "tokens", tmp_path / "new"
        intruder = add_token(tmp_path / "other", "eve", write=True)
        lines = [line for line in place.read_text().splitlines() if not line.startswith("anna")]
        lines += (tmp_path / "other").read_text().splitlines()
        if slip != "mode":
            lines.append("garbage line here x y z")
        new.write_text("\n".join(lines))
        new.chmod(0o600 if slip == "line" else 0o644)
        new.replace(place)

        def given(token):
            answer = client.get("/api/v1/collections", headers={"Authorization": f"Bearer {token}"})
            return answer.status_code, answer.json()

        assert given(write)[0] == 200
        for token in (read, intruder, "wrong"):
            status, told = given(token)
            assert (status, told["detail"]) == (503, "the service's tokens cannot be read")
        assert client.post("/api/v1/session", json={"token": read}).status_code == 503
        assert "nobody new is let in" in caplog.text
        # Mended, it is as it says.
        place.write_text("\n".join(line for line in lines if "garbage" not in line))
        place.chmod(0o600)
        assert [given(token)[0] for token in (read, write, intruder)] == [401, 200, 200]

    def test_a_readers_token_searches_and_changes_nothing(self, held):
        client, read, write = held
        reader, writer = ({"Authorization": f"Bearer {item}"} for item in (read, write))
        told = client.post("/api/v1/uploads", content=png(texture(3)), headers=reader).json()
        body = {"query": [{"upload": told["id"]}]}
        found = client.post("/api/v1/collections/museum/search", json=body, headers=reader).json()
        mark = {**body, "picture": found["hits"][0]["picture"]["id"], "mark": "right"}
        assert client.put(MARKS, json=mark, headers=reader).status_code == 403
        assert client.put(MARKS, json=mark, headers=writer).json()["mark"] == "right"
        assert not client.get("/api/v1/collections/museum", headers=reader).json()["writable"]

    def test_a_browser_keeps_it_as_a_cookie_that_no_script_reads(self, held):
        client, read, _ = held
        answer = client.post("/api/v1/session", json={"token": read})
        told = {"scopes": ["read"], "needs_token": True, "folders": False, "hosts": []}
        assert answer.json() == told
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert client.get("/api/v1/collections").status_code == 200
        assert client.post("/api/v1/session", json={"token": "wrong"}).status_code == 401
        assert client.delete("/api/v1/session").status_code == 204
        assert client.get("/api/v1/collections").status_code == 401

    def test_other_programs_cookies_are_no_matter(self, held):
        client, read, _ = held
        headers = {"Cookie": f'a={{"x":1}}; camseek={read}'}
        assert client.get("/api/v1/collections", headers=headers).status_code == 200

    def test_the_file_keeps_hashes_alone(self, tmp_path):
        place = tmp_path / "tokens"
        first = add_token(place, "anna", write=True)
        second = add_token(place, "anna", write=False)
        kept = place.read_text()
        assert first not in kept
        assert second not in kept
        assert place.stat().st_mode & 0o777 == 0o600
        found = read_tokens(place)
        assert found.scopes(first) == ()
        assert found.scopes(second) == ("read",)

    def test_one_is_taken_back_whatever_else_is_wrong(self, tmp_path):
        place = tmp_path / "tokens"
        add_token(place, "anna", write=True)
        kept = add_token(place, "ben", write=False)
        with place.open("a") as file:
            file.write("garbage\n")
        revoke_token(place, "anna")
        assert [line.split(" ")[0] for line in place.read_text().splitlines()] == ["ben", "garbage"]
        revoke_token(place, "garbage")
        assert read_tokens(place).scopes(kept) == ("read",)
        assert place.stat().st_mode & 0o777 == 0o600
        with pytest.raises(SettingsError, match="no token of anna"):
            revoke_token(place, "anna")
        with pytest.raises(SettingsError, match="cannot read"):
            revoke_token(tmp_path / "none", "anna")

    def test_a_file_that_is_none_is_refused(self, tmp_path):
        place = tmp_path / "tokens"
        for text, word in (("", "no token"), ("anna all 00", "line 1"), ("\xff", "line 1")):
            place.write_text(text, "utf-8")
            place.chmod(0o600)
            with pytest.raises(SettingsError, match=word):
                read_tokens(place)
        place.chmod(0o644)
        with pytest.raises(SettingsError, match="by others"):
            read_tokens(place)
        with pytest.raises(SettingsError, match="called"):
            add_token(tmp_path / "more", "a b", write=False)


class TestSettings:
    def test_others_are_not_served_without_tokens(self, tmp_path):
        given = {"collections": {"a": "a"}, "state": tmp_path}
        for host in ("0.0.0.0", "192.168.1.4", "example.org"):
            with pytest.raises(SettingsError, match="see every picture"):
                ServiceSettings(**given, host=host)
        for host in ("127.0.0.1", "::1", "localhost", "127.8.8.8"):
            ServiceSettings(**given, host=host)

    def test_names_fit_addresses(self, tmp_path):
        for name in ("", "A", "a/b", "..", "-a", "a" * 65):
            with pytest.raises(SettingsError):
                ServiceSettings(collections={name: "a"}, state=tmp_path)
        assert collection_name("Fotos von Oma (2019)") == "fotos-von-oma-2019"
        assert collection_name("日本") == "pictures"


class TestReadOnly:
    def test_nothing_is_changed(self, stocked, tmp_path, model):
        with serving(stocked[0], tmp_path, model, read_only=True) as client:
            assert not client.get("/api/v1/collections/museum").json()["writable"]
            some = client.get("/api/v1/collections/museum/pictures").json()["pictures"][0]
            place = f"/api/v1/collections/museum/pictures/{some['id']}"
            assert client.delete(place).status_code == 403
            upload = client.post("/api/v1/uploads", content=png(texture(3))).json()
            assert client.post(f"/api/v1/uploads/{upload['id']}/keep").status_code == 403
            query = {"name": "a", "query": [{"upload": upload["id"]}]}
            batch = "/api/v1/collections/museum/batch"
            assert client.post(batch, json={"queries": [query]}).status_code == 403
            assert client.post(f"{batch}/files", files=[("files", ("a.png", b"a"))]).status_code == 403
            assert (
                client.post("/api/v1/jobs", json={"kind": "index", "collection": "museum"}).status_code == 403
            )
            files = [("files", ("a.png", png(texture(50))))]
            assert client.post("/api/v1/collections/museum/pictures", files=files).status_code == 403


class TestBodies:
    def test_more_than_is_taken_ends_while_it_comes(self, stocked, tmp_path, model):
        with serving(stocked[0], tmp_path, model, upload_bytes=100_000) as client:
            sent = 0

            def blocks():
                nonlocal sent
                for _ in range(1000):
                    sent += 10_000
                    yield bytes(10_000)

            answer = client.post("/api/v1/uploads", content=blocks())
            assert answer.status_code == 413
            assert client.post("/api/v1/uploads", content=bytes(200_000)).status_code == 413
            long = json.dumps({"query": [], "x": "y" * 2_000_000}).encode()
            answer = client.post(
                "/api/v1/collections/museum/search",
                content=long,
                headers={"Content-Type": "application/json"},
            )
            assert answer.status_code == 413

    def test_what_all_send_together_is_bounded(self, stocked, tmp_path, model, monkeypatch):
        monkeypatch.setattr(guard, "_TOGETHER", 300_000)
        monkeypatch.setattr(guard, "_PATIENCE", 0.2)
        with serving(stocked[0], tmp_path, model, upload_bytes=200_000) as client:
            head = (
                f"POST /api/v1/uploads HTTP/1.1\r\nHost: 127.0.0.1:{client.base_url.port}\r\n"
                "X-Camseek: 1\r\nContent-Length: 190000\r\n\r\n"
            )

            def refused():
                """Whether there was no room beside one that does not end; that one may have come second."""
                with socket.create_connection(("127.0.0.1", client.base_url.port), timeout=10) as wire:
                    wire.sendall(head.encode() + bytes(180_000))
                    time.sleep(0.1)
                    answer = client.post("/api/v1/uploads", content=bytes(190_000))
                    if answer.status_code != 503:
                        return False
                    assert answer.headers["retry-after"] == "10"
                    # What is small finds room.
                    assert client.post("/api/v1/uploads", content=png(texture(3))).status_code == 201
                    return True

            until = time.monotonic() + 20
            while not refused():
                assert time.monotonic() < until
            until = time.monotonic() + 10
            while client.post("/api/v1/uploads", content=bytes(190_000)).status_code == 503:
                assert time.monotonic() < until

    def test_json_of_another_name_is_as_small(self, client):
        long = json.dumps({"query": [], "x": "y" * 2_000_000}).encode()
        headers = {"Content-Type": "application/x+json"}
        for place in ("/api/v1/collections/museum/search", MARKS):
            assert client.request("POST", place, content=long, headers=headers).status_code == 413

    @pytest.mark.parametrize(
        "body",
        [
            b"no boundary at all" * 1000,
            b"--b\r\n" + b"X: y\r\n" * 100_000 + b"\r\n\r\n--b--",
            b"--b" + b"-" * 1_000_000,
            b'--b\r\nContent-Disposition: form-data; name="picture"; filename="a"\r\n\r\n',
            b"--b\r\n\r\n" * 100_000,
        ],
    )
    # Starlette leaves the file of a form that breaks off to the garbage collector.
    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    def test_forms_that_attack_end_soon(self, client, body):
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        began = time.perf_counter()
        answer = client.post("/api/v1/collections/museum/search", content=body, headers=headers)
        assert answer.status_code in (400, 413, 422)
        assert time.perf_counter() - began < 2

    def test_many_files_and_fields_are_refused(self, client):
        files = [("picture", (f"{number}.png", b"a")) for number in range(40)]
        assert client.post("/api/v1/collections/museum/search", files=files).status_code == 400
        headers = {"Content-Type": "multipart/form-data"}
        answer = client.post("/api/v1/collections/museum/search", content=b"a", headers=headers)
        assert answer.status_code in (400, 422)


class TestWire:
    """Over real connections."""

    @pytest.fixture
    def port(self, client):
        return client.base_url.port

    def test_a_client_that_vanishes_holds_nothing_up(self, port):
        body = json.dumps({"query": [{"upload": "0" * 64}]}).encode()
        head = (
            f"POST /api/v1/collections/museum/search HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        )
        for part in (b"", body[:10], body):
            with socket.create_connection(("127.0.0.1", port)) as wire:
                wire.sendall(head.encode() + b"Accept: text/event-stream\r\n\r\n" + part)
        with socket.create_connection(("127.0.0.1", port), timeout=10) as wire:
            wire.sendall(head.encode() + b"Connection: close\r\n\r\n" + body)
            found = b""
            while block := wire.recv(65536):
                found += block
        assert found.startswith(b"HTTP/1.1 404")

    def test_two_hosts_are_none(self, port):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as wire:
            hosts = f"Host: 127.0.0.1:{port}\r\nHost: evil.example\r\n"
            wire.sendall(f"GET {HEALTH} HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n".encode())
            assert wire.recv(100).startswith(b"HTTP/1.1 400")

    def test_who_says_nothing_is_cut_off(self, stocked, tmp_path, model, monkeypatch):
        from camseek.service import running

        monkeypatch.setattr(running, "_HEAD_SECONDS", 0.3)
        with serving(stocked[0], tmp_path, model, protocol=running._Protocol) as client:
            port = client.base_url.port
            for sent in (b"", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "):
                with socket.create_connection(("127.0.0.1", port), timeout=10) as wire:
                    wire.sendall(sent)
                    began = time.monotonic()
                    with contextlib.suppress(ConnectionResetError):
                        assert wire.recv(10) == b""
                    assert time.monotonic() - began < 5
            assert client.get(HEALTH).status_code == 200
