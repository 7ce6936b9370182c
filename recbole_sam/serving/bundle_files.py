"""The files of a bundle: which there are, held to their checksums, none of them a pickle or code.

``bundle.json`` says what the bundle is and lists every other file but the README with its size and SHA-256.
Sizes and small files are checked when the bundle is opened, large files when they are first used.
"""

import contextlib
import hashlib
import json
from pathlib import Path

from recbole_sam import files
from recbole_sam.errors import DataError

FORMAT, VERSION = "recbole-sam-bundle", 1
MANIFEST, CARD = "bundle.json", "README.md"
WEIGHTS, ITEMS, ITEM_TEXTS = "weights.safetensors", "items.parquet", "item_texts.safetensors"
USERS, INTERESTS, PHRASES = "users.parquet", "interests.safetensors", "phrases.parquet"
WORDS, ENCODER = "words.json", "encoder.safetensors"
SMALL = 1 << 20
"""Bytes up to which a file is checked when the bundle is opened."""
FIELDS = ("model", "settings", "sizes", "dataset", "users", "interests", "encoder", "metrics", "trims")
"""What ``bundle.json`` says."""
OF_INTERESTS = ("width", "live")
_AGAIN = "Copy it again, or make it again with `python -m recbole_sam bundle`."


class BundleFiles:
    """An open bundle's folder.

    Args:
        folder (str or Path): the bundle.

    Attributes:
        folder (Path): the same.
        facts (dict): what ``bundle.json`` says.
        checksum (str): of all that is in it.

    Raises:
        DataError: there is no bundle, it is damaged, or a newer version wrote it.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self.facts, self.checksum = _read_manifest(self.folder)
        self._listed = dict(self.facts["files"])
        self._checked = set()
        for name, (size, _) in self._listed.items():
            path = self.folder / name
            with self._reading(name):
                what = files.irregular(path)
                found = path.stat().st_size
            if what or found != size:
                raise self._damaged(name)
            if size <= SMALL:
                self.path(name)

    def __contains__(self, name):
        return name in self._listed

    def path(self, name):
        """The path of a file, after its content was compared once with its checksum.

        Raises:
            DataError: the bundle has no such file, or it is not the one that was written.
        """
        if name not in self._listed:
            raise DataError(f"The bundle {self.folder} lacks {name}. {_AGAIN}")
        path = self.folder / name
        if name not in self._checked:
            with self._reading(name):
                if files.sha256(path) != self._listed[name][1]:
                    raise self._damaged(name)
            self._checked.add(name)
        return path

    def tensors(self, name):
        """The tensors of a safetensors file, by name, mapped into memory: never write to them."""
        from safetensors import SafetensorError, safe_open

        path = self.path(name)
        with self._understanding(name, SafetensorError), safe_open(path, "pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}

    def parquet(self, name):
        """A Parquet file (pyarrow.parquet.ParquetFile)."""
        parquet = pyarrow_parquet()
        path = self.path(name)
        with self._understanding(name, ValueError):
            return parquet.ParquetFile(path, memory_map=True)

    def json(self, name):
        """The content of a JSON file."""
        path = self.path(name)
        with self._understanding(name, ValueError):
            return json.loads(path.read_text(encoding="utf-8"))

    @contextlib.contextmanager
    def _reading(self, name):
        try:
            yield
        except FileNotFoundError:
            raise DataError(f"The bundle {self.folder} lacks {name}. {_AGAIN}") from None
        except OSError as error:
            raise DataError(f"{self.folder / name} cannot be read ({error.strerror or error}).") from error

    @contextlib.contextmanager
    def _understanding(self, name, *kinds):
        with self._reading(name):
            try:
                yield
            except (KeyError, TypeError, *kinds) as error:
                raise self._damaged(name) from error

    def _damaged(self, name):
        return DataError(f"The bundle {self.folder} is damaged: {name} is not as it was written. {_AGAIN}")


def pyarrow_parquet():
    """The module ``pyarrow.parquet``.

    Raises:
        DataError: it is not installed.
    """
    try:
        import pyarrow.parquet
    except ImportError:
        raise DataError(
            "Bundles hold Parquet files, for which pyarrow is needed: pip install pyarrow."
        ) from None
    return pyarrow.parquet


def write_manifest(folder, facts):
    """Writes ``bundle.json`` of a folder that holds all its other files.

    Args:
        folder (Path): the bundle.
        facts (dict): of JSON's types.
    """
    listed = {
        path.name: [path.stat().st_size, files.sha256(path)]
        for path in sorted(folder.iterdir())
        if path.name not in (MANIFEST, CARD)
    }
    facts = {"format": FORMAT, "version": VERSION, **facts, "files": listed}
    (folder / MANIFEST).write_bytes(_text(facts | {"checksum": _checksum(facts)}))


def is_bundle(folder):
    """bool: whether a folder is some version's bundle, damaged or not."""
    try:
        return FORMAT.encode() in (Path(folder) / MANIFEST).read_bytes()[:4096]
    except OSError:
        return False


def _read_manifest(folder):
    path = folder / MANIFEST
    try:
        what = files.irregular(path)
        raw = b"" if what else path.read_bytes()
    except FileNotFoundError:
        raise DataError(
            f"There is no bundle at {folder}: it would hold {MANIFEST}. Make one with `python -m recbole_sam "
            f"bundle CHECKPOINT --output={folder}`."
        ) from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from error
    damaged = DataError(f"The bundle {folder} is damaged: {MANIFEST} is not as it was written. {_AGAIN}")
    try:
        facts = json.loads(raw)
        if facts["format"] != FORMAT:
            raise damaged
        if facts["version"] > VERSION:
            raise DataError(
                f"The bundle {folder} has format version {facts['version']}, and this recbole-sam reads up "
                f"to {VERSION}. Upgrade recbole-sam."
            )
        # all of its bytes count: what means the same but is written otherwise is not ours either
        sound = _text(facts) == raw
        written = facts.pop("checksum")
        sound = sound and written == _checksum(facts)
        sound = sound and all(Path(name).name == name for name in facts["files"])
        lacking = [name for name in FIELDS if name not in facts]
        if facts.get("interests") is not None:
            lacking += [name for name in OF_INTERESTS if name not in facts["interests"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise damaged from error
    if not sound:
        raise damaged
    if lacking:
        raise DataError(
            f"The bundle {folder} lacks '{lacking[0]}' in {MANIFEST}: an earlier recbole-sam wrote it. "
            "Bundle it again with `python -m recbole_sam bundle`."
        )
    return facts, written


def _text(facts):
    return (json.dumps(facts, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode(
        errors="surrogatepass"
    )


def _checksum(facts):
    return hashlib.sha256(_text(facts)).hexdigest()
