"""Which items are near an item, by the model's vectors or by their texts."""

import torch
from torch.nn import functional as F

from recbole_sam.errors import DataError, SettingError
from recbole_sam.serving.scores import top

BY = ("model", "text")


def nearest(vectors, items, k):
    """The nearest items of some items, by the cosine.

    Args:
        vectors (torch.Tensor): [N, d], padding first; a vector of zeros is near nothing.
        items (torch.LongTensor): [n], item numbers.
        k (int): how many.

    Returns:
        tuple: item numbers and cosines, both [n, k]; the number is 0 where there are no more.
    """
    units = F.normalize(vectors.float(), dim=1)
    cosines = units[items] @ units.T
    silent = ~vectors.any(dim=1)
    cosines[:, silent] = cosines[silent[items]] = -torch.inf
    cosines[:, 0] = -torch.inf
    cosines[torch.arange(len(items)), items] = -torch.inf
    values, index = top(cosines, min(k, len(vectors) - 1))
    return index.masked_fill(values == -torch.inf, 0), values


def check_by(by):
    """Refuses what items cannot be compared by.

    Raises:
        SettingError: naming the two ways.
    """
    if by not in BY:
        raise SettingError(f"by is {by!r}; it must be {' or '.join(BY)}.")


def model_vectors(model, name):
    """The vectors [N, d] that a model compares users with.

    Args:
        model (SequentialRecommender): of a bundle.
        name (str): of the model.

    Raises:
        DataError: it has no single vector for an item.
    """
    with torch.no_grad():
        if hasattr(model, "item_vectors"):
            return model.item_vectors()
        table = getattr(model, "item_embedding", None)
        if table is None:
            raise DataError(f"{name} has no single vector for an item: use --by=text if it reads titles.")
        vectors = table.weight[: model.n_items]
        text = getattr(model, "item_text", None)
        return vectors if text is None else vectors + text()
