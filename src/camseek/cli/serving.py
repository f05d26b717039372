"""``open``, ``serve`` and ``token``."""

import hashlib
import importlib
import os
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from camseek.address import is_server, opening_address, whole_address, without_credentials
from camseek.cli.options import (
    FOLDER,
    Count,
    NameType,
    WordType,
    json_option,
    limits_options,
    model_option,
    shards_options,
)
from camseek.cli.output import emit, note, printable, say
from camseek.names import absolute, is_remote, path_text

if TYPE_CHECKING:
    from camseek.config import Limits
    from camseek.service.settings import ServiceSettings

_PORT = 8357
_port = click.option(
    "--port", type=Count(0, 65535), default=_PORT, show_default=True, help="0 for a free one."
)
_state = click.option(
    "--state",
    metavar="FOLDER",
    type=FOLDER,
    help="Where thumbnails, marks, jobs and kept queries lie. [default: in the user's data folder]",
)


_remotes = click.option(
    "--allow-remote",
    "remotes",
    metavar="HOST",
    type=WordType(),
    multiple=True,
    help="Fetch pictures and IIIF manifests from this host, for whoever asks (repeatable).",
)


_dates = click.option(
    "--allow-dates",
    "dates",
    is_flag=True,
    help="Tell when photographs were taken, as their EXIF data says, and nothing else of it.",
)


@click.command("open")
@click.argument("photos", metavar="PHOTOS", type=FOLDER)
@click.option(
    "--beside",
    is_flag=True,
    help="Keep the collection beside the pictures, as PHOTOS.camseek, to be moved with them; not in the "
    "user's data folder.",
)
@click.option("--no-browser", is_flag=True, help="Say the page's address, and open no browser.")
@click.option("--watch/--no-watch", default=True, help="Bring in what changes in PHOTOS by itself.")
@_remotes
@_dates
@_port
@_state
@model_option
@limits_options
@json_option
def open_command(
    photos: str,
    beside: bool,
    no_browser: bool,
    watch: bool,
    remotes: tuple[str, ...],
    dates: bool,
    port: int,
    state: str | None,
    model: str | None,
    limits: "Limits",
    as_json: bool,
) -> None:
    """Open a folder of pictures as a page in the browser, and search it there.

    The collection of PHOTOS is made, or brought up to date, while the page already searches what is in it.
    Only this machine reaches the page. Ctrl+C ends it; what was done is kept.
    """
    _require_service()
    from camseek.engine import Engine
    from camseek.indexing.finding import find_pictures
    from camseek.patterns import Patterns
    from camseek.service.settings import ServiceSettings, collection_name

    place = absolute(photos)
    address = _collection_of(place, beside=beside)
    if not os.path.lexists(address):
        # A wrong name must not leave an empty collection behind.
        find_pictures(place, Patterns.of(place, (), ()))
        Path(address).parent.mkdir(parents=True, exist_ok=True)
    with Engine.open(address, model=model, limits=limits, create=True) as engine:
        loaded = engine.model
    name = collection_name(path_text(os.path.basename(place.rstrip(b"/"))))
    # Another folder's page may be open beside this one.
    settings = ServiceSettings(
        collections={name: address},
        state=_state_folder(state, f"open-{hashlib.sha256(os.fsencode(address)).hexdigest()[:12]}"),
        port=port,
        limits=limits,
        paths=True,
        watch=watch,
        remotes=remotes,
        folders=(Path(os.path.expanduser("~")), Path(os.fsdecode(place))),
        dates=dates,
        command="camseek open",
    )
    _serve(settings, loaded, browser=not no_browser, as_json=as_json, folder={name: os.fsdecode(place)})


