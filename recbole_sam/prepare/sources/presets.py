"""The published datasets known by name: ``properties/dataset/<name>.yaml``, key ``source``."""

from typing import NamedTuple

from recbole_sam.config import yaml_files
from recbole_sam.prepare.sources.download import Remote


class Preset(NamedTuple):
    """Where a dataset comes from and how to read it.

    Attributes:
        name: as in ``--dataset``.
        title: what it is, for people.
        page: the address of the publisher's page.
        reader: ``amazon``, ``movielens``, ``table``, or ``included`` (in RecBole, nothing to do).
        files: dict of `Remote` by role, in the order they are needed; empty when it cannot be
            fetched. Roles are ``reviews`` and ``meta`` (amazon), ``archive`` (movielens).
        title_field: the field of the ``.item`` file that gets the titles.
        recbole_name: what RecBole calls its own download of the same data, without titles.
        columns: dict, for ``table``: fields of `sources.table.Columns` by name.
    """

    name: str
    title: str
    page: str
    reader: str
    files: dict
    title_field: str = "title"
    recbole_name: str | None = None
    columns: dict | None = None


def load(name):
    """The preset of a dataset.

    Args:
        name (str): as in ``--dataset``.

    Returns:
        Preset or None: None when there is none of that name, or it says nothing of a source.
    """
    file = yaml_files.dataset_file(name)
    if not file.is_file():
        return None
    source = yaml_files.content(file).get("source")
    if source is None:
        return None
    files = {role: Remote(**spec) for role, spec in source.pop("files", {}).items()}
    return Preset(name=name, files=files, **source)


def names():
    """list of str: the presets that can be prepared, in alphabetical order."""
    return [name for name in yaml_files.dataset_names() if load(name)]


def downloaded():
    """list of str: the presets that ``prepare`` fetches by itself, in alphabetical order."""
    return [name for name in names() if load(name).files]


def titled(name):
    """The preset that has titles for data RecBole offers without.

    Args:
        name (str): one of RecBole's own names, such as ``amazon-all-beauty-18``.

    Returns:
        str or None: the name of the preset of the same category and year.
    """
    for preset in map(load, names()):
        if preset.recbole_name == name:
            return preset.name
    return None
