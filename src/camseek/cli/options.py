"""Options that several verbs share."""

import functools
import math
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click
from click.shell_completion import CompletionItem

from camseek.address import without_credentials
from camseek.cli.output import note
from camseek.config import DEVICE_NAMES, PRECISIONS

if TYPE_CHECKING:
    # Loaded only where a verb runs: --help must answer at once.
    from camseek.backbones import Backbone
    from camseek.config import Limits, Settings
    from camseek.engine import Engine

Function = TypeVar("Function", bound=Callable[..., Any])

COLLECTION_VARIABLE = "CAMSEEK_COLLECTION"
"""The environment's word for the collection."""


class Count(click.IntRange):
    """A whole number in a range, which help calls N."""

    name = "n"


class Amount(click.FloatRange):
    """A number in a range, which help calls N."""

    name = "n"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Refuses what is no number: it would lie in every range."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is no number", param, ctx)
        return number


class WordType(click.ParamType[str]):
    """Text that means something. An empty one is a variable that is not set, and no wish for the default."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuses text without a letter."""
        if not str(value).strip():
            self.fail("it is empty", param, ctx)
        return str(value)


class NameType(click.ParamType[str]):
    """The name of a file or folder. An empty one (a variable that is not set) is not the working folder."""

    name = "name"

    def __init__(self, *, folder: bool = False) -> None:
        """Says whether the shell may propose folders only."""
        self._kind = "dir" if folder else "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuses an empty name."""
        if not value:
            self.fail("the name is empty", param, ctx)
        return str(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Leaves it to the shell, which knows the files."""
        return [CompletionItem(incomplete, type=self._kind)]


FOLDER = NameType(folder=True)


class ModelType(NameType):
    """The name of a model, or its folder."""

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The models that are there, and folders."""
        from camseek.backbones.library import EMBEDDED_NAME, imported_models

        names = [name for name in (EMBEDDED_NAME, *imported_models()) if name.startswith(incomplete)]
        return [*map(CompletionItem, names), CompletionItem(incomplete, type="dir")]


class DatasetType(NameType):
    """The name of a public data set."""

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Those that are known."""
        from camseek.datasets import known_datasets

        return [CompletionItem(name) for name in known_datasets() if name.startswith(incomplete)]


class EncodingType(click.ParamType[Any]):
    """An encoding's name and options."""

    name = "encoding"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Reads ``NAME`` or ``NAME:option=value,...``."""
        from camseek.config import Encoding
        from camseek.errors import SettingsError

        if isinstance(value, Encoding):
            return value
        try:
            return Encoding.parse(str(value))
        except SettingsError as error:
            self.fail(f"{error.message}; {error.remedy}", param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The names; their options are typed."""
        from camseek.config import ENCODING_NAMES

        return [CompletionItem(name) for name in ENCODING_NAMES if name.startswith(incomplete)]


class SizeType(click.ParamType[Any]):
    """The size at which pictures are read."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Reads ``640``, ``smaller:720`` or ``1024x720``."""
        from camseek.config import Resize, Settings
        from camseek.errors import SettingsError

        try:
            return Settings(size=value if isinstance(value, Resize) else Resize.parse(str(value))).size
        except SettingsError as error:
            self.fail(f"{error.message}; {error.remedy}", param, ctx)


def collection_option(*, required: bool = True, positional: bool = False) -> Callable[[Function], Function]:
    """Which collection: ``--collection``, and the one way in which every verb is told.

    Where the command line names none: ``CAMSEEK_COLLECTION``, then ``collection`` in the user's defaults.

    Args:
        required: A collection is what the verb is about. Otherwise only ``--collection`` names one: what the
            environment says must not change what a verb does that needs none.
        positional: The verb has no other argument, and takes the collection as its argument, too.
    """
    told = f" [default: {COLLECTION_VARIABLE}, or that of your defaults]" if required else ""
    option = click.option(
        "--collection",
        metavar="FOLDER",
        type=FOLDER,
        help=f"The collection's folder, or milvus://HOST:PORT/NAME.{told}",
    )

    def decorate(command: Function) -> Function:
        @functools.wraps(command)
        def told(*args: Any, collection: str | None, **options: Any) -> Any:
            argument = options.pop("collection_argument", None)
            if argument is not None and collection is not None:
                both = f"{without_credentials(argument)} and --collection {without_credentials(collection)}"
                _wrong(f"two collections are given, {both}; give one of them")
            named = argument or collection or (_usual_collection() if required else None)
            return command(*args, collection=named, **options)

        decorated: Any = option(told)
        if positional:
            argument = click.argument(
                "collection_argument", metavar="[COLLECTION]", type=FOLDER, required=False
            )
            decorated = argument(decorated)
        return decorated

    return decorate


def _usual_collection() -> str:
    """The collection where the command line names none."""
    from camseek.cli.defaults import read_defaults
    from camseek.places import config_file

    found = os.environ.get(COLLECTION_VARIABLE) or read_defaults().collection
    if found is None:
        _wrong(
            f"no collection is given: say --collection FOLDER, set {COLLECTION_VARIABLE}, or write "
            f'collection = "FOLDER" into {config_file()}'
        )
    return found


def _wrong(message: str) -> NoReturn:
    raise click.UsageError(message, click.get_current_context(silent=True))


def ray_option(*, folders: str) -> Callable[[Function], Function]:
    """``--ray``, which verbs that read pictures take as ``cluster``; ``folders`` are those that they read."""
    return click.option(
        "--ray",
        "cluster",
        metavar="ADDRESS",
        type=WordType(),
        help="Have the workers of a Ray cluster read the pictures: auto, or HOST:PORT of its head. All of "
        f"its machines must see {folders} under the same name.",
    )


def renewal_options(*, on: str) -> Callable[[Function], Function]:
    """What verbs have in common that encode all pictures anew: ``--on``, ``--allow-removal``, ``--ray``.

    Args:
        on: What ``--on`` is for.
    """
    options = (
        click.option("--on", metavar="FOLDER", type=NameType(), help=on),
        click.option(
            "--allow-removal",
            is_flag=True,
            help="Let pictures whose files have gone or changed leave COLLECTION.",
        ),
        ray_option(folders="the folders of COLLECTION"),
    )

    def decorate(verb: Function) -> Function:
        for option in reversed(options):
            verb = option(verb)
        return verb

    return decorate


cluster_option = click.option(
    "--ray",
    "cluster",
    metavar="ADDRESS",
    type=WordType(),
    help="The Ray cluster of the shards: auto, or HOST:PORT of its head. [default: auto]",
)
"""The cluster on which a collection's shards are."""


def shards_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """``--shards`` and ``--ray``, which the verb takes as ``shards`` and ``cluster``."""

    @functools.wraps(verb)
    def sharded(*arguments: Any, shards: int | None, cluster: str | None, **options: Any) -> Any:
        if cluster is not None and shards is None:
            _wrong("--ray is the cluster of the shards: give --shards, too")
        return verb(*arguments, shards=shards, cluster=cluster or "auto", **options)

    counted = click.option(
        "--shards",
        metavar="N",
        type=Count(1, 1024),
        help="Search a collection on a server (milvus://) in N parts, which workers of a Ray cluster hold: "
        "nothing of it lies on this machine. They stay for the next search (camseek shards).",
    )
    return counted(cluster_option(sharded))


json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, errors too.")


def device_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """``--device`` and ``--precision``: what networks run on in this process from then on."""

    @functools.wraps(verb)
    def placed(*arguments: Any, device: str | None, precision: str | None, **options: Any) -> Any:
        _place(device, precision)
        return verb(*arguments, **options)

    on = click.option(
        "--device",
        type=click.Choice(DEVICE_NAMES),
        help="What networks run on: cpu, cuda (an NVIDIA GPU), or auto, one if there is one. "
        "[default: cpu, or that of your defaults]",
    )
    precise = click.option(
        "--precision",
        type=click.Choice(PRECISIONS),
        help="What a GPU computes in. [default: float32, or that of your defaults]",
    )
    return on(precise(placed))


def _place(device: str | None, precision: str | None) -> None:
    from camseek.backbones.devices import running, set_usual
    from camseek.cli.defaults import read_defaults
    from camseek.config import Device

    given = None in (device, precision) and read_defaults()
    name = device or (given and given.device) or "cpu"
    wished = precision or (given and given.precision if name != "cpu" else None) or "float32"
    chosen = Device(name, wished)  # pyright: ignore[reportArgumentType]  # it looks itself
    set_usual(chosen)
    # What is missing is told before there is work to lose; a GPU that was only hoped for is told of here.
    found = running(chosen)
    if found.reason is not None and device is not None:
        note(f"networks run on {found}")


def model_option(verb: Callable[..., Any]) -> Callable[..., Any]:
    """``--model``, and what it runs on."""
    named = click.option(
        "--model",
        metavar="MODEL",
        type=ModelType(),
        help="An imported model, by name or folder, instead of the collection's or the embedded one "
        "(camseek model list).",
    )
    return named(device_options(verb))


encoding_option = click.option(
    "--encoding",
    type=EncodingType(),
    help="How a new collection describes pictures: sum[:weights=none|channel], spoc, ucrow, crow, "
    "gem[:power=3,prior=none|centre], rmac[:scales=3] or cam[:classes=64,power=1,maps=MAPS], MAPS being "
    "clipped, minmax or flipped. [default: gem:prior=centre]",
)
size_option = click.option(
    "--size",
    type=SizeType(),
    help="The size at which pictures are read: 640 (longer side), smaller:720 or 1024x720, squeezed "
    "(a new collection; default 640).",
)
layer_option = click.option(
    "--layer",
    type=WordType(),
    help="The model's layer for the feature maps (a new collection; default: the model's).",
)


def limits_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """``--max-megapixels`` and ``--max-seconds``, which the verb takes as ``limits``."""

    @functools.wraps(verb)
    def limited(*arguments: Any, max_megapixels: float, max_seconds: float, **options: Any) -> Any:
        from camseek.config import Limits

        pixels = max(1, round(max_megapixels * 1e6))
        return verb(*arguments, limits=Limits(max_pixels=pixels, max_seconds=max_seconds), **options)

    megapixels = click.option(
        "--max-megapixels",
        type=Amount(min=0, min_open=True, max=2000),
        default=200,
        show_default=True,
        help="Refuse pictures with more million pixels.",
    )
    seconds = click.option(
        "--max-seconds",
        type=Amount(min=0, min_open=True, max=86400),
        default=60,
        show_default=True,
        help="Refuse pictures that take more processor time to decode.",
    )
    return megapixels(seconds(limited))


def settings(
    *,
    encoding: Any,
    size: Any,
    layer: str | None,
    predefined: "tuple[int, ...] | None" = None,
    existing: "Settings | None" = None,
) -> "Settings":
    """The settings that options ask for, on top of those that are there."""
    from dataclasses import replace

    from camseek.config import Settings

    given = {"encoding": encoding, "size": size, "layer": layer, "predefined": predefined}
    return replace(
        existing or Settings(), **{key: value for key, value in given.items() if value is not None}
    )


def layer_of(model: str | None, layer: str | None) -> str | None:
    """The layer asked for, or the one that a named model gives where none is."""
    if layer is not None or model is None:
        return layer
    from camseek.backbones import ModelCard, find_model

    return ModelCard.read(find_model(model)).default_layer


def load(model: str | None, layer: str) -> "Backbone | None":
    """The model an option names; None for the embedded one, loaded when it is needed."""
    from camseek.backbones import load_model

    return None if model is None else load_model(model, layer=layer)


def open_engine(
    collection: str,
    *,
    model: str | None = None,
    limits: "Limits | None" = None,
    options: dict[str, Any] | None = None,
    without: Sequence[str] = (),
    create: bool = False,
    shards: int | None = None,
    cluster: str = "auto",
) -> "Engine":
    """Opens a collection with what the options say.

    Args:
        collection: Its folder.
        model: A model's folder or name.
        limits: What one picture may cost; None for the defaults.
        options: What ``settings`` takes, as given; an existing collection must have them.
        without: What a new one does not keep of each picture.
        create: Make it if there is none.
        shards: Have so many workers of a cluster hold it.
        cluster: The cluster.

    Raises:
        SettingsError: An existing one has other settings, or keeps what is to be left out.
    """
    from camseek.engine import Engine
    from camseek.errors import NoCollectionError
    from camseek.extraction.agreement import require_settings, require_without
    from camseek.store import open_collection, open_shards

    given = options or {"encoding": None, "size": None, "layer": None}
    try:
        existing = (
            open_collection(collection, keep_vectors=False)
            if shards is None
            else open_shards(collection, shards, cluster)
        )
    except NoCollectionError:
        if not create:
            raise
        chosen: dict[str, Any] = given | {"layer": layer_of(model, given["layer"])}
        wanted = settings(**chosen)
        return Engine.open(
            collection,
            model=load(model, wanted.layer),
            settings=wanted,
            without=without,
            create=True,
            limits=limits,
            keep_descriptors=False,
        )
    try:
        has = existing.profile.settings
        require_without(existing, without)
        require_settings(existing, settings(**given, existing=has))
        return Engine(
            existing,
            model=load(model, has.layer),
            limits=limits,
        )
    except BaseException:
        existing.close()
        raise
