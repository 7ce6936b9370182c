"""The grouping that the settings ask for, behind one call."""

from recbole_sam.config.groupings import CLUSTERING
from recbole_sam.interests.grouping.clustering import Clusterer, sampled, scale
from recbole_sam.interests.grouping.routing import Identifier, rankings


def catalogue_scale(encoder, catalogue, settings):
    """What similarity means in a catalogue.

    Args:
        encoder (TextEncoder): fitted; a sample of the catalogue is encoded with it.
        catalogue (sequence of str): the distinct titles of the whole catalogue, sorted.
        settings (ExtractSettings): which grouping.

    Returns:
        Scale or None: None for a grouping that needs none.
    """
    return scale(encoder.encode(sampled(catalogue))) if settings.grouping == CLUSTERING else None


def make_grouper(embeddings, scale, settings):
    """What finds interest groups, by ``settings.grouping``.

    Args:
        embeddings (numpy.ndarray): float [N, H], the embeddings of the titles in the histories.
        scale (Scale or None): of :func:`catalogue_scale`.
        settings (ExtractSettings): which grouping, and its settings.

    Returns:
        callable: from items (int64 [B, L], rows of ``embeddings``, padded with -1) to a list that has for
        each user a tuple of K groups, each a tuple of positions, most central first. Groups of ``clustering``
        share no position; those of ``routing`` rank all positions.
    """
    if settings.grouping == CLUSTERING:
        return Clusterer(embeddings, scale, settings)
    identifier = Identifier(embeddings, settings)
    return lambda items: rankings(identifier(items), (items >= 0).sum(axis=-1).tolist())
