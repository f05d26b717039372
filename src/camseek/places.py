"""Where a user's things lie: models, finished work, defaults."""

import os
from pathlib import Path

import platformdirs


def models_folder() -> Path:
    """Where imported models lie: ``CAMSEEK_MODELS``, or ``camseek/models`` in the user's data folder.

    That is ``XDG_DATA_HOME`` or ``~/.local/share``, ``~/Library/Application Support`` (macOS) or
    ``%LOCALAPPDATA%`` (Windows).
    """
    named = os.environ.get("CAMSEEK_MODELS")
    return Path(named) if named else platformdirs.user_data_path("camseek", appauthor=False) / "models"


def collections_folder() -> Path:
    """Where collections lie that were given no place: ``camseek/collections`` in the user's data folder."""
    return platformdirs.user_data_path("camseek", appauthor=False) / "collections"


def service_folder() -> Path:
    """Where a service keeps what is its own: ``camseek/service`` in the user's data folder."""
    return platformdirs.user_data_path("camseek", appauthor=False) / "service"


def work_folder() -> Path:
    """Where finished cells of the paper's tables are kept: ``camseek/paper`` in the user's cache."""
    return platformdirs.user_cache_path("camseek", appauthor=False) / "paper"


def tried_folder() -> Path:
    """Where is noted which models did well when tried: ``camseek/tried`` in the user's cache."""
    return platformdirs.user_cache_path("camseek", appauthor=False) / "tried"


def mirrors_folder() -> Path:
    """Where mirrors of collections on servers lie: ``camseek/mirrors`` in the user's cache."""
    return platformdirs.user_cache_path("camseek", appauthor=False) / "mirrors"


def config_file() -> Path:
    """The user's defaults: ``CAMSEEK_CONFIG``, or ``camseek/config.toml`` in the user's folder of settings.

    That is ``XDG_CONFIG_HOME`` or ``~/.config``, ``~/Library/Application Support`` (macOS) or
    ``%LOCALAPPDATA%`` (Windows).
    """
    named = os.environ.get("CAMSEEK_CONFIG")
    return Path(named) if named else platformdirs.user_config_path("camseek", appauthor=False) / "config.toml"
