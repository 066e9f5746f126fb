"""The command `r1`, also as `python -m r1`: Ctrl-C is no traceback, not even while it is starting.

Importing the command line takes a second or more on a busy machine; so it is imported inside.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line (r1.cli.main)."""
    try:
        from r1.cli import main as run

        run()
    except KeyboardInterrupt:  # before a command began, or a second one while it was ending
        print("\nStopped.", file=sys.stderr)
        raise SystemExit(130) from None


if __name__ == "__main__":  # vLLM starts its engine by importing this file again
    main()
