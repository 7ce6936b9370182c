import pytest

from recbole_sam.cli.main import main
from recbole_sam.errors import SettingError
from recbole_sam.llm.address import server_address
from recbole_sam.llm.settings import LLMSettings


@pytest.mark.parametrize(
    "url, address",
    [
        ("http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000/v1"),
        ("https://Host/compatible-mode/v1", "https://Host/compatible-mode/v1"),
        ("http://[::1]:80/v1", "http://[::1]:80/v1"),
    ],
)
def test_an_address_is_taken_without_its_last_slash(url, address):
    assert server_address(url) == address


@pytest.mark.parametrize(
    "url",
    ["127.0.0.1:8000", "ftp://x/v1", "not an address", "http://", 8000, "http://127.0.0.1:abc/v1",
     "http://127.0.0.1:99999/v1", "http://[::1/v1", "http://me:hush@[::1/v1"],
)  # fmt: skip
def test_what_is_no_address_is_refused(url):
    with pytest.raises(SettingError, match="llm_base_url must be an address") as caught:
        LLMSettings(base_url=url)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "url, sentence",
    [
        ("https://me:hush@host:81/v1", "user name or a password.*llm_api_key_env"),
        ("https://hush@host/v1", "user name or a password"),
        ("https://host/v1?token=hush", "leave out"),
        ("https://host/v1#hush", "leave out"),
    ],
)
@pytest.mark.parametrize("model", ["SAM", "SASRec"])
def test_a_secret_in_the_address_is_refused_before_it_is_shown_or_kept(
    shop, capfd, tmp_path, caplog, url, sentence, model
):
    with pytest.raises(SettingError, match=sentence) as caught:
        LLMSettings(base_url=url)
    given = ["--dataset=shop", f"--model={model}", "--interest_generator=openai", "--llm_model=m"]
    for command in ("interests", "run"):
        assert main([command, *given, f"--llm_base_url={url}"]) == 2
    shown = "".join(capfd.readouterr()) + caplog.text + str(caught.value)
    kept = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert "llm_base_url" in shown and "hush" not in shown and b"hush" not in kept
