"""Text encoders: titles and interest phrases to vectors.

``lsa`` needs nothing but scikit-learn; ``transformers`` runs a pretrained model from a folder or
from the Hugging Face hub.
"""

import hashlib
import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from recbole_sam.config.construct import build
from recbole_sam.encoders import safe_load
from recbole_sam.errors import DataError, SettingError, nearest

logger = logging.getLogger(__name__)

# One Chinese or Japanese character or Korean syllable is a token, as such text has few spaces; any
# other run of letters and digits is one.
CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
TOKEN_PATTERN = rf"[{CJK}]|[^\W{CJK}]+"

POOLINGS = ("cls", "mean")
MODEL_FOLDER = Path("LLMs")
_HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
_MODEL_FILES = ("*.json", "*.txt", "*.model", "*.safetensors")


class TextEncoder(Protocol):
    """Texts to vectors of one width H; equal texts give equal vectors."""

    name: str

    def fit(self, texts: Sequence[str]) -> "TextEncoder":
        """Learns from the catalogue's titles, never from behaviour; returns itself."""

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """float32 [n, H], also for n = 0."""

    def fingerprint(self) -> dict:
        """Everything that changes the vectors, with a hash of the content; JSON-able."""


class LSAEncoder:
    """Latent semantic analysis: TF-IDF of the words, reduced by a truncated SVD, of length one.

    A text without any known word is the zero vector. The width is smaller than ``dim`` when the
    catalogue has fewer titles or words than that.

    Args:
        dim (int): H, the width.
        seed (int): of the randomised SVD.
    """

    name = "lsa"

    def __init__(self, dim, seed=2020):
        if dim < 1:
            raise SettingError(f"The width of the lsa encoder must be at least 1, not {dim}.")
        self.dim, self.seed = dim, seed
        self._words = self._svd = self._content = None

    def fit(self, texts):
        """Learns words and directions from titles, once; the order of the titles does not matter.

        Raises:
            DataError: the titles hold fewer than two different words.
        """
        from sklearn.decomposition import TruncatedSVD
        from threadpoolctl import threadpool_limits

        texts = sorted(set(texts))
        content = _digest(texts)
        if self._svd is not None and content == self._content:
            return self
        self._content = content
        self._words = _vectorizer()
        words_of = self._words.build_analyzer()
        if len({word for text in texts for word in words_of(text)}) < 2:
            raise DataError(
                f"The {len(texts)} item titles hold fewer than two different words, so the lsa "
                "encoder has nothing to learn from; give items with titles."
            )
        table = self._words.fit_transform(texts)
        width = min(self.dim, *table.shape)
        # One thread, in double precision: the same vectors to the last bit however many cores there are.
        # np.errstate: the share of variance explained, of a single title.
        with threadpool_limits(1), np.errstate(invalid="ignore"):
            self._svd = TruncatedSVD(width, random_state=self.seed).fit(table)
        return self

    def encode(self, texts):
        """Vectors float32 [n, H] of length one, or zero."""
        if self._svd is None:
            raise RuntimeError("LSAEncoder.fit comes before encode")
        if not len(texts):
            return np.zeros((0, len(self._svd.components_)), np.float32)
        return _normalised(self._svd.transform(self._words.transform(texts))).astype(np.float32)

    def fingerprint(self):
        """Name, settings, and the SHA-256 of the titles learnt from."""
        return {"name": self.name, "dim": self.dim, "seed": self.seed, "sha256": self._content}

    def learnt(self):
        """What ``fit`` found, for :class:`FittedLSA`.

        Returns:
            tuple: words (list of str), their inverse document frequencies (float64 [words]) and the
            directions (float64 [H, words]).
        """
        return self._words.get_feature_names_out().tolist(), self._words.idf_, self._svd.components_


class FittedLSA(LSAEncoder):
    """An :class:`LSAEncoder` made from what another one learnt; it gives the same vectors.

    Args:
        fingerprint (dict): the other's.
        words (list of str), idf (numpy.ndarray), components (numpy.ndarray): of its ``learnt``.
    """

    def __init__(self, fingerprint, words, idf, components):
        from sklearn.decomposition import TruncatedSVD

        super().__init__(fingerprint["dim"], fingerprint["seed"])
        self._content = fingerprint["sha256"]
        self._words = _vectorizer(vocabulary={word: i for i, word in enumerate(words)})
        self._words.idf_ = idf
        self._svd = TruncatedSVD(len(components))
        # scipy would copy another order at every call, however few texts there are
        self._svd.components_ = np.asfortranarray(components)

    def fit(self, texts):
        """Learns nothing more; returns itself."""
        return self


