"""Hooks of the documentation's site (mkdocs.yml): pages from elsewhere, equations, the REST reference.

::

    pip install --editable '.[site]'
    mkdocs build --strict

Equations between ``$$`` or ``$`` become MathML, which browsers draw by themselves: no script, nothing loaded.
"""

import json
import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
# Pages of the repository that lie outside of docs, by their names in the site.
_ELSEWHERE = {
    "benchmarks.md": "benchmarks/README.md",
    "paper-tables.md": "benchmarks/paper.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
}
_PICTURES = "benchmarks/figures"
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)")
_FENCED = re.compile(r"(^```.*?^```$|^~~~.*?^~~~$|`[^`\n]+`)", re.M | re.S)
_BLOCK = re.compile(r"^\$\$\n(.*?)\n\$\$$", re.M | re.S)
_INLINE = re.compile(r"(?<![\\$\w])\$([^$\n]+?)\$(?![\w$])")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Brings in what lies elsewhere."""
    for name, place in _ELSEWHERE.items():
        files.append(File.generated(config, name, content=(ROOT / place).read_text("utf-8")))
    for path in sorted((ROOT / _PICTURES).glob("*")):
        files.append(File.generated(config, f"figures/{path.name}", content=path.read_bytes()))
    files.append(File.generated(config, "rest.md", content=rest()))
    return files


def on_page_markdown(markdown: str, page: Any, config: MkDocsConfig, files: Files) -> str:
    """Points links into the site, and draws equations."""
    place: str = page.file.src_uri
    parts = _FENCED.split(markdown)
    for number in range(0, len(parts), 2):
        part = _LINK.sub(lambda found: _link(found[1], found[2], place), parts[number])
        part = _BLOCK.sub(lambda found: f"\n{convert(found[1].strip(), display='block')}\n", part)
        parts[number] = _INLINE.sub(lambda found: convert(found[1]), part)
    return "".join(parts)


def _link(text: str, target: str, place: str) -> str:
    """A link from a page of the site; one to a file that is not in it is its text alone."""
    if re.match(r"[a-z]+:|#", target):
        return f"[{text}]({target})"
    path, _, anchor = target.partition("#")
    home = ROOT / _ELSEWHERE.get(place, f"docs/{place}")
    wanted = (home.parent / path).resolve()
    known = {(ROOT / elsewhere).resolve(): name for name, elsewhere in _ELSEWHERE.items()}
    known[(ROOT / "README.md").resolve()] = "index.md"
    if wanted in known:
        name = known[wanted]
    elif wanted.is_relative_to(ROOT / "docs"):
        name = wanted.relative_to(ROOT / "docs").as_posix()
    elif wanted.is_relative_to(ROOT / _PICTURES):
        name = f"figures/{wanted.name}"
    else:
        return text
    up = "../" * place.count("/")
    return f"[{text}]({up}{name}{'#' if anchor else ''}{anchor})"


def rest() -> str:
    """The REST reference, from the service's OpenAPI text."""
    text: dict[str, Any] = json.loads((ROOT / "web" / "openapi.json").read_text("utf-8"))
    lines = ["# The REST API", "", text["info"]["description"], ""]
    for path, methods in text["paths"].items():
        for method, told in methods.items():
            lines += [f"### {method.upper()} `{path}`", "", told.get("description", told["summary"]), ""]
            given = told.get("parameters", [])
            if given:
                lines += ["| parameter | in | values |", "| --- | --- | --- |"]
                lines += [
                    f"| `{item['name']}` | {item['in']} | {_values(item['schema'])} |" for item in given
                ]
                lines.append("")
            for kind, body in told.get("requestBody", {}).get("content", {}).items():
                lines += [f"Body: `{kind}`, {_values(body['schema'])}", ""]
            for status, answer in told["responses"].items():
                for kind, body in answer.get("content", {}).items():
                    if status != "default" and body.get("schema"):
                        lines += [f"{status}: `{kind}`, {_values(body['schema'])}", ""]
    lines += ["## Records", ""]
    for name, schema in text["components"]["schemas"].items():
        lines += [f"### {name}", "", schema.get("description", ""), ""]
        fields = schema.get("properties", {})
        if fields:
            lines += ["| field | values | |", "| --- | --- | --- |"]
            for field, told in fields.items():
                wanted = "" if field in schema.get("required", ()) else "may be left out. "
                about = told.get("description", "")
                lines.append(f"| `{field}` | {_values(told)} | {wanted}{about} |")
            lines.append("")
    return "\n".join(lines)


def _values(schema: dict[str, Any]) -> str:
    """What a value may be, in a cell."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_values(item) for item in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{item}`" for item in schema["enum"])
    if schema.get("type") == "array":
        if "prefixItems" in schema:
            return f"[{', '.join(_values(item) for item in schema['prefixItems'])}]"
        return f"list of {_values(schema.get('items', {}))}"
    kind = str(schema.get("type", "anything"))
    low, high = schema.get("minimum"), schema.get("maximum")
    span = f" {low} to {high}" if low is not None and high is not None else ""
    default = f", {json.dumps(schema['default'])} by default" if "default" in schema else ""
    return f"{kind}{span}{default}"
