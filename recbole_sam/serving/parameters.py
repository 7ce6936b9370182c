"""What of a trained model has to be kept, found by comparing it with one built from sizes alone."""

import torch

from recbole_sam.errors import DataError
from recbole_sam.models.parts.interest_reader import InterestReader
from recbole_sam.models.parts.item_text import ProjectedTexts
from recbole_sam.serving import stand_in

_INTERESTS = ("phrase_embeddings", "user_phrases", "user_k", "support")
_OF_USERS = ("taken_starts", "taken")
"""Buffers of item_knn: what each user took."""


def kept(trained, settings, with_users, **parts):
    """The tensors of a model that a bundle has to hold.

    Args:
        trained (Trained): the checkpoint.
        settings (dict): its settings, as the bundle will have them.
        with_users (bool): whether what belongs to single users is among them.
        **parts: item texts and width of the interests, as :func:`recbole_sam.serving.stand_in.build` takes
            them.

    Returns:
        tuple: name to tensor, and for how many users the model is to be built.

    Raises:
        DataError: the model is built from more than sizes and settings.
    """
    n_users, n_items = len(trained.user_tokens), len(trained.item_tokens)
    try:
        of_nobody = stand_in.build(settings, 1, n_items, **parts)
    except (AttributeError, KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
        raise DataError(
            f"{settings['model']} cannot be bundled: with these settings it is built from more than the "
            f"numbers of users and items ({type(error).__name__}: {' '.join(str(error).split())[:150]})."
        ) from error
    tensors = {name: tensor.detach() for name, tensor in trained.model.state_dict().items()}
    sizes = {name: tensor.shape for name, tensor in of_nobody.state_dict().items()}
    _check_same_names(tensors.keys(), sizes.keys(), settings["model"])
    tensors = {name: tensors[name] for name in sizes}
    of_users = [name for name, tensor in tensors.items() if tensor.shape != sizes[name]]
    for name in of_users:
        if len(tensors[name]) != n_users or tensors[name].shape[1:] != sizes[name][1:]:
            raise DataError(
                f"{settings['model']} cannot be bundled: the size of its {name} is that of no table."
            )
        known = tensors[name][1:]
        stranger = known.mean(dim=0, keepdim=True)  # is the mean of those that the model knows
        tensors[name] = torch.cat([stranger, known]) if with_users else stranger
    tensors |= _buffers(trained.model, of_nobody, with_users)
    reads_users = of_users or any(name.endswith(_OF_USERS) for name in tensors)
    return tensors, n_users if with_users and reads_users else 1


def _check_same_names(saved, built, model):
    """Refuses other weights than those of a model built from sizes, but for what EIMF needs in training."""
    others = {name for name in saved ^ built if not name.startswith("semantic_projection.")}
    if others or built - saved:
        raise DataError(f"{model} cannot be bundled: without its dataset it has other weights.")


def _buffers(model, of_nobody, with_users):
    """The buffers that no checkpoint holds and that sizes alone do not give."""
    rebuilt = dict(of_nobody.named_buffers())
    skipped = set(_INTERESTS) if isinstance(model, InterestReader) else set()
    for name, module in model.named_modules():
        if isinstance(module, ProjectedTexts):
            skipped |= {f"{name}.{buffer}" for buffer in ("texts", "known", "centre", "scale")}
    found = {}
    for name, buffer in model.named_buffers():
        same = rebuilt.get(name)
        if name in skipped or (same is not None and same.shape == buffer.shape and same.equal(buffer)):
            continue
        own = name.rpartition(".")[2]
        if not with_users and own in _OF_USERS:  # of one user, who took nothing
            found[name] = buffer.new_zeros(2 if own == "taken_starts" else 0)
            continue
        found[name] = buffer.detach()
    return found


def load(model, tensors):
    """Gives a model that was built from sizes the tensors of :func:`kept`, without copying them.

    Raises:
        DataError: they are not of this model.
    """
    names = model.state_dict().keys()
    try:
        model.load_state_dict({name: tensors[name] for name in names}, assign=True)
    except (KeyError, RuntimeError) as error:
        raise DataError("The weights of this bundle are of another version of the model.") from error
    for name, tensor in tensors.items():
        if name not in names:
            owner, _, buffer = name.rpartition(".")
            setattr(model.get_submodule(owner), buffer, tensor)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
