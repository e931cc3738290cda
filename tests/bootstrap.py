"""What `python -c LINE` does, in a process that is there already: execnet's first line (`node.py`)."""

import sys

if __name__ == "__main__":
    del globals()["__file__"]  # processes that multiprocessing starts run their parent's file, where it has one
    exec(sys.argv[1])
