"""What of the page lies in the package: that it is whole, small, and asks nothing of anybody else."""

import gzip
import hashlib
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "src" / "camseek" / "service" / "page"
WEB = ROOT / "web"
MOST = 300_000


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_it_is_small():
    assert sum(len(gzip.compress(content)) for content in files(PAGE).values()) < MOST


def test_it_names_only_what_is_there_and_runs_nothing_of_its_own_text():
    class Names(HTMLParser):
        found = ()

        def handle_starttag(self, tag, attrs):
            attributes = dict(attrs)
            assert "style" not in attributes
            assert not any(name.startswith("on") for name in attributes)
            assert tag != "style"
            assert tag != "script" or attributes.get("src")
            self.found += tuple(attributes[name] for name in ("src", "href") if name in attributes)

    names = Names()
    names.feed((PAGE / "index.html").read_text(encoding="utf-8"))
    assert names.found
    for name in names.found:
        assert (PAGE / name).is_file()


def test_it_asks_no_other_site():
    named = {
        found
        for name, content in files(PAGE).items()
        if name.endswith((".js", ".css", ".html"))
        for found in re.findall(rb"https?://([\w.-]+)", content)
    }
    assert named <= {b"www.w3.org"}  # names of vocabularies, which nobody fetches


def test_it_is_what_its_source_makes(tmp_path):
    """By the checksum of its source; where Node and web/node_modules are, byte for byte besides."""
    sum_ = hashlib.sha256()
    places = ("src", "public", "index.html", "package-lock.json", "vite.config.mjs")
    found = [
        file for place in places for file in ([WEB / place, *(WEB / place).rglob("*")]) if file.is_file()
    ]
    names = {file.relative_to(WEB).as_posix() for file in found} - {"src/schema.ts"}  # types leave nothing
    for name in sorted(names):
        sum_.update(f"{name}\0".encode() + (WEB / name).read_bytes() + b"\0")
    again = "the page is not that of web/: npm ci && npm run build there"
    assert (PAGE / "source.sha256").read_text() == sum_.hexdigest() + "\n", again
    if shutil.which("npm") and (WEB / "node_modules").is_dir():
        build = ["npm", "run", "--silent", "build", "--", "--outDir", str(tmp_path), "--logLevel", "error"]
        subprocess.run(build, cwd=WEB, check=True)
        assert files(tmp_path) == files(PAGE), again
