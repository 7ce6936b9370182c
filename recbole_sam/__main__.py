"""``python -m recbole_sam``."""

import sys

from recbole_sam.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
