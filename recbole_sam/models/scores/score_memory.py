"""How much memory RecBole's full ranking takes, and the batch of users that fits.

For sequential models RecBole's ``eval_batch_size`` counts users, and every one of them has a score for
every item.
"""

import psutil
import torch

BYTES_PER_SCORE = 8
"""A float32, and 4 bytes more: an int32 in RecBole's matrix of positives (``Collector.eval_batch_collect``),
or, while the next batch is scored, the float32 of the last one, which RecBole's loop still holds."""

BYTES_PER_VOTE = 32
"""Of ``item_knn``, for each neighbour of each item in a history: item, similarity and what is made of them.
At most 22 measured on a CPU; more, to be on the safe side. A byte an item more tells what the user took."""

COPIES_OF_PARAMETERS = 4
"""Each parameter, its gradient, and the two moments of RecBole's default learner, Adam."""


def free_memory(device):
    """Bytes that are free on a device of torch (of the machine, unless it is a CUDA GPU)."""
    if device.type == "cuda":
        unused_by_torch = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused_by_torch
    return psutil.virtual_memory().available


def too_large(users, n_items, free, votes=0):
    """The warning about an evaluation batch that does not fit.

    Args:
        users (int): in the largest batch.
        n_items (int): N.
        free (int): bytes.
        votes (int): of ``item_knn`` for one user, L * M; 0 without it.

    Returns:
        str or None: one sentence with the batch that fits; None when this one does.
    """
    a_user = n_items * BYTES_PER_SCORE + (n_items + votes * BYTES_PER_VOTE if votes else 0)
    needed = users * a_user
    if needed <= free:
        return None
    fitting = max(1, free // a_user)
    return (
        f"full ranking of {n_items:,} items takes up to {needed / 1e9:.1f} GB for a batch of {users:,} "
        f"users, and {free / 1e9:.1f} GB are free: set eval_batch_size to {fitting:,} or less."
    )


def warning(config, dataset, parameters):
    """What :func:`too_large` says of a run.

    Args:
        config (recbole.config.Config): of the run.
        dataset (recbole.data.dataset.Dataset): a part of its data.
        parameters (iterable of torch.nn.Parameter): of the model, before its training.

    Returns:
        str or None: see :func:`too_large`; None also when no phase ranks all items.
    """
    if "full" not in config["eval_args"]["mode"].values():
        return None
    users = config["eval_batch_size"]
    if "LS" in config["eval_args"]["split"]:  # leave-one-out: one sample a user at most
        users = min(users, dataset.user_num)
    training = COPIES_OF_PARAMETERS * sum(each.numel() * each.element_size() for each in parameters)
    free = max(0, free_memory(torch.device(config["device"])) - training)
    neighbours = min(config["item_knn_size"], dataset.item_num) if config["item_knn"] else 0
    votes = config["MAX_ITEM_LIST_LENGTH"] * neighbours
    return too_large(users, dataset.item_num, free, votes)
