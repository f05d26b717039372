"""``python -m camseek``."""

from camseek.cli import main

main()
