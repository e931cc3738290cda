"""`python -m pinpoint`: the command line."""

import sys

if __name__ == "__main__":
    try:
        from pinpoint.cli import app
    except KeyboardInterrupt:  # before any command had begun
        sys.exit(130)
    app(prog_name="python -m pinpoint")
