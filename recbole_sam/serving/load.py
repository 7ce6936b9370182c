"""From a bundle's files to a model that answers, without a dataset and without a pickle."""

import numpy as np

from recbole_sam.data.item_texts import ItemTexts
from recbole_sam.serving import bundle_files, new_items, parameters, stand_in


def build_model(files, tokens, new_vectors=None):
    """The model of a bundle.

    Args:
        files (BundleFiles): of the bundle.
        tokens (sequence of str): of every item number, padding first; new items last.
        new_vectors (numpy.ndarray, optional): float32 [m, H], text vectors of new items.

    Returns:
        SequentialRecommender: in evaluation mode, with the interests of the bundle's users, if it has any.

    Raises:
        DataError: a file is damaged, or there are new items and the model reads no titles.
    """
    facts, parts = files.facts, {}
    if bundle_files.ITEM_TEXTS in files:
        parts["item_texts"] = ItemTexts(files.path(bundle_files.ITEM_TEXTS), tokens)
    if facts["interests"] is not None:
        parts["interest_width"] = facts["interests"]["width"]
    model = stand_in.build(facts["settings"], facts["sizes"]["users"], len(tokens), **parts)
    tensors = files.tensors(bundle_files.WEIGHTS)
    if new_vectors is not None:
        new_items.check_reads_titles(model, facts["model"])
        tensors = new_items.lengthen(tensors, model, len(new_vectors))
    parameters.load(model, tensors)
    if new_vectors is not None:
        new_items.give_titles(model, new_vectors)
    if bundle_files.INTERESTS in files:
        tables = files.tensors(bundle_files.INTERESTS)
        model.use_interests(tables["phrase_embeddings"], tables["user_phrases"], tables["user_k"])
    return model


def item_facts(files):
    """Title, brand and category (tuple of str, "" if unknown) of each item, as keyphrases need them."""
    rows = files.parquet(bundle_files.ITEMS).read().to_pylist()
    return [tuple(row.get(name) or "" for name in ("title", "brand", "category")) for row in rows]


def item_table(files):
    """Tokens and titles of the items by number: two arrays of str [N], padding first; no title is None."""
    table = files.parquet(bundle_files.ITEMS).read()
    columns = []
    for name, padding in (("item", "[PAD]"), ("title", None)):
        column = np.empty(len(table) + 1, object)
        column[0], column[1:] = padding, table[name].to_pylist()
        columns.append(column)
    return tuple(columns)
