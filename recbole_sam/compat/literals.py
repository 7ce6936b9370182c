"""Values of settings are read, never run: where RecBole calls ``eval``, a literal is read instead."""

import ast
import functools
import re
import warnings

from recbole_sam.compat.steps import step
from recbole_sam.errors import SettingError

LONGEST = 100_000
"""Characters of a value: any longer one is a file in the wrong place."""


def read(text):
    """The value of a setting's text, as RecBole's ``eval`` gives it for literals.

    Args:
        text (str): from the command line, a file or a dictionary.

    Returns:
        object: a number, text in quotes, list, tuple, dict, bool or None.

    Raises:
        NameError: it is a plain word (a name, a call, no Python at all), which stays a text, as in RecBole.
        SettingError: it is an expression such as ``2*3``, or too long or deep to be read.
    """
    if len(text) > LONGEST:
        raise SettingError(f"a setting has {len(text):,} characters: give at most {LONGEST:,}.")
    try:
        with warnings.catch_warnings():  # Python warns of "1or" and of "\\d"
            warnings.simplefilter("ignore")
            tree = ast.parse(text.lstrip(" \t"), mode="eval")
            return ast.literal_eval(tree)
    except SyntaxError as error:
        if "integer string conversion" in str(error):
            raise SettingError(f"a setting is a number with too many digits: {text[:20]}...") from None
        raise NameError(text) from None
    except (RecursionError, MemoryError):
        raise SettingError(f"a setting has too many brackets inside each other: {text[:20]}...") from None
    except (ValueError, TypeError):  # NUL bytes; what is no literal; a list as a key
        if "\0" in text or _is_expression(text):
            raise SettingError(
                f"'{text}' is an expression, and settings are not computed: write its value, or put quotes "
                "around a text."
            ) from None
        raise NameError(text) from None


def _is_expression(text):
    """Whether a text computes with literals alone; a name or a call in it makes it a text."""
    nodes = list(ast.walk(ast.parse(text.lstrip(" \t"), mode="eval")))
    return not any(isinstance(node, ast.Name | ast.Call) for node in nodes)


@step("values of the command line, of files and of dictionaries are run as Python code (eval)", "none yet")
def settings_are_literals():
    from recbole.config import configurator

    configurator.eval = read  # found before the builtin; a NameError leaves the text as it is


@step("search ranges (.hyper files) are run as Python code (eval)", "none yet")
def ranges_are_literals():
    from recbole.trainer import hyper_tuning

    build = hyper_tuning.HyperTuning._build_space_from_file

    def read_choice(text):
        values = read(text)
        if not isinstance(values, list | tuple):
            raise ValueError(text)
        return values

    @functools.wraps(build)
    def build_from_literals(file):
        try:
            return build(file)
        except (ValueError, NameError) as error:
            raise SettingError(
                f"the search ranges in {file} cannot be read ({str(error)[:160]}): write lines such as "
                "'learning_rate loguniform -8,0', "
                "'n_layers choice [1,2]' or \"loss_type choice ['CE','BPR']\"."
            ) from error

    hyper_tuning.eval = read_choice
    hyper_tuning.HyperTuning._build_space_from_file = staticmethod(build_from_literals)


def identifier(text):
    """Whether a text is the name of a thing and nothing else."""
    return isinstance(text, str) and re.fullmatch(r"[A-Za-z_]\w*", text) is not None
