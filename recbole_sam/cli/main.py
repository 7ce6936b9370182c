"""The command line: ``python -m recbole_sam`` or ``recbole-sam``."""

import argparse
import importlib
import sys

from recbole_sam.cli.boundary import guarded
from recbole_sam.errors import SettingError, nearest

COMMANDS = {
    "run": "train and evaluate a model (run_recbole_sam.py)",
    "prepare": "make a RecBole dataset from published files",
    "interests": "build the interests of a dataset (Stage 1), show, import or export them",
    "compare": "train several models with several seeds on one split and test the differences",
    "bundle": "make a folder of a trained model that answers without its dataset",
    "recommend": "the best next items from a bundle: for users, for sessions, for everybody",
    "explain": "why an item is recommended to somebody, from a bundle",
    "similar": "the items nearest to an item, from a bundle",
    "serve": "answer over HTTP from bundles, with a page to play with",
    "doctor": "show versions, adjustments of RecBole, GPU, BERT, API key, datasets",
}
"""Each is a module here, imported when it is called: ``--help`` needs neither RecBole nor torch."""


class Parser(argparse.ArgumentParser):
    """One that says what is wrong in a sentence, as all of our errors do."""

    def error(self, message):
        raise SettingError(f"{message} (`{self.prog} --help` shows what it takes).")


def main(words=None):
    """Runs a subcommand.

    Args:
        words (list of str, optional): without the program's name; default: of this process.

    Returns:
        int: the exit code, as of :func:`recbole_sam.cli.boundary.guarded`.
    """
    return guarded(_main, sys.argv[1:] if words is None else words)


def _main(words):
    parser = Parser(
        prog="recbole-sam",
        description="LLM-semantic multi-interest sequential recommendation inside RecBole.",
        allow_abbrev=False,
    )
    subparsers = parser.add_subparsers(metavar="command", required=True)
    called, settings, command = words[0] if words else None, [], parser
    if called and not called.startswith("-") and called not in COMMANDS:
        raise SettingError(f"There is no command '{called}': `recbole-sam --help` lists them.")
    for name, sentence in COMMANDS.items():
        if name != called:
            subparsers.add_parser(name, help=sentence)
            continue
        module = importlib.import_module(f"recbole_sam.cli.{name}")
        command = module.add_parser(subparsers, sentence)
        command.set_defaults(run=module.run)
        if command.get_default("takes_settings"):
            words, settings = split_settings(words, command)
    args, others = parser.parse_known_args(words)
    if others and not getattr(args, "takes_settings", False):
        guess = nearest(others[0].partition("=")[0], command._option_string_actions)
        command.error(f"unrecognised: {' '.join(others)}.{guess}")
    _refuse_empty(args, command)
    args.settings = [*settings, *others]  # what is no setting is refused where settings are read
    return args.run(args)


def _refuse_empty(args, command):
    """Refuses an option without a value, as an unset variable of a shell leaves it: it would mean another."""
    for action in command._actions:
        value = getattr(args, action.dest, None)
        if any(isinstance(each, str) and not each.strip() for each in (value if _many(value) else [value])):
            name = (action.option_strings or [action.dest])[0]
            raise SettingError(f"{name} is empty: give it a value, or leave it out.")


def _many(value):
    return isinstance(value, list | tuple)


def split_settings(words, parser):
    """Takes the settings out of command-line words, before argparse sees them.

    Argparse takes one whose value holds a space for a positional argument, as ``interests`` has them.

    Args:
        words (list of str): without the program's name.
        parser (argparse.ArgumentParser): of the subcommand; its own options stay where they are.

    Returns:
        tuple: the other words, and the settings as ``--key=value``, two lists of str.
    """
    options = parser._option_string_actions  # argparse has no public list of them
    settings, others = [], []
    for word in words:
        key, equals, _ = word.partition("=")
        (settings if equals and key.startswith("--") and key not in options else others).append(word)
    return others, settings
