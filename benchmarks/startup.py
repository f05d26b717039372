"""How long camseek takes to start, and how much it weighs.

Each in a new process, several times in turns: ``import camseek`` (and, after it, the first use of
``camseek.Engine``, which imports NumPy and Pillow), timed inside; ``camseek --help`` and a Python that does
nothing, from start to end.

With ``--size``, and in a full run, the checkout is installed with all its dependencies into a fresh virtual
environment by pip, and the files there are weighed, without pip and setuptools themselves.
"""

import statistics
import subprocess
import sys
import venv
from pathlib import Path

from common import CHECKOUT, Figure, Options, Report, Table, in_turns, python, spread

_IMPORTS = """
import time
started = time.perf_counter()
import camseek
between = time.perf_counter()
camseek.Engine
print(between - started, time.perf_counter() - between)
"""
_INSTALLERS = ("pip", "setuptools", "_distutils_hack", "distutils-precedence.pth", "pkg_resources")


def measure(options: Options) -> Report:
    """Measures starting, and the installed size where that was asked for."""
    rounds = options.pick(15, 2)
    imports = [
        [float(part) for part in python(["-c", _IMPORTS], options.folder).split()] for _ in range(rounds)
    ]
    commands = in_turns(
        [
            lambda: python(["-m", "camseek", "--help"], options.folder),
            lambda: python(["-c", ""], options.folder),
        ],
        rounds,
    )
    # The first of each compiled the modules.
    columns = [*zip(*imports[1:], strict=True), *zip(*commands[1:], strict=True)]
    table = Table("Starting", ("what", "median, ms", "middle half"))
    names = ("import camseek", "first use of camseek.Engine", "camseek --help", "Python alone")
    for name, column in zip(names, columns, strict=True):
        values = [1000 * value for value in column]
        table.rows.append((name, f"{statistics.median(values):.0f}", spread(values, "{:.0f}")))
    report = Report([table])
    report.figures.append(Figure("import camseek, s", statistics.median(columns[0]), 0.3, "{:.3f}"))
    report.figures.append(Figure("camseek --help, s", statistics.median(columns[2]), 0.5, "{:.3f}"))
    if options.size or not options.quick:
        _weigh(report, options.folder / "installed")
    return report


def _weigh(report: Report, folder: Path) -> None:
    venv.create(folder, with_pip=True)
    interpreter = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    subprocess.run(
        [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(CHECKOUT)],
        check=True,
    )
    asked = [interpreter, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip())
    sizes = {entry.name: _size(entry) for entry in packages.iterdir()}
    installers = sum(size for name, size in sizes.items() if name.split("-")[0] in _INSTALLERS)
    total = sum(sizes.values()) - installers
    table = Table("Installed with all dependencies", ("what", "MB"))
    for name, size in sorted(sizes.items(), key=lambda item: -item[1]):
        if size > 3e6 and name not in _INSTALLERS:
            table.rows.append((name, f"{size / 1e6:.0f}"))
    table.rows.append(("everything but the installers", f"{total / 1e6:.0f}"))
    table.rows.append(("everything", f"{(total + installers) / 1e6:.0f}"))
    report.tables.append(table)
    report.figures.append(Figure("installed with all dependencies, MB", total / 1e6, 360, "{:.0f}"))


def _size(place: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = [place] if place.is_file() else [path for path in place.rglob("*") if path.is_file()]
    return sum(path.stat().st_size for path in files)
