"""The interests of a dataset's users, by RecBole's internal user IDs, as tensors."""

import hashlib

import numpy as np
import torch

from recbole_sam.data.padded import padded
from recbole_sam.data.store import InterestStore
from recbole_sam.errors import LeakGuardError, SettingError


class InterestTable:
    """What a model looks interests up in. Pickled as a path, never as tensors.

    Attributes:
        embeddings (torch.Tensor): [P, H] float16 or float32, memory-mapped; read only.
        user_phrases (torch.IntTensor): [users, K], rows of ``embeddings``, strongest interest first,
            0 beyond a user's own number.
        user_k (torch.LongTensor): [users], how many interests each user has.
        width (int): H.
        encoder (dict): the fingerprint of the text encoder, None when the store does not say.
        digest (str): of the store (:class:`~recbole_sam.data.store.InterestStore`).
    """

    def __init__(self, store, tokens):
        """Joins a store to user IDs by token.

        Args:
            store (InterestStore): the open store.
            tokens (sequence of str): the token of every user ID; the first is padding.
        """
        self._path, self._tokens = store.path, tokens
        rows = store.rows(tokens)
        rows[0] = -1
        known = rows >= 0
        self._histories = hashlib.sha256(store.history_hashes[rows[known]].tobytes()).hexdigest()
        starts = np.where(known, store.offsets[rows], 0)
        k = np.where(known, store.offsets[rows + 1] - starts, 0)
        phrases = padded(store.phrase_index, starts, k, max(int(k.max(initial=0)), 1))
        self.user_phrases = torch.from_numpy(phrases.astype(np.int32, copy=False))
        self.user_k = torch.from_numpy(k.astype(np.int64))
        self.embeddings = store.embedding_tensor()
        self.width, self.encoder = store.width, store.fingerprint.get("encoder")
        self.digest = store.digest

    def __reduce__(self):
        return _reopen, (self._path, self._tokens, self._histories)


def _reopen(path, tokens, histories=None):
    """The table again, out of a saved dataset or in another process; RecBole asks the leak guard only once.

    Args:
        path (Path): of the store.
        tokens (sequence of str): the token of every user ID.
        histories (str or None): of the training histories that it was made from; None in a file of before.

    Raises:
        LeakGuardError: the store was built again since, from other training histories.
    """
    table = InterestTable(InterestStore.open(path), tokens)
    if histories not in (None, table._histories):
        raise LeakGuardError(
            f"the interests in {path} were built again, from other training histories than those of the "
            "saved dataset or dataloaders that name them: delete these files in checkpoint_dir and run again."
        )
    return table


def check_width(store, expected):
    """Refuses a store whose embeddings are not as wide as the settings say.

    Args:
        store (InterestStore): the open store.
        expected (int or None): ``interest_dim``; None accepts any.

    Raises:
        SettingError: the widths differ.
    """
    if expected is not None and expected != store.width:
        raise SettingError(
            f"interest_dim is {expected}, but the interests in {store.path} have {store.width} numbers "
            f"each: set interest_dim to {store.width} or leave it out, or build a store with a text encoder "
            f"of width {expected}."
        )


def check_histories(store, tokens, hashes, command):
    """The leak guard: every user's interests must stem from exactly the current training history.

    Args:
        store (InterestStore): the open store.
        tokens (sequence of str): tokens of the users of the current split.
        hashes (numpy.ndarray): uint8 [n, 16], :func:`~recbole_sam.data.histories.history_hash` of the
            current training history of each.
        command (str): what to type to build the store again.

    Raises:
        LeakGuardError: some user's interests were made from other items, or users are missing, maybe all.
    """
    rows = store.rows(tokens)
    missing = int((rows < 0).sum())
    if missing == len(tokens):
        raise LeakGuardError(
            f"the interests in {store.path} were made for dataset '{store.fingerprint.get('dataset')}': not "
            "one user of the current dataset is in it. Give another interest_store, or build one with: "
            f"{command}"
        )
    known = rows >= 0
    differ = int((store.history_hashes[rows[known]] != hashes[known]).any(axis=1).sum())
    if missing or differ:
        raise LeakGuardError(
            f"the interests in {store.path} were not made from the current training split: "
            f"{differ:,} of {len(tokens):,} users have another training history there and {missing:,} are "
            "missing, so validation or test items could leak into training. Build them again with: "
            f"{command}"
        )
