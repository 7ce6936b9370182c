"""From a checkpoint of RecBole to a bundle: a folder that answers without dataset and without pickle."""

import json
import shutil
from pathlib import Path

import numpy as np
import torch

from recbole_sam import folders
from recbole_sam.config import our_models
from recbole_sam.data import item_texts, store_location
from recbole_sam.data.store import InterestStore
from recbole_sam.data.titles import item_facts, item_titles
from recbole_sam.errors import DataError
from recbole_sam.interests import ledger, stage1
from recbole_sam.interests.pipeline import catalogue
from recbole_sam.models.parts.interest_reader import InterestReader
from recbole_sam.prepare.card import card_line, read_card
from recbole_sam.prepare.folder import is_synthetic
from recbole_sam.serving import bundle_files, parameters, people, stand_in
from recbole_sam.serving.load import build_model
from recbole_sam.serving.making import checkpoint, kept_settings, measured, model_card
from recbole_sam.serving.scores import Scorer, Sessions
from recbole_sam.version import VERSION

CHECKED = 256
"""Histories that a new bundle has to score as the checkpoint does."""
RTOL, ATOL = 1e-5, 1e-5


def write_bundle(file, folder, with_users=False, overwrite=False, block=people.BLOCK):
    """Makes a bundle; at every moment ``folder`` is absent, the old bundle, or the whole new one.

    Args:
        file (str or Path): the checkpoint. It is unpickled, which can run code: only trusted ones.
        folder (str or Path): the bundle.
        with_users (bool): whether users, their whole histories and interests are in it.
        overwrite (bool): whether a bundle that is there is replaced.
        block (int): users that everybody's recommendations are computed by.

    Returns:
        dict: what ``bundle.json`` says.

    Raises:
        DataError: no checkpoint, a model that cannot be bundled, or a folder that cannot be written.
        RecBoleSAMError: the dataset is not as it was in training.
    """
    folder = Path(folder)
    bundle_files.pyarrow_parquet()
    check_free(folder, overwrite)  # before the work
    trained = checkpoint.read(file)
    with folders.replacing(
        folder, lambda place: check_free(place, overwrite), lambda error: _refused(folder, error)
    ) as new:
        facts = _fill(new, trained, with_users, block)
        facts["trims"] = _check_scores(new, facts, trained)
        bundle_files.write_manifest(new, facts)
        example = trained.item_tokens[1:3].tolist()
        card = model_card.text(facts, example, folder.name)
        (new / bundle_files.CARD).write_text(card, encoding="utf-8")
        for path in new.iterdir():  # safetensors makes files that their owner alone may read
            path.chmod((new / bundle_files.CARD).stat().st_mode)
    return facts


def check_free(folder, overwrite):
    """Refuses a folder that a bundle may not replace.

    Args:
        folder (Path): where it is to be.
        overwrite (bool): whether a bundle that is there is replaced.

    Raises:
        DataError: saying what to do instead.
    """
    try:
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            return
    except OSError as error:
        raise _refused(folder, error) from error
    if not bundle_files.is_bundle(folder):
        raise DataError(f"{folder} exists and is no bundle: it is not replaced. Name another folder.")
    if not overwrite:
        raise DataError(
            f"{folder} exists already. Name another folder, or replace it by `bundle --overwrite`."
        )


def _refused(folder, error):
    return DataError(f"The bundle {folder} could not be written ({error.strerror or error}).")


def _fill(new, trained, with_users, block):
    """Writes all files but the manifest and the card; gives what the manifest is to say."""
    from recbole import __version__ as recbole_version

    config = trained.config
    settings = kept_settings.chosen(config, private=with_users)
    titles = _titles(config)
    facts = item_facts(config) if config["interest_generator"] == "keyphrases" and titles else {}
    _write_items(new, trained.item_tokens, titles or {}, facts)
    reads_texts = our_models.uses_item_texts(config)
    if reads_texts:
        shutil.copyfile(item_texts.path(config, titles), new / bundle_files.ITEM_TEXTS)
    made, parts = None, {}
    if reads_texts:
        parts["item_texts"] = item_texts.ItemTexts(new / bundle_files.ITEM_TEXTS, trained.item_tokens)
    if isinstance(trained.model, InterestReader):
        made = _interests(config)
        parts["interest_width"] = trained.model.phrase_embeddings.shape[1]
        made["width"] = parts["interest_width"]
        if not with_users:
            made["generator"] = kept_settings.public(made["generator"])
        if with_users:
            _save(new / bundle_files.INTERESTS, _tables(trained.model))
            _write_phrases(new, config)
    encoder = _write_encoder(new, config, titles) if (made or reads_texts) and titles else None
    if made:  # imported interests can be of vectors that nobody here can make
        made["live"] = encoder is not None and made["encoder"] == encoder
    tensors, rows = parameters.kept(trained, settings, with_users, **parts)
    _save(new / bundle_files.WEIGHTS, tensors)
    if with_users:
        people.write(new, trained.user_tokens, trained.histories, block)
    folder = Path(config["data_path"])
    card = read_card(folder) if folder.is_dir() else None
    values = measured.test_metrics(trained)
    return {
        "model": settings["model"],
        "settings": settings,
        "sizes": {"users": rows, "items": len(trained.item_tokens)},
        "dataset": {
            "name": config["dataset"],
            "users": len(trained.user_tokens) - 1,
            "items": len(trained.item_tokens) - 1,
            "card": card and card_line(card),
            "synthetic": is_synthetic(folder),
        },
        "users": {"count": len(trained.user_tokens) - 1, "block": block} if with_users else None,
        "interests": made,
        "encoder": encoder,
        "metrics": {
            "samples": values.pop("samples"),
            "values": values,
            "seed": config["seed"],
            "epochs": trained.epoch,
        },
        "versions": {"recbole_sam": VERSION, "recbole": recbole_version, "torch": torch.__version__},
    }


