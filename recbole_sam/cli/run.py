"""``python -m recbole_sam run``: the same as ``python run_recbole_sam.py``."""

from recbole_sam import run as experiment


def add_parser(subparsers, help):
    """Adds the subcommand ``run``, which takes any RecBole setting as ``--key=value``."""
    parser = subparsers.add_parser("run", help=help, add_help=False, allow_abbrev=False)
    parser.set_defaults(takes_settings=True)
    return parser


def run(args):
    """Trains and evaluates; RecBole prints the results.

    Args:
        args (argparse.Namespace): ``settings``, a list of ``--key=value``.

    Returns:
        int: 0.
    """
    experiment.main(args.settings)
    return 0
