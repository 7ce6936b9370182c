"""JSON files that are there whole or not at all, and hold what they should."""

import contextlib
import json

from recbole_sam.errors import DataError
from recbole_sam.files import replacing


def write(path, content):
    """Writes a JSON file all at once, so that whoever finds it may believe it.

    Args:
        path (Path): replaced when it is there.
        content: what JSON can hold.

    Raises:
        DataError: the disk is full, or may not be written.
    """
    with writing(path), replacing(path) as file:
        file.write(f"{json.dumps(content, indent=1)}\n".encode())


@contextlib.contextmanager
def writing(path):
    """Turns what a disk says of a file into one sentence.

    Args:
        path (Path): for the sentence.

    Raises:
        DataError: the disk is full, or may not be written.
    """
    try:
        yield
    except OSError as error:
        raise DataError(
            f"cannot write {path} ({error.strerror or error}): make room there, and give the same command "
            "again; what is finished is kept."
        ) from error


def read(path, shape, instead):
    """What a JSON file holds.

    Args:
        path (Path): of the file.
        shape: what it must hold, as :func:`fault` takes it.
        instead (str): the end of the sentence: what to do where it holds something else.

    Returns:
        the content.

    Raises:
        DataError: it is no file, no JSON, or holds something else.
    """
    if not path.is_file():
        raise DataError(f"{path} is not readable (it is no file): {instead}.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise DataError(f"{path} is not readable (nested too deeply): {instead}.") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not readable ({error}): {instead}.") from error
    wrong = fault(content, shape)
    if wrong:
        raise DataError(f"{path} is not a file that compare wrote ({wrong}): {instead}.")
    return content


def fault(content, shape, where=""):
    """What is wrong with a value, in a few words; None when nothing is.

    Args:
        content: as JSON gives it.
        shape: a type, or several as a tuple, among them None; ``[shape]`` for a list; ``{key: shape}`` for a
            dictionary with at least these keys, of which those that end with ``?`` may be missing.
        where (str): of the value.

    Returns:
        str or None: such as ``seed is no int``.
    """
    if isinstance(shape, dict):
        if not isinstance(content, dict):
            return f"{where or 'its content'} is no dict"
        lacking = [key for key in shape if not key.endswith("?") and key not in content]
        if lacking:
            return f"{', '.join(lacking)} missing"
        known = [(key.rstrip("?"), inner) for key, inner in shape.items()]
        faults = (fault(content[key], inner, key) for key, inner in known if key in content)
        return next(filter(None, faults), None)
    if isinstance(shape, list):
        if not isinstance(content, list):
            return f"{where or 'its content'} is no list"
        return next(filter(None, (fault(one, shape[0], where) for one in content)), None)
    types = shape if isinstance(shape, tuple) else (shape,)
    fits = content is None if None in types else False
    for kind in filter(None, types):
        fits |= isinstance(content, (int, float) if kind is float else kind) and (
            kind is bool or not isinstance(content, bool)
        )
    named = " or ".join(kind.__name__ for kind in types if kind)
    return None if fits else f"{where or 'its content'} is no {named}"
