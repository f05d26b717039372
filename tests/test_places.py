"""Where a user's things lie."""

from pathlib import Path

import pytest

from camseek.places import config_file, models_folder, work_folder


@pytest.mark.parametrize(
    ("place", "own", "home", "folder"),
    [
        (models_folder, "CAMSEEK_MODELS", "XDG_DATA_HOME", "camseek/models"),
        (work_folder, None, "XDG_CACHE_HOME", "camseek/paper"),
        (config_file, "CAMSEEK_CONFIG", "XDG_CONFIG_HOME", "camseek/config.toml"),
    ],
)
def test_where_they_lie(place, own, home, folder, monkeypatch, tmp_path):
    if own:
        monkeypatch.setenv(own, str(tmp_path / "here"))
        assert place() == tmp_path / "here"
        monkeypatch.delenv(own)
    monkeypatch.setenv(home, "/somewhere")
    assert place() == Path("/somewhere") / folder
    monkeypatch.delenv(home)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert place().is_relative_to(tmp_path)
