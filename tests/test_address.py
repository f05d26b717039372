import os
from pathlib import Path

import pytest

from camseek.address import (
    MilvusAddress,
    is_server,
    milvus_address,
    opening_address,
    real_address,
    whole_address,
    without_credentials,
)
from camseek.cli import run
from camseek.errors import NoCollectionError, SettingsError


@pytest.fixture(autouse=True)
def no_token(monkeypatch):
    monkeypatch.delenv("CAMSEEK_MILVUS_TOKEN", raising=False)


@pytest.mark.parametrize(
    ("text", "shown", "token"),
    [
        ("milvus://host/name", "milvus://host:19530/name", ""),
        ("milvus://host:1/name/", "milvus://host:1/name", ""),
        ("MILVUS://Host/Na.me_1-2", "milvus://host:19530/Na.me_1-2", ""),
        ("milvus+tls://host/base/name", "milvus+tls://host:19530/base/name", ""),
        ("milvus://[::1]:5/name", "milvus://[::1]:5/name", ""),
        ("milvus://user:pass@host/name", "milvus://host:19530/name", "user:pass"),
        ("milvus://user:p%40s/s@host/name", "milvus://host:19530/name", "user:p@s/s"),
        ("milvus://token@host/name", "milvus://host:19530/name", "token"),
        # As pathlib leaves it.
        ("milvus:/user:pass@host/name", "milvus://host:19530/name", "user:pass"),
    ],
)
def test_addresses_of_servers(text, shown, token):
    found = milvus_address(text)
    assert str(found) == whole_address(text) == shown
    assert found.token == token
    assert "pass" not in repr(found)
    assert is_server(text)
    assert milvus_address(str(found)) == found
    assert milvus_address(os.fspath(Path(text))).name == found.name


@pytest.mark.parametrize(
    "text",
    [
        "milvus://",
        "milvus://host",
        "milvus://host/",
        "milvus:///name",
        "milvus://host/a/b/c",
        "milvus://host/na me",
        "milvus://host/.name",
        "milvus://host/" + "a" * 61,
        "milvus://host:x/name",
        "milvus://host:99999/name",
        "milvus://user:secret@host/name?x=1",
        "milvus://user:secret@host/name#x",
        "milvus://user:secret@[host/name",
        'milvus://user:secret@host/na"me',
        "milvus://host/name?token=secret",
        "milvus://host/name#secret",
        "milvus://user:secret",
        "milvus://host:secret/name",
    ],
)
def test_what_is_none(text):
    with pytest.raises(SettingsError, match="no address") as told:
        milvus_address(text)
    assert "secret" not in str(told.value)


def test_another_server(tmp_path):
    with pytest.raises(NoCollectionError, match="in folders and on Milvus servers") as told:
        milvus_address("postgres://user:secret@host/name")
    assert "secret" not in str(told.value)


def test_a_collection_is_no_place_of_pictures(tmp_path, capsys):
    for words in (["index", "milvus://me:secret@host/museum"], ["open", "milvus://me:secret@host/museum"]):
        assert run([*words, *(["--collection", str(tmp_path / "c")] if words[0] == "index" else [])]) == 1
        out, err = capsys.readouterr()
        assert "no pictures are there" in err
        assert "camseek serve" in err
        assert "secret" not in out + err


def test_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("made", "milvus", "./milvus:x", "a@b", "c:d"):
        assert milvus_address(name) is None
        assert not is_server(name)
        assert whole_address(name) == opening_address(name) == os.path.normpath(str(tmp_path / name))
        assert without_credentials(name) == name


def test_the_environment_lets_in(monkeypatch):
    monkeypatch.setenv("CAMSEEK_MILVUS_TOKEN", "user:pass")
    assert milvus_address("milvus://host/name").token == "user:pass"
    assert milvus_address("milvus://other@host/name").token == "other"


def test_an_address_keeps_what_lets_in_where_it_is_opened_again():
    text = "milvus://user:secret@host/name"
    assert opening_address(text) == text
    assert without_credentials(text) == "milvus://host/name"
    assert without_credentials("milvus://user:sec/r@et@host/name") == "milvus://host/name"
    assert without_credentials("milvus://host/name?token=secret") == "milvus://host/name?***"
    assert MilvusAddress("host", 1, "name", token="a") == MilvusAddress("host", 1, "name", token="b")


def test_what_lies_there_has_one_address(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "made")
    assert real_address(tmp_path / "link") == real_address(tmp_path / "made") == str(tmp_path / "made")
    assert real_address("milvus://a:b@HOST/name") == real_address("milvus://host:19530/name")
