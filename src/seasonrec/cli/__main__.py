"""``python -m seasonrec.cli``: the console script, for processes that start others."""

import sys

from seasonrec.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