@click.command()
@click.option(
    "--collection",
    "collections",
    metavar="NAME=FOLDER",
    type=WordType(),
    multiple=True,
    required=True,
    help="A collection and its name in addresses: small letters, digits, dashes (repeatable); FOLDER alone "
    "is named by itself, and may be milvus://HOST:PORT/NAME.",
)
@click.option("--host", default="127.0.0.1", show_default=True, type=WordType(), help="Where it listens.")
@_port
@click.option(
    "--token-file",
    metavar="FILE",
    type=NameType(),
    help="Whom to serve: hashed tokens, which camseek token makes. Needed where others reach it.",
)
@click.option("--read-only", is_flag=True, help="Nothing is added, changed, removed or marked.")
@click.option(
    "--allow-host",
    "names",
    metavar="NAME",
    type=WordType(),
    multiple=True,
    help="Another name by which it is reached, behind a proxy (repeatable).",
)
@click.option(
    "--trust-proxy",
    "proxies",
    metavar="ADDRESS",
    type=WordType(),
    multiple=True,
    help="Believe a proxy at this address who asks, and whether over TLS (repeatable).",
)
@click.option(
    "--allow-folder",
    "folders",
    metavar="FOLDER",
    type=FOLDER,
    multiple=True,
    help="Whoever may write may add this folder of this machine, and those in it, on the page (repeatable).",
)
@click.option(
    "--allow-paths", is_flag=True, help="Whoever may write may name folders of this machine to be indexed."
)
@_remotes
@_dates
@click.option("--watch", is_flag=True, help="Bring in what changes in indexed folders by itself.")
@click.option(
    "--max-upload",
    type=Count(1, 4096),
    default=64,
    show_default=True,
    help="The largest upload, megabytes.",
)
@shards_options
@_state
@model_option
@limits_options
@json_option
def serve(
    collections: tuple[str, ...],
    host: str,
    port: int,
    token_file: str | None,
    read_only: bool,
    names: tuple[str, ...],
    proxies: tuple[str, ...],
    folders: tuple[str, ...],
    allow_paths: bool,
    remotes: tuple[str, ...],
    dates: bool,
    watch: bool,
    max_upload: int,
    shards: int | None,
    cluster: str,
    state: str | None,
    model: str | None,
    limits: "Limits",
    as_json: bool,
) -> None:
    """Serve collections to several people: a page, and an API for their own software.

    Only this machine reaches it, unless --host says otherwise, which needs --token-file. A collection that
    cannot be used is tried again; /api/v1/health says so meanwhile. Ctrl+C ends it.
    """
    _require_service()
    from camseek.backbones import load_model
    from camseek.service.settings import ServiceSettings, collection_name

    named: dict[str, str] = {}
    for given in collections:
        # A password may hold the sign.
        name, equals, folder = ("", "", "") if is_server(given) else given.partition("=")
        if not equals:
            place = os.path.basename(whole_address(given))
            name, folder = collection_name(place.removesuffix(".camseek")), given
        if name in named:
            raise click.UsageError(f"two collections are called {name}")
        if not folder:
            raise click.UsageError(f"--collection {given}: name its folder")
        named[name] = opening_address(folder)
    settings = ServiceSettings(
        collections=named,
        state=_state_folder(state, "serve"),
        host=host,
        port=port,
        names=names,
        token_file=Path(token_file) if token_file else None,
        read_only=read_only,
        paths=allow_paths,
        folders=tuple(Path(os.path.abspath(folder)) for folder in folders),
        remotes=remotes,
        limits=limits,
        upload_bytes=max_upload << 20,
        watch=watch,
        dates=dates,
        shards=shards,
        cluster=cluster,
    )
    _serve(
        settings,
        load_model(model) if model else None,
        browser=False,
        as_json=as_json,
        folder={},
        trusted=proxies,
    )


@click.command()
@click.argument("name", metavar="NAME", type=WordType())
@click.option("--token-file", metavar="FILE", type=NameType(), required=True, help="Where its hash is kept.")
@click.option("--write", is_flag=True, help="It also adds, removes and marks pictures.")
@click.option("--revoke", is_flag=True, help="Take the token of NAME out: nobody is let in with it any more.")
@json_option
def token(name: str, token_file: str, write: bool, revoke: bool, as_json: bool) -> None:
    """Make a token for camseek serve, and print it once; an earlier one of NAME goes.

    A service that runs sees within a second what has come and gone.
    """
    from camseek.service.tokens import add_token, revoke_token

    if revoke:
        if write:
            raise click.UsageError("say --write or --revoke")
        revoke_token(Path(token_file), name)
        if as_json:
            emit({"name": name, "scopes": [], "token": None})
        else:
            note(f"nobody is let in as {printable(name)} any more")
        return
    made = add_token(Path(token_file), name, write=write)
    if as_json:
        emit({"name": name, "scopes": ["read", "write"] if write else ["read"], "token": made})
    else:
        say(made)
        note(f"{printable(token_file)} keeps its hash alone: this is the only time that it is shown")


def _shown_addresses(settings: "ServiceSettings") -> dict[str, str]:
    """Where each collection is, without what lets in."""
    return {name: without_credentials(address) for name, address in settings.collections.items()}


def _require_service() -> None:
    """Makes sure that the extra is installed.

    Raises:
        SettingsError: It is not.
    """
    from camseek.errors import SettingsError

    for name in ("fastapi", "uvicorn", "python_multipart", "prometheus_client", "watchfiles"):
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise SettingsError(
                "the page needs packages that are not installed", remedy='pip install "camseek[serve]"'
            ) from error


def _collection_of(place: bytes, *, beside: bool) -> str:
    """Where the collection of a folder lies."""
    folder = os.fsdecode(place.rstrip(b"/"))
    if beside and is_remote(place):
        raise click.UsageError(f"nothing can be kept beside {folder}: leave out --beside")
    if beside:
        return f"{folder}.camseek"
    from camseek.places import collections_folder
    from camseek.service.settings import collection_name

    # Two folders of one name have two collections.
    known = hashlib.sha256(place.rstrip(b"/")).hexdigest()[:12]
    return str(collections_folder() / f"{collection_name(os.path.basename(folder))}-{known}.camseek")


def _state_folder(given: str | None, usual: str) -> Path:
    from camseek.places import service_folder

    return Path(os.path.abspath(given)) if given else service_folder() / usual


def _serve(
    settings: "ServiceSettings",
    model: Any,
    *,
    browser: bool,
    as_json: bool,
    folder: dict[str, str],
    trusted: tuple[str, ...] = (),
) -> None:
    from camseek.service.house import House
    from camseek.service.running import address_of, listening, run

    house = House(settings, model)
    try:
        found = listening(settings.host, settings.port)
    except BaseException:
        house.close()
        raise
    address = address_of(found, settings.host)
    for name, place in folder.items():
        house.jobs.ask("index", name, {"folder": place})

    def ready() -> None:
        house.state.say(address)
        if as_json:
            emit({"address": address, "collections": _shown_addresses(settings)})
        else:
            say(address)
        note("the page is there; Ctrl+C ends it")
        if browser and not webbrowser.open(address):
            note("no browser could be opened: open this address in one")

    run(house, found, ready, trusted)
