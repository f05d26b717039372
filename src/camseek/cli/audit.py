"""``audit``."""

from typing import TYPE_CHECKING, Any

import click

from camseek.cli.options import (
    EncodingType,
    NameType,
    json_option,
    layer_of,
    limits_options,
    model_option,
)
from camseek.cli.output import emit, note, printable, say, shown
from camseek.cli.progress import progress
from camseek.cli.protocols import protocol_options, read_protocols
from camseek.cli.tables import aligned, interval

if TYPE_CHECKING:
    from camseek.backbones import Backbone
    from camseek.config import Limits
    from camseek.lab.auditing import Audit


@click.command("audit")
@click.argument("truth", metavar="TRUTH", type=NameType())
@click.option("--encoding", type=EncodingType(), help="The encoding. [default: cam]")
@protocol_options(size="smaller:720", reading="cells")
@model_option
@limits_options
@json_option
@click.pass_context
def audit_command(
    context: click.Context,
    truth: str,
    encoding: Any,
    model: str | None,
    limits: "Limits",
    as_json: bool,
    **options: Any,
) -> None:
    """Print the whole protocol of an evaluation of TRUTH, and what each disputed point of it decides.

    TRUTH is a JSON file, or NAME=FOLDER of a public data set. Each point on which papers and their code
    differ is decided the other way, alone, and measured again. Where nothing else is asked for: the paper's
    reading, --encoding cam --size smaller:720 --region-reading cells; and where neither --rerank nor --expand
    is given, --rerank 20 --expand 5, so that all points count; --rerank 0 --expand 0 audits a plain search.
    """
    from camseek.datasets import open_truth
    from camseek.lab.auditing import DEFAULT_EXPAND, DEFAULT_RERANK, DEFAULT_SETTINGS, audit

    options["layer"] = layer_of(model, options["layer"])
    loaded: list[Backbone] = []

    def network() -> "Backbone":
        if not loaded:
            from camseek.backbones import load_model

            loaded.append(load_model(model, layer=options["layer"] or "head"))
        return loaded[0]

    if not any(_is_given(context, name) for name in ("rerank", "expand")):
        options |= {"rerank": DEFAULT_RERANK, "expand": DEFAULT_EXPAND}
        note(f"--rerank {DEFAULT_RERANK} --expand {DEFAULT_EXPAND}, as neither was given")
    options["size"] = options["size"] or DEFAULT_SETTINGS.size
    wanted = encoding or DEFAULT_SETTINGS.encoding
    known = open_truth(truth)
    protocols = read_protocols(
        known,
        network,
        {str(wanted): wanted},
        options,
        default_reading="cells",
        limits=limits,
    )
    base = next(iter(protocols.values()))
    with progress() as shown_progress:
        found = audit(known, base, model=network(), limits=limits, progress=shown_progress)
    for item in found.evaluation.skipped:
        note(f"skipped: {shown(item.path)}: {printable(item.reason)}")
    if as_json:
        emit(found.to_json())
        return
    for line in _lines(found):
        say(line)


def _is_given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT


def _lines(found: "Audit") -> list[str]:
    """The audit for people."""
    facts = found.facts()
    width = max(map(len, facts))
    first = found.evaluation.encodings[0]
    rows = [["", "mAP", "difference", "95 % interval (paired)", "queries changed", ""]]
    rows += [["base", f"{first.mean_average_precision:.3f}", "", "", "", ""]]
    unmeasured: list[str] = []
    for item in found.outcomes:
        text, mean = printable(item.variant.text), item.mean_average_precision
        if mean is None or item.difference is None or item.interval is None:
            unmeasured.append(f"{text}: decides nothing here, {item.variant.reason}")
            continue
        against = "" if item.variant.against == "base" else f"from {item.variant.against}"
        numbers = [f"{mean:.3f}", f"{item.difference:+.3f}", interval(item.interval, "+")]
        rows.append([text, *numbers, str(item.changed), against])
    return [
        *(f"{name.ljust(width)}  {printable(value)}" for name, value in facts.items()),
        "",
        *aligned(rows),
        *(["", *unmeasured] if unmeasured else []),
    ]
