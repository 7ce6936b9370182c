"""The command line: ``python -m recbole_sam`` or ``recbole-sam``."""

import argparse
import sys

from recbole_sam.cli import compare, doctor, interests, prepare, run
from recbole_sam.errors import RecBoleSAMError

COMMANDS = (run, prepare, interests, compare, doctor)
USER_ERROR = 2


def main(words=None):
    """Runs a subcommand.

    Args:
        words (list of str, optional): without the program's name; default: of this process.

    Returns:
        int: the exit code; 2 when the user has to mend something, which is then said in one sentence.
    """
    parser = argparse.ArgumentParser(
        prog="recbole-sam",
        description="LLM-semantic multi-interest sequential recommendation inside RecBole.",
        allow_abbrev=False,
    )
    subparsers = parser.add_subparsers(metavar="command", required=True)
    for command in COMMANDS:
        command.add_parser(subparsers).set_defaults(run=command.run)
    args, settings = parser.parse_known_args(words)
    if settings and not getattr(args, "takes_settings", False):
        parser.error(f"unrecognised: {' '.join(settings)}")
    args.settings = settings
    return guarded(args.run, args)


def guarded(function, *args):
    """Calls a function; a user's mistake becomes one sentence on standard error and exit code 2."""
    try:
        return function(*args)
    except RecBoleSAMError as error:
        print(f"recbole-sam: {error}", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        print("recbole-sam: interrupted.", file=sys.stderr)
        return 130
