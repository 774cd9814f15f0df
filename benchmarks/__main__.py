"""``python -m benchmarks [text ...]``: the command of ``rushlight.bench`` with the repository's rows."""

import sys

from rushlight.bench.__main__ import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], prog="python -m benchmarks", rows="benchmarks.rows"))
