"""Whether a pretrained encoder is still the one that made some vectors."""

from recbole_sam.encoders.encode import digest_files, find_model
from recbole_sam.errors import DataError


def has_changed(name, made, vectors):
    """Whether the files of a model were replaced after it made some vectors.

    Args:
        name (str): ``text_encoder``.
        made (dict): the fingerprint of the encoder that made the vectors.
        vectors (pathlib.Path): their file. Models are large: one that is older than it is not read again.

    Returns:
        bool: False, too, where the model is not on this machine, which vectors do without.
    """
    if "sha256" not in made:
        return False
    try:
        folder = find_model(name, download=False)
    except DataError:
        return False
    written = vectors.stat().st_mtime
    newer = any(path.stat().st_mtime > written for path in folder.iterdir())
    return newer and digest_files(folder) != made["sha256"]
