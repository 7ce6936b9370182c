"""The grouping that the settings ask for, behind one call."""

from recbole_sam.config.groupings import CLUSTERING
from recbole_sam.interests.grouping.clustering import Clusterer, sampled, scale
from recbole_sam.interests.grouping.routing import Identifier, rankings


def catalogue_scale(encoder, catalogue):
    """What similarity means in a catalogue.

    Args:
        encoder (TextEncoder), catalogue (sequence of str): as of :func:`make_grouper`.

    Returns:
        Scale: for :class:`Clusterer`.
    """
    return scale(encoder.encode(sampled(catalogue)))


def make_grouper(embeddings, encoder, catalogue, settings):
    """What finds interest groups, by ``settings.grouping``.

    Args:
        embeddings (numpy.ndarray): float [N, H], the embeddings of the titles in the histories.
        encoder (TextEncoder): fitted; clustering encodes a sample of the catalogue with it.
        catalogue (sequence of str): the distinct titles of the whole catalogue, sorted.
        settings (ExtractSettings): which grouping, and its settings.

    Returns:
        callable: from items (int64 [B, L], rows of ``embeddings``, padded with -1) to a list that has for
        each user a tuple of K groups, each a tuple of positions, most central first. Groups of ``clustering``
        share no position; those of ``routing`` rank all positions.
    """
    if settings.grouping == CLUSTERING:
        return Clusterer(embeddings, catalogue_scale(encoder, catalogue), settings)
    identifier = Identifier(embeddings, settings)
    return lambda items: rankings(identifier(items), (items >= 0).sum(axis=-1).tolist())
