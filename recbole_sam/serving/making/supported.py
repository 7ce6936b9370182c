"""Which models a bundle can hold, and what the others would need."""

from recbole_sam.config import yaml_files
from recbole_sam.errors import DataError

OF_RECBOLE = (
    "BERT4Rec", "CORE", "Caser", "FOSSIL", "FPMC", "GCSAN", "GRU4Rec", "HGN", "HRM", "LightSANs", "NARM",
    "NPE", "NextItNet", "RepeatNet", "SASRec", "SHAN", "SINE", "SRGNN", "STAMP", "TransRec",
)  # fmt: skip
_FEATURES = "the features of users and items beside their numbers"
_KNOWLEDGE = "the pretrained vectors of a knowledge graph"
NEEDS = {
    "DIN": _FEATURES,
    "DIEN": _FEATURES,
    "FDSA": "the features of the items beside their numbers",
    "GRU4RecF": "the features of the items beside their numbers",
    "SASRecF": "the features of the items beside their numbers",
    "S3Rec": "the features of the items beside their numbers",
    "KSR": _KNOWLEDGE,
    "GRU4RecKG": _KNOWLEDGE,
    "FEARec": "the training samples",
}
"""What a model is built from besides sizes and settings."""


def check(config):
    """Refuses a model that cannot be built from sizes and settings, or that reads more than items.

    Args:
        config (Config): that it was trained with.

    Raises:
        DataError: saying what it needs.
    """
    model, ours = config["model"], yaml_files.model_names()
    if model in ours and config["time_bias"]:
        raise DataError(
            f"{model} with time_bias cannot be bundled: it reads the times of items, which a bundle does not "
            "hold. Train it with time_bias=False."
        )
    if model in (*OF_RECBOLE, *ours):
        return
    if model in NEEDS:
        raise DataError(
            f"{model} cannot be bundled: it is built from {NEEDS[model]}, which a bundle does not hold."
        )
    raise DataError(
        f"{model} cannot be bundled. Bundles hold sequential models that items' numbers are enough for: "
        f"{', '.join(sorted((*OF_RECBOLE, *ours)))}."
    )
