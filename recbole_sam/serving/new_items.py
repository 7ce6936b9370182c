"""Items that came after training, scored by their titles alone, without training again."""

import numpy as np
import torch

from recbole_sam.errors import DataError
from recbole_sam.models.parts.item_text import ProjectedTexts, Standard


def check_reads_titles(model, name):
    """Refuses a model that would know nothing of a new item.

    Args:
        model (SequentialRecommender): of a bundle.
        name (str): of the model.

    Raises:
        DataError: it reads no titles.
    """
    if not any(isinstance(module, ProjectedTexts) for module in model.modules()):
        raise DataError(
            f"{name} as it was trained reads no titles, so it knows nothing of new items: bundle a model "
            "that does, such as SAM or SASRecText."
        )


def lengthen(tensors, model, count):
    """The tensors of a bundle with zeros for new items at the end of every table of items.

    Args:
        tensors (dict): name to tensor, for N items.
        model (SequentialRecommender): built for N + ``count``.
        count (int): new items.

    Returns:
        dict: name to tensor.
    """
    wanted = {**dict(model.named_buffers()), **model.state_dict()}
    n_items = model.n_items - count
    longer = {}
    for name, tensor in tensors.items():
        is_table = tensor.dim() and len(tensor) == n_items
        if is_table and name in wanted and len(wanted[name]) == model.n_items:
            tensor = torch.cat([tensor, tensor.new_zeros(count, *tensor.shape[1:])])
        longer[name] = tensor
    return longer


def give_titles(model, vectors):
    """Lets a model read the titles of its last items.

    Args:
        model (SequentialRecommender): with rows for them.
        vectors (numpy.ndarray): float32 [m, H], of the text encoder; zeros say nothing.
    """
    vectors = torch.from_numpy(np.ascontiguousarray(vectors))
    for module in model.modules():
        if isinstance(module, ProjectedTexts):
            says = vectors.any(dim=1)
            standard = Standard(module.centre, module.scale)
            module.texts[-len(vectors) :] = standard(vectors) * says.unsqueeze(1)
            module.known[-len(vectors) :] = says.unsqueeze(1)
