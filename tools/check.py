"""Every check of this project, in the order of their patience: lint, types, layers, tests.

Run it with the Python of an environment that has the built package and its ``dev`` extra; it ends with 1 at
the first check that fails. Arguments go to pytest.
"""

import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = Path(sysconfig.get_path("scripts"))


def main() -> int:
    """Runs the checks."""
    checks = [
        [SCRIPTS / "ruff", "check", "."],
        [SCRIPTS / "ruff", "format", "--check", "."],
        [SCRIPTS / "pyright", "--pythonpath", sys.executable],
        [SCRIPTS / "lint-imports"],
        [sys.executable, "-m", "pytest", *sys.argv[1:]],
    ]
    for check in checks:
        command = [str(part) for part in check]
        print("$", " ".join([Path(command[0]).name, *command[1:]]), flush=True)
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
