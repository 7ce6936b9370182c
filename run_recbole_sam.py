"""Train and evaluate: ``python run_recbole_sam.py --model=SAM --dataset=amazon-beauty``."""

import sys

from recbole_sam.cli.main import main

if __name__ == "__main__":  # workers of --nproc import this file again
    sys.exit(main(["run", *sys.argv[1:]]))
