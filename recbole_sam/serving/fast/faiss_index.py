"""The best items from a FAISS index, for catalogues where scoring every item is too slow.

An index holds a model whose score is the product of a user's and an item's vector, or the best of several
such products, plus ``repeat_bias`` on the items of the history. Whether a model is one is tried out on a
sample of people.
"""

import math

import numpy as np
import torch

from recbole_sam.data.padded import padded
from recbole_sam.errors import DataError, SettingError
from recbole_sam.models.parts.capsule import best_matches
from recbole_sam.models.scores import repeats
from recbole_sam.serving import similar
from recbole_sam.serving.scores import Scorer, Sessions

SAMPLE, SCORES = 256, 16_000_000
"""People of a sample, and exact scores that it may take."""
RTOL, ATOL = 1e-4, 1e-4
"""How near the product has to come to the model's own scores."""


class IndexScorer(Scorer):
    """A :class:`Scorer` that finds the best items in an index.

    Args:
        scorer (Scorer): that scores every item.
        name (str): of the model.
        lists (int): how many of the index's lists are read for a person. There are 4 x root(items); where
            all would be read, the index has none and is exact.
        sample (Sessions): people on whom the index is tried.

    Raises:
        SettingError: FAISS is not installed.
        DataError: no index can hold the model.
    """

    def __init__(self, scorer, name, lists, sample):
        super().__init__(scorer.model, scorer.trims, scorer.n_users)
        faiss = faiss_library()
        users, items, starts, lengths = sample
        some = slice(max(1, SCORES // self.n_items))
        self._sample = Sessions(users[some], items, starts[some], lengths[some])
        bias = getattr(self.model, "repeat_bias", None)
        self._bias = torch.tensor(0.0) if bias is None else bias.detach()
        if not self._is_product(name):
            raise DataError(
                f"{name} as it was trained cannot be answered from an index: its scores are more than the "
                "product of a user's and an item's vector. Leave out --index."
            )
        self._index = built(faiss, self._items[1:].numpy(), lists)

    def recall(self, k):
        """How much of the exact top k of the sample the index finds.

        Returns:
            tuple: a share from 0 to 1, and of how many people.
        """
        exact, _ = Scorer(self.model, self.trims).best(self._sample, k)
        found, _ = self.best(self._sample, k)
        hits = (exact[:, :, None] == found[:, None, :]).any(axis=2) & (exact > 0)
        return float(hits.sum() / max(1, (exact > 0).sum())), len(exact)

    def _is_product(self, name):
        """Whether the sample's scores are products of vectors and the bias."""
        try:
            self._items = similar.model_vectors(self.model, name).float().contiguous()
            with torch.no_grad():
                product = best_matches(self._users(self._sample), self._items)  # [B N]
        except (DataError, TypeError, RuntimeError, AttributeError):  # a forward that reads something else
            return False
        product = repeats.add_to_all(product, self._bias, _newest(self._sample, self.longest))
        exact = self.scores(self._sample)
        same = exact.shape == product.shape
        return same and torch.allclose(exact[:, 1:], product[:, 1:], RTOL, ATOL)

    def _users(self, sessions):
        """User vectors [B, K, d], one or several each."""
        model, asked = self.model, self.interaction(sessions)
        if not hasattr(model, "represent"):  # of RecBole
            return model.forward(asked[model.ITEM_SEQ], asked[model.ITEM_SEQ_LEN]).unsqueeze(1)
        users = model.represent(asked)
        if isinstance(users, torch.Tensor):
            return users.unsqueeze(1)
        vectors, active = users
        if active is None:
            return vectors
        one_of_them = vectors[torch.arange(len(vectors)), active.int().argmax(dim=1)].unsqueeze(1)
        return torch.where(active.unsqueeze(2), vectors, one_of_them)

    def _best_of(self, sessions, k, exclude_seen, allowed, add):
        if allowed is not None or add is not None:
            raise SettingError(
                "An index is of all items and knows no wishes: leave out --index, or --among, --without and "
                "--steer."
            )
        users = self._users(sessions).contiguous()  # [B K d]
        # what is in the history is left out, or gets the bias: it is looked at apart
        history = _newest(sessions, None if exclude_seen else self.longest)
        wanted = min(k + history.shape[1], self.n_items - 1)
        found = self._index.search(users.flatten(0, 1).numpy(), wanted)
        scores, items = (torch.from_numpy(each).view(len(users), -1) for each in found)
        items = items + 1  # 0 where the lists had too few: FAISS says -1
        scores, items = _once(scores, items)
        ordered = history.sort(dim=1).values
        place = torch.searchsorted(ordered, items).clamp(max=ordered.shape[1] - 1)
        scores = scores.masked_fill((ordered.gather(1, place) == items) | (items == 0), -torch.inf)
        if not exclude_seen:
            again = torch.cat([torch.zeros_like(ordered[:, :1]), ordered[:, :-1]], dim=1) == ordered
            of_history = (users @ self._items[ordered].transpose(1, 2)).amax(dim=1) + self._bias
            of_history = of_history.masked_fill(again | (ordered == 0), -torch.inf)
            scores, items = torch.cat([scores, of_history], dim=1), torch.cat([items, ordered], dim=1)
        items, order = items.sort(dim=1)  # of equal scores the lower number comes first
        best, order = scores.gather(1, order).sort(dim=1, descending=True, stable=True)
        return best[:, :k], items.gather(1, order[:, :k])


def faiss_library():
    """The module ``faiss``.

    Raises:
        SettingError: it is not installed.
    """
    try:
        import faiss
    except ImportError:
        raise SettingError("--index needs FAISS: pip install faiss-cpu.") from None
    return faiss


def built(faiss, vectors, lists):
    """An index by inner product; its number i is item i + 1.

    Args:
        vectors (numpy.ndarray): float32 [N - 1, d].
        lists (int): that a query reads.
    """
    index = faiss.IndexFlatIP(vectors.shape[1])
    there = round(4 * math.sqrt(len(vectors)))
    if lists < there:
        index = faiss.IndexIVFFlat(index, vectors.shape[1], there, faiss.METRIC_INNER_PRODUCT)
        index.cp.min_points_per_centroid = 1  # a small catalogue is no reason for a warning
        index.train(vectors)
        index.nprobe = lists
    index.add(vectors)
    return index


def _once(scores, items):
    """Scores and items [B, M] with -inf on all but the best score of an item that stands there twice."""
    scores, order = scores.sort(dim=1, descending=True)
    items, by_item = items.gather(1, order).sort(dim=1, stable=True)
    scores, again = scores.gather(1, by_item), items[:, 1:] == items[:, :-1]
    scores[:, 1:] = scores[:, 1:].masked_fill(again, -torch.inf)
    return scores, items


def _newest(sessions, most):
    """The newest items of each history, a LongTensor [B, M], padded with 0; all where ``most`` is None."""
    lengths = sessions.lengths if most is None else np.minimum(sessions.lengths, most)
    starts = sessions.starts + sessions.lengths - lengths
    return torch.from_numpy(padded(sessions.items, starts, lengths, int(lengths.max())).astype(np.int64))
