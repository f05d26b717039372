"""Every check of this project: lint, types, layers, documentation, tests.

::

    python tools/check.py            all of it, as continuous integration has it
    python tools/check.py --quick    without the tests that take long
    python tools/check.py -x -k walk other arguments go to pytest

Run it with the Python of an environment that has this checkout, editable, and its ``dev`` extra. Tests run
in two processes, beside the other checks; the first that fails ends all.
"""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = Path(sysconfig.get_path("scripts"))
# Without its advertisement.
ENVIRONMENT = os.environ | {"NO_MKDOCS_2_WARNING": "1"}

# Arithmetic, settings, names, words, the store, small files: no network, no command, no process, no picture.
QUICK = (
    "tests/encoding",
    "tests/evaluation",
    "tests/matching/test_agreement.py",
    "tests/matching/test_codebook.py",
    "tests/matching/test_fine.py",
    "tests/matching/test_index.py",
    "tests/matching/test_planes.py",
    "tests/matching/test_words.py",
    "tests/store/test_names.py",
    "tests/store/test_ranking.py",
    "tests/store/test_vectors.py",
    "tests/images/test_formats.py",
    "tests/images/test_walk.py",
    "tests/test_arguments.py",
    "tests/test_config.py",
    "tests/test_listing.py",
    "tests/test_patterns.py",
    "tests/test_places.py",
    "tests/test_words.py",
)


def require_own_source() -> None:
    """Makes sure that the tests would run this checkout's source, and no other copy of the package."""
    command = [sys.executable, "-c", "import camseek; print(camseek.__file__)"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    place = done.stdout.strip()
    wanted = ROOT / "src" / "camseek" / "__init__.py"
    if not place or not os.path.samefile(place, wanted):
        sys.exit(
            f"the tests would run {place or 'no camseek at all'}, not {wanted}; "
            "install this checkout: pip install --editable '.[dev]'"
        )


def main() -> int:
    """Runs the checks."""
    given = sys.argv[1:]
    quick = "--quick" in given
    tests = [argument for argument in given if argument != "--quick"]
    require_own_source()
    # Two processes, each with whole modules: what a module makes for its tests is made once.
    command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadfile", *(QUICK if quick else ())]
    testing = subprocess.Popen(shown(*command, *tests), cwd=ROOT)
    try:
        for check in (
            [SCRIPTS / "ruff", "check", "."],
            [SCRIPTS / "ruff", "format", "--check", "."],
            [SCRIPTS / "pyright", "--pythonpath", sys.executable],
            [SCRIPTS / "lint-imports"],
            # The documentation's site; a link that leads nowhere is a failure.
            *([] if quick else [[SCRIPTS / "mkdocs", "build", "--strict", "--quiet"]]),
        ):
            done = subprocess.run(
                shown(*check), cwd=ROOT, check=False, capture_output=True, text=True, env=ENVIRONMENT
            )
            if done.returncode:
                print(done.stdout + done.stderr, flush=True)
                return done.returncode
        return testing.wait()
    finally:
        testing.terminate()
        testing.wait()


def shown(*command: object) -> list[str]:
    """A command, printed as it is run."""
    words = [str(part) for part in command]
    print("$", " ".join([Path(words[0]).name, *words[1:]]), flush=True)
    return words


if __name__ == "__main__":
    sys.exit(main())