def _titles(config):
    """Item token to title, or None where the dataset has no texts."""
    if config["item_text_fields"] is None:  # a model of RecBole's: titles are for the reader only
        config = stand_in.Settings(
            {name: config[name] for name in ("data_path", "dataset", "ITEM_ID_FIELD", "field_separator")}
        )
        config["item_text_fields"] = ["title"]
    try:
        return item_titles(config)
    except DataError:
        return None


def _write_items(new, tokens, titles, facts):
    """Tokens and titles; with facts, from which keyphrases are made, brands and categories, too."""
    import pyarrow as pa

    tokens = tokens[1:].tolist()
    columns = {"item": tokens, "title": [titles.get(token) or None for token in tokens]}
    if facts:
        known = [facts.get(token, ("", "")) for token in tokens]
        columns["brand"], columns["category"] = zip(*known, strict=True)
    columns = {name: pa.array(values, pa.string()) for name, values in columns.items()}
    bundle_files.pyarrow_parquet().write_table(pa.table(columns), new / bundle_files.ITEMS)


def _interests(config):
    """How the interests came about, for the card and for people who come later."""
    store = InterestStore.open(store_location.existing(config))
    return {
        "generator": store.fingerprint.get("generator"),
        "encoder": store.fingerprint.get("encoder"),
        "cost": ledger.total(store.path),
    }


def _tables(model):
    names = ("phrase_embeddings", "user_phrases", "user_k")
    return {name: getattr(model, name).detach() for name in names}


def _write_phrases(new, config):
    """The interests in words, one a row of their vectors."""
    import pyarrow as pa

    phrases = list(InterestStore.open(store_location.existing(config)).phrases)
    table = pa.table({"phrase": pa.array(phrases, pa.string())})
    bundle_files.pyarrow_parquet().write_table(table, new / bundle_files.PHRASES)


def _write_encoder(new, config, titles):
    """The fitted text encoder: what it learnt, or which pretrained model it is."""
    encoder = stage1.text_encoder(config).fit(catalogue(titles))
    if hasattr(encoder, "learnt"):
        words, idf, components = encoder.learnt()
        (new / bundle_files.WORDS).write_text(json.dumps(words, ensure_ascii=False), encoding="utf-8")
        arrays = {"idf": torch.from_numpy(idf), "components": torch.from_numpy(components)}
        _save(new / bundle_files.ENCODER, arrays)
    return encoder.fingerprint()


def _save(path, tensors):
    """Writes tensors to a safetensors file; those that share memory are written each."""
    from safetensors.torch import save_file

    save_file({name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}, path)


def _check_scores(new, facts, trained):
    """Whether padding may be left out, after the bundle scored some histories as the checkpoint does.

    Raises:
        DataError: it does not.
    """
    bundle_files.write_manifest(new, {**facts, "trims": False})
    model = build_model(bundle_files.BundleFiles(new), trained.item_tokens)
    whole = trained.histories
    chosen = np.linspace(1, len(trained.user_tokens) - 1, CHECKED).astype(np.int64)
    chosen = chosen[np.diff(whole.offsets)[chosen] > 0]
    of_nobody = facts["users"] is None
    users = np.zeros_like(chosen) if of_nobody else chosen
    asked = Sessions(users, whole.items, whole.offsets[chosen], np.diff(whole.offsets)[chosen])
    plain = Scorer(model, False).scores(asked)
    if not (of_nobody and _has_user_vectors(trained.model, len(trained.user_tokens))):
        if not torch.allclose(plain, Scorer(trained.model, False).scores(asked), RTOL, ATOL):
            raise DataError(
                f"{facts['model']} cannot be bundled: without its dataset it scores otherwise. Please report "
                "it."
            )
    order = np.argsort(asked.lengths)  # so that batches are as short as in use
    for rows in np.array_split(order, min(16, len(order))):
        some = Sessions(asked.users[rows], asked.items, asked.starts[rows], asked.lengths[rows])
        try:
            short = Scorer(model, True).scores(some)
        except (RuntimeError, IndexError, ValueError):  # layers of one width
            return False
        if not torch.allclose(plain[rows], short, RTOL, ATOL):
            return False
    return True


def _has_user_vectors(model, n_users):
    return any(len(tensor) == n_users for tensor in model.state_dict().values() if tensor.dim())
