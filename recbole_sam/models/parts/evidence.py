"""Which training item each of a user's interests rests on.

A training sample is a prefix of the training history, but the interests were made from all of it, so an
interest may tell of items that the sample has yet to predict. An interest counts in a sample only when the
item that supports it best is among the items that the sample sees.
"""

import torch

from recbole_sam.errors import SettingError

CHUNK = 128  # users whose texts are in memory at once: 8 MB of titles for 20 items of 768 numbers


def check_encoder(interests, item_texts):
    """Refuses interests and titles whose vectors cannot be compared.

    Args:
        interests (InterestTable): with the fingerprint ``encoder`` of its text encoder.
        item_texts (ItemTexts): with its own.

    Raises:
        SettingError: two text encoders made them.
    """
    if interests.encoder != item_texts.encoder:
        raise SettingError(
            "interest_evidence compares interests with item titles, but another text encoder made the "
            "interests (they were imported with their vectors, or the titles changed): build both with the "
            "same text_encoder, or set interest_evidence to False."
        )


def supporting_items(user_phrases, user_k, phrases, titles, has_title, training_items):
    """For each interest, the training item whose title has the largest cosine with the phrase.

    Args:
        user_phrases (torch.Tensor): int [U, K], rows of ``phrases``.
        user_k (torch.LongTensor): [U], how many interests each user has.
        phrases (torch.Tensor): [P, H].
        titles (torch.FloatTensor): [N, H], of every item.
        has_title (torch.BoolTensor): [N].
        training_items (TrainingItems): gives int [n, L] for any users, oldest first, 0 beyond the end.

    Returns:
        torch.IntTensor: [U, K], item IDs; of equal ones the oldest; 0 beyond a user's own number.
    """
    support = torch.zeros(user_phrases.shape, dtype=torch.int32)
    scales = 1 / titles.norm(dim=-1).clamp(min=1e-12)  # no scaled copy: a million titles are 3 GB
    for chunk in torch.arange(len(user_phrases)).split(CHUNK):
        items = training_items[chunk].long()
        texts = phrases[user_phrases[chunk].long()].to(titles.dtype)
        # [n K L], cosines but for a phrase's length, which does not change its order
        cosines = texts @ titles[items].transpose(1, 2) * scales[items].unsqueeze(1)
        cosines = cosines.masked_fill(~has_title[items].unsqueeze(1), -torch.inf)
        best = items.gather(1, cosines.argmax(dim=-1))
        real = torch.arange(best.shape[1]) < user_k[chunk].unsqueeze(1)
        support[chunk] = torch.where(real, best, 0).int()
    return support


def visible(support, item_seq):
    """Which interests rest on an item that a sample sees.

    Args:
        support (torch.IntTensor): [B, K].
        item_seq (torch.LongTensor): [B, L], 0 at padded places.

    Returns:
        torch.BoolTensor: [B, K].
    """
    return ((support.unsqueeze(2) == item_seq.unsqueeze(1)) & (support > 0).unsqueeze(2)).any(dim=-1)


def visible_from(support, item_seq):
    """The position from which each interest is :func:`visible` to prefixes of a history.

    Args:
        support (torch.IntTensor): [B, K].
        item_seq (torch.LongTensor): [B, L], 0 at padded places.

    Returns:
        torch.LongTensor: [B, K]; L where it never is.
    """
    here = (support.unsqueeze(2) == item_seq.unsqueeze(1)) & (support > 0).unsqueeze(2)
    never = item_seq.shape[1]
    return torch.where(here.any(dim=-1), here.int().argmax(dim=-1), never)
