"""`python -m pinpoint`: the command line."""

from pinpoint.cli import app

if __name__ == "__main__":
    app(prog_name="python -m pinpoint")
