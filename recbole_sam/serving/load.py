"""From a bundle's files to a model that answers, without a dataset and without a pickle."""

from recbole_sam.data.item_texts import ItemTexts
from recbole_sam.serving import bundle_files, parameters, stand_in


def build_model(files, tokens=None):
    """The model of a bundle.

    Args:
        files (BundleFiles): of the bundle.
        tokens (sequence of str, optional): the token of every item number, if they are known already.

    Returns:
        SequentialRecommender: in evaluation mode, with the interests of the bundle's users, if it has any.
    """
    facts, parts = files.facts, {}
    if bundle_files.ITEM_TEXTS in files:
        tokens = item_table(files)[0] if tokens is None else tokens
        parts["item_texts"] = ItemTexts(files.path(bundle_files.ITEM_TEXTS), tokens)
    if facts["interests"] is not None:
        parts["interest_width"] = facts["interests"]["width"]
    sizes = facts["sizes"]
    model = stand_in.build(facts["settings"], sizes["users"], sizes["items"], **parts)
    parameters.load(model, files.tensors(bundle_files.WEIGHTS))
    if bundle_files.INTERESTS in files:
        tables = files.tensors(bundle_files.INTERESTS)
        model.use_interests(tables["phrase_embeddings"], tables["user_phrases"], tables["user_k"])
    return model


def item_table(files):
    """Tokens and titles of the items by number: two arrays of str [N], padding first; no title is None."""
    import numpy as np

    table = files.parquet(bundle_files.ITEMS).read()
    columns = []
    for name, padding in (("item", "[PAD]"), ("title", None)):
        column = np.empty(len(table) + 1, object)
        column[0], column[1:] = padding, table[name].to_pylist()
        columns.append(column)
    return tuple(columns)