def _vectorizer(**settings):
    """Titles to weighted counts of words."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        token_pattern=TOKEN_PATTERN, sublinear_tf=True, strip_accents="unicode", dtype=np.float64, **settings
    )


class TransformersEncoder:
    """A pretrained transformer: the pooled states of its last layer.

    Args:
        path (str or Path): a folder, the name of one in ``LLMs/``, or a hub name, looked for in
            this order; a hub name that is not in the hub's cache is downloaded.
        pooling (str): ``cls``, the first token's state (the paper), or ``mean``, of all tokens.
        max_length (int): tokens kept of a text; the paper has 64.
        batch_size (int): texts a batch.
        normalize (bool): scale every vector to length one; the paper does not.
        device (str): ``auto`` takes a GPU when there is one.
        dtype (str): ``float32``, ``float16``, ``bfloat16``; ``auto`` is float16 on a GPU and
            float32 elsewhere.

    Raises:
        SettingError: a setting makes no sense, or the transformers package is missing.
        DataError: the model is not found or cannot be loaded.
    """

    name = "transformers"

    def __init__(
        self,
        path="bert-base-uncased",
        pooling="cls",
        max_length=64,
        batch_size=64,
        normalize=False,
        device="auto",
        dtype="auto",
    ):
        if pooling not in POOLINGS:
            raise SettingError(f"Unknown pooling {pooling!r}.{nearest(str(pooling), POOLINGS)}")
        if max_length < 2 or batch_size < 1:
            raise SettingError(
                "The transformers encoder needs a max_length of at least 2 and a batch_size of at "
                f"least 1, not {max_length} and {batch_size}."
            )
        self.pooling, self.max_length = pooling, max_length
        self.batch_size, self.normalize = batch_size, normalize
        _import_transformers()  # no use in downloading a model that cannot be run
        self.model_name, self.folder = Path(path).name, find_model(path)
        self._tokenizer, self._model = self._load(device, dtype)
        self._content = digest_files(self.folder)

    def _load(self, device, dtype):
        import torch

        transformers = _import_transformers()
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if dtype == "auto":
            dtype = "float16" if torch.device(device).type == "cuda" else "float32"
        if dtype not in ("float32", "float16", "bfloat16"):
            raise SettingError(f"Unknown dtype {dtype!r}: float32, float16 or bfloat16.")
        self.dtype = dtype
        tokenizer, model = safe_load.load(
            "text encoder", self.folder, transformers.AutoTokenizer, transformers.AutoModel
        )
        limit = getattr(model.config, "max_position_embeddings", None)
        if limit is not None and self.max_length > limit:
            raise SettingError(
                f"The text encoder in {self.folder} reads at most {limit} tokens; max_length is "
                f"{self.max_length}."
            )
        tokenizer.padding_side = "right"  # cls pooling takes the first position
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        return tokenizer, model.to(device, getattr(torch, dtype)).eval()

    def fit(self, texts):
        """Nothing to learn; returns itself."""
        return self

    def encode(self, texts):
        """Vectors float32 [n, H]; each distinct text is computed once, long ones first.

        Raises:
            DataError: the model gives numbers that are not finite.
        """
        distinct = {text: None for text in texts}
        # Batches of equal lengths waste no padding, and the longest first meet a full memory first.
        ordered = sorted(distinct, key=lambda text: (-len(text), text))
        row_of = {text: row for row, text in enumerate(ordered)}
        vectors = np.zeros((len(ordered), self._model.config.hidden_size), np.float32)
        for start in range(0, len(ordered), self.batch_size):
            stop = start + self.batch_size
            vectors[start:stop] = self._encode_batch(ordered[start:stop])
        if not np.isfinite(vectors).all():
            raise DataError(
                f"The text encoder in {self.folder} gives numbers that are not finite in "
                f"{self.dtype}; use float32."
            )
        if self.normalize:
            vectors = _normalised(vectors)
        return vectors[[row_of[text] for text in texts]]

    def _encode_batch(self, texts):
        import torch

        batch = self._tokenizer(
            texts, padding=True, truncation=True, max_length=self.max_length, return_tensors="pt"
        ).to(self._model.device)
        with torch.inference_mode():
            states = self._model(**batch).last_hidden_state.float()
        return pool(states, batch["attention_mask"], self.pooling).cpu().numpy()

    def fingerprint(self):
        """Name, settings, and the SHA-256 of configuration, tokenizer and weights."""
        return {
            "name": self.name,
            "model": self.model_name,
            "pooling": self.pooling,
            "max_length": self.max_length,
            "normalize": self.normalize,
            "dtype": self.dtype,
            "sha256": self._content,
        }


def pool(states, mask, pooling):
    """One vector a text.

    Args:
        states (torch.Tensor): float [B, T, H], the last layer's.
        mask (torch.Tensor): int [B, T], 1 on real tokens, padded on the right.
        pooling (str): ``cls`` or ``mean``.

    Returns:
        torch.Tensor: float [B, H].
    """
    if pooling == "cls":
        return states[:, 0]
    weight = mask[..., None].to(states.dtype)
    return (states * weight).sum(1) / weight.sum(1)


def _import_transformers():
    try:
        import transformers
    except ImportError as error:
        raise SettingError(
            "The transformers encoder needs a working transformers package "
            f"({safe_load.first_line(error)}): pip install transformers, or use the lsa encoder."
        ) from error
    return transformers


def find_model(name, download=True):
    """The folder of a pretrained model: a path, ``LLMs/<name>``, the hub's cache, or the hub.

    Args:
        name (str or Path): a path or a hub name such as ``bert-base-uncased``.
        download (bool): whether the hub may be asked for a model that is not on this machine.

    Raises:
        DataError: the model is nowhere to be had.
    """
    text = str(name)
    try:
        for folder in (Path(text), MODEL_FOLDER / text, MODEL_FOLDER / text.rsplit("/", 1)[-1]):
            if folder.is_dir():
                return folder
    except OSError as error:
        raise DataError(f"The text encoder {text} cannot be looked for ({error.strerror}).") from error
    if not _HUB_NAME.fullmatch(text):
        raise DataError(f"There is no folder {text} to load a text encoder from.")
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils import HfHubHTTPError, LocalEntryNotFoundError

    wanted = {"allow_patterns": list(_MODEL_FILES), "ignore_patterns": ["*/*"]}
    try:
        folder = Path(snapshot_download(text, local_files_only=True, **wanted))
        if any(path.suffix in (".safetensors", ".bin") for path in folder.iterdir()):
            return folder
    except ValueError as error:  # no name that the hub could have
        raise DataError(f"There is no text encoder {text}: {safe_load.first_line(error)}") from error
    except LocalEntryNotFoundError:
        pass  # not in the cache; a cached configuration without weights is of no more use
    if not download:
        raise DataError(f"There is no text encoder {text} on this machine.")
    logger.info("The text encoder %s is not on this machine: downloading it", text)
    try:
        return Path(snapshot_download(text, **wanted))
    except (OSError, ValueError, HfHubHTTPError, LocalEntryNotFoundError) as error:
        raise DataError(
            f"There is no text encoder {text}: no such folder, none in {MODEL_FOLDER}/, not in the "
            "Hugging Face cache, and the hub does not give it. Put its files (config.json, "
            f"tokenizer, model.safetensors) into {MODEL_FOLDER / text.rsplit('/', 1)[-1]}."
            f"{nearest(text, ENCODERS)}"
        ) from error


ENCODERS = {"lsa": LSAEncoder, "transformers": TransformersEncoder}


def make_encoder(name="lsa", **settings):
    """A text encoder by name.

    Args:
        name (str): a key of :data:`ENCODERS`, or the folder or hub name of a pretrained model.
        **settings: arguments of the encoder.

    Raises:
        SettingError: the encoder has no such setting.
        DataError: there is no such encoder or model.
    """
    if name not in ENCODERS:
        name, settings = "transformers", settings | {"path": name}
    encoder = ENCODERS[name]
    return build(f"{name} encoder", encoder, settings)


def _normalised(vectors):
    """Vectors scaled to length one; a zero vector stays."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norms > 0, norms, 1)


def _digest(texts):
    """SHA-256 over texts, each with its length, so that no two lists run together."""
    sha = hashlib.sha256()
    for text in texts:
        data = text.encode()
        sha.update(len(data).to_bytes(8, "little") + data)
    return sha.hexdigest()


def digest_files(folder):
    """SHA-256 over the names and contents of a model folder's files."""
    sha = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in (".json", ".txt", ".model", ".safetensors", ".bin") and path.is_file():
            sha.update(f"{path.name}\0{os.path.getsize(path)}\0".encode())
            with open(path, "rb") as file:
                while block := file.read(1 << 20):
                    sha.update(block)
    return sha.hexdigest()
