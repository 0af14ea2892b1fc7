"""
The program: what the console script `reconcile` and `python -m reconcile` start.

Until the command line takes over, this file answers for two things: Ctrl-C while modules are still being imported ends
with 130 and no traceback, and `python -m` runs no module that happens to lie in the working directory.
"""

import sys


def main() -> None:
    """Runs the command line; exits with its code."""
    try:
        from reconcile.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        sys.exit(130)


if __name__ == "__main__":
    # `python -m` puts the working directory before everything that is installed: a checkout with a click.py would run
    # it. Python itself has imported a little from there by now, which only the console script and `python -P` avoid.
    if not sys.flags.safe_path:
        del sys.path[0]
    main()
