"""One of the processes that the tests are spread over, forked from a server with the heavy imports done (`warm.py`).

execnet starts it as a Python interpreter, and speaks to it by its standard input and output. It hands them to a process
of the server's, and stays as long as that one: of some 15 s of imports, each of them is spared ten.
"""

from __future__ import annotations

import os
import sys

from tests import warm

BOOTSTRAP = "tests/bootstrap.py"


def main() -> None:
    """Be what `python -u -c …` would have been."""
    process = warm.start([BOOTSTRAP, sys.argv[-1]], os.environ, 0, 1, 2)
    with open(os.devnull, "r+b") as nothing:  # the end of either stream is the end of that process's
        os.dup2(nothing.fileno(), 0)
        os.dup2(nothing.fileno(), 1)
    sys.exit(process.wait())


if __name__ == "__main__":
    main()
