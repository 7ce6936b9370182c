"""Pretrained models out of a folder, from local files only and without running code of the folder."""

from recbole_sam.errors import DataError


def load(what, folder, *kinds):
    """Loads the parts of a model.

    Args:
        what (str): the model, for the sentence, such as ``text encoder``.
        folder (Path): as ``save_pretrained`` writes it.
        *kinds (type): classes of Transformers with ``from_pretrained``, such as ``AutoTokenizer``.

    Returns:
        list: one object a class.

    Raises:
        DataError: the folder is damaged, holds something else, or needs its own code.
    """
    # False, not left out: Transformers would ask on the terminal whether to run the code, and take a "y".
    given = {"local_files_only": True, "trust_remote_code": False}
    try:
        return [kind.from_pretrained(str(folder), **given) for kind in kinds]
    except Exception as error:  # whatever odd files in the folder lead Transformers to
        if "trust_remote_code" in str(error):  # Transformers has no class of its own for this
            raise DataError(
                f"The {what} in {folder} needs code that is in its folder, and code from a model's folder is "
                "never run: use a model whose architecture Transformers knows."
            ) from error
        raise DataError(
            f"The {what} in {folder} cannot be loaded ({first_line(error)}). The folder must hold "
            "config.json, a tokenizer and weights as save_pretrained writes them."
        ) from error


def first_line(error):
    """The first line of an error's text, as a sentence's part."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
