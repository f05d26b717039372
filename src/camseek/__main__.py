"""The program, also as ``python -m camseek``: an interrupt ends it in words from the first moment on."""

import importlib
import json
import os
import signal
import sys
from contextlib import suppress
from typing import Any

from camseek.words import INTERRUPTED, NOTHING_WRITTEN


def main() -> None:
    """The ``camseek`` command."""
    ends = signal.getsignal(signal.SIGINT)
    # Who started it may have it ignored.
    if ends is signal.default_int_handler:
        # Loading takes a second, in which nothing could catch an exception, and nothing is written.
        signal.signal(signal.SIGINT, _end)
    cli = importlib.import_module("camseek.cli")
    if ends is signal.default_int_handler:
        signal.signal(signal.SIGINT, ends)
    cli.main()


def _end(*_: Any) -> None:
    """Ends this process at once, as ``camseek.cli`` ends an interrupted verb."""
    if "--json" in sys.argv[1:]:
        error = {"code": "interrupted", "message": "interrupted", "remedy": NOTHING_WRITTEN}
        with suppress(OSError):
            os.write(1, json.dumps({"error": error}).encode() + b"\n")
    with suppress(OSError):
        os.write(2, f"camseek: interrupted; {NOTHING_WRITTEN}\n".encode())
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
