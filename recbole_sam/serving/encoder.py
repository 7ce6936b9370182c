"""The text encoder of a bundle, for titles and phrases that come after training."""

import torch

from recbole_sam.config import yaml_files
from recbole_sam.encoders.encode import FittedLSA
from recbole_sam.errors import DataError
from recbole_sam.interests import stage1
from recbole_sam.serving import bundle_files
from recbole_sam.serving.stand_in import Settings


def settings_of(files):
    """The settings of a bundle (Settings), as Stage 1 reads them on this machine."""
    here = {"text_batch_size": yaml_files.content(yaml_files.interests_file())["text_batch_size"]}
    return Settings({**here, **files.facts["settings"], "device": torch.device("cpu")})


def text_encoder(files):
    """The fitted text encoder.

    Args:
        files (BundleFiles): of the bundle.

    Returns:
        TextEncoder: whose ``fit`` learns nothing more.

    Raises:
        DataError: the bundle has none, or the pretrained model on this machine is another one.
    """
    made = files.facts["encoder"]
    if made is None:
        raise DataError(
            f"The bundle {files.folder} has no text encoder: {files.facts['model']} as it was trained reads "
            "no titles."
        )
    if bundle_files.WORDS in files:
        arrays = {name: array.clone().numpy() for name, array in files.tensors(bundle_files.ENCODER).items()}
        return FittedLSA(made, files.json(bundle_files.WORDS), arrays["idf"], arrays["components"])
    encoder = stage1.text_encoder(settings_of(files))
    if encoder.fingerprint() != made:
        raise DataError(
            f"The bundle {files.folder} was made with the text encoder {made.get('model')} of other files "
            "(SHA-256) than those on this machine: put the same model in its place."
        )
    return encoder
