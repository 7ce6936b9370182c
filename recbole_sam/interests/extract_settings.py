"""What Stage 1 can be told about interests."""

import functools
from dataclasses import asdict, dataclass

from recbole_sam.config import yaml_files
from recbole_sam.config.forms import is_count, is_number
from recbole_sam.config.groupings import check_grouping, effective, fewest
from recbole_sam.data.store import DTYPES
from recbole_sam.errors import SettingError

default = functools.partial(yaml_files.default, yaml_files.interests_file())


@dataclass(frozen=True)
class ExtractSettings:
    """What Stage 1 can be told; the names in RecBole's configuration begin with ``interest_``.

    The defaults of what changes results are those of ``properties/interests.yaml``.

    Raises:
        SettingError: a value makes no sense.
    """

    grouping: str = default("interest_grouping")
    """How titles become groups: ``routing`` (paper) or ``clustering``."""
    closeness: float = default("interest_closeness")
    """``clustering``: how alike groups have to be to become one, from 0 (random titles) to 1 (neighbours)."""
    k_min: int | None = default("interest_k_min")
    """Fewest interests of a user who has as many distinct titles; None: 2 (paper), or 1 for clustering."""
    k_max: int = default("interest_k_max")
    """Most interests of a user, and the number of capsules (paper: 10)."""
    alpha: float = default("interest_alpha")
    """Weight of consistency in the score of K (paper: 0.6)."""
    beta: float = default("interest_beta")
    """Weight of diversity in the score of K (paper: 0.4)."""
    iterations: int = default("interest_iterations")
    """Routing iterations (paper: 3)."""
    history_length: int = default("interest_history_length")
    """Newest training items that are read (paper: 20)."""
    seed: int = default("interest_seed")
    """Of the random map and logits of the routing; ``lsa`` has it, too."""
    dtype: str = default("interest_dtype")
    """Precision of the stored embeddings, ``float16`` or ``float32``."""
    chunk: int = 512
    """Users grouped at a time; changes memory and speed, no result."""
    device: str = "cpu"
    """Where groups are computed."""

    def __post_init__(self):
        check_grouping(self.grouping)
        for name in ("k_min", "k_max", "iterations", "history_length", "chunk"):
            value = getattr(self, name)
            if not is_count(value, 1) and (name, value) != ("k_min", None):
                raise SettingError(f"interest_{name} must be a whole number from 1, not {value!r}.")
        if not is_number(self.closeness, 0, 1):
            raise SettingError(f"interest_closeness must be a number from 0 to 1, not {self.closeness!r}.")
        for name in ("alpha", "beta"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 <= value < float("inf"):
                raise SettingError(f"interest_{name} must be a number from 0, not {value!r}.")
        if self.minimum > self.k_max:
            raise SettingError(
                f"interest_k_min ({self.minimum}) is above interest_k_max ({self.k_max}): "
                "swap them or change one."
            )
        if not isinstance(self.seed, int):
            raise SettingError(f"interest_seed must be a whole number, not {self.seed!r}.")
        if self.dtype not in DTYPES:
            raise SettingError(f"interest_dtype must be {' or '.join(DTYPES)}, not {self.dtype!r}.")

    @property
    def minimum(self):
        """The fewest interests, an int."""
        return fewest(self.grouping, self.k_min)

    def fingerprint(self):
        """The settings that change results; for ``routing`` those of versions that knew nothing else."""
        values = {
            f"interest_{name}": v for name, v in asdict(self).items() if name not in ("chunk", "device")
        }
        return {name.removeprefix("interest_"): value for name, value in effective(values).items()}
