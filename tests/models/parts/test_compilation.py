"""torch.compile: the sentence on a machine that cannot compile."""

import pytest
import torch

from recbole_sam.errors import SettingError
from recbole_sam.models.parts.compilation import compiled


def doubled(x):
    return (x * 2).relu()


def test_no_compiler_is_one_sentence(monkeypatch, tmp_path):
    from torch._inductor import config

    monkeypatch.setattr(config.cpp, "cxx", (None, str(tmp_path / "no-such-compiler")))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))  # nothing compiled earlier
    monkeypatch.setattr(config, "force_disable_caches", True)
    torch._dynamo.reset()
    with pytest.raises(SettingError, match="install.*or set compile to False") as error:
        compiled(doubled)(torch.ones(3))
    assert "\n" not in str(error.value) and "compiler" in str(error.value)


def test_python_without_torch_compile_is_one_sentence(monkeypatch):
    def refuse(function):
        raise RuntimeError("Dynamo is not supported on Python 3.99+")

    monkeypatch.setattr(torch, "compile", refuse)
    with pytest.raises(SettingError, match=r"Python 3.99\+.*set compile to False"):
        compiled(doubled)


def test_errors_of_the_function_stay_themselves():
    torch._dynamo.reset()
    with pytest.raises(TypeError):
        compiled(doubled)(torch.ones(3), torch.ones(3))


@pytest.mark.slow
def test_compiled_equals_eager():
    torch._dynamo.reset()
    x = torch.randn(5, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(compiled(doubled)(x), doubled(x))
