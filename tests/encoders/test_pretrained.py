import io
import json
import shutil
import sys

import pytest
from llm_helpers import fast

from recbole_sam.encoders.encode import make_encoder
from recbole_sam.errors import DataError
from recbole_sam.generators.local import LocalGenerator

pytest.importorskip("transformers")

CODE = """
from pathlib import Path
from transformers import PretrainedConfig, PreTrainedModel
Path({marker!r}).write_text("the folder's code ran")
class C(PretrainedConfig):
    model_type = "odd"
class M(PreTrainedModel):
    config_class = C
"""


@pytest.fixture
def odd(bert, tmp_path):
    """A model of an architecture that only code in its folder knows, and the file which that code writes."""
    folder, marker = tmp_path / "odd", tmp_path / "ran"
    shutil.copytree(bert, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "odd",
        "auto_map": {"AutoConfig": "c.C", "AutoModel": "c.M", "AutoModelForCausalLM": "c.M"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "c.py").write_text(CODE.format(marker=str(marker)))
    return folder, marker


@pytest.mark.parametrize("what", ["text encoder", "language model"])
def test_code_of_a_models_folder_is_never_run(odd, tmp_path, monkeypatch, what):
    folder, marker = odd
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n" * 9))  # whoever asks is told yes
    with pytest.raises(DataError, match=f"The {what} in .*odd needs code .* never run") as caught:
        if what == "text encoder":
            make_encoder(str(folder), device="cpu")
        else:
            LocalGenerator(fast(tmp_path, model=str(folder), device="cpu"))
    assert "\n" not in str(caught.value) and not marker.exists()
