"""``shards``: those that a collection has on a cluster."""

import click

from camseek.address import without_credentials
from camseek.cli.options import cluster_option, collection_option, json_option
from camseek.cli.output import emit, printable, say
from camseek.words import counted


@click.command("shards")
@collection_option(positional=True)
@cluster_option
@click.option("--stop", is_flag=True, help="End them. Who searches with them makes them again.")
@json_option
def shards_command(collection: str, cluster: str | None, stop: bool, as_json: bool) -> None:
    """Tell which shards of COLLECTION workers of a Ray cluster hold, or end them.

    camseek search --shards and camseek serve --shards make them, and use those that are there.
    """
    from camseek.store import end_shards, tell_shards

    place, address = without_credentials(collection), cluster or "auto"
    if stop:
        ended = end_shards(collection, address)
        if as_json:
            emit({"collection": place, "stopped": ended})
        else:
            say(f"{counted(ended, 'shard')} of {printable(place)} stopped")
        return
    found = tell_shards(collection, address)
    if as_json:
        emit({"collection": place, "shards": [shard.to_json() for shard in found]})
        return
    for shard in found:
        if not shard.host:
            say(f"shard {shard.part} does not answer")
        elif shard.pictures is None:
            say(f"shard {shard.part} on {printable(shard.host)} is reading its part")
        else:
            held, memory = counted(shard.pictures, "picture"), shard.memory / 1e6
            say(f"shard {shard.part}: {held} on {printable(shard.host)}, {memory:,.0f} MB of memory")
    if not found:
        say(f"{printable(place)} has no shards there")
