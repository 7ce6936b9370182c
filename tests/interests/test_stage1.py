"""Stage 1 for a configuration, with a language model that a local server plays."""

import shlex
import shutil

import pytest
from conftest import make_config
from servers.llm_server import KEY, LLMServer, Reply

from recbole_sam.cli.main import main
from recbole_sam.data import store_location
from recbole_sam.data.store import InterestStore
from recbole_sam.interests import stage1

pytest.importorskip("httpx")


@pytest.fixture
def server(monkeypatch):
    """Answers every prompt, but those with a word of ``failing``."""
    failing = set()

    def script(prompt, attempt):
        return Reply(status=500) if any(word in prompt for word in failing) else None

    with LLMServer(script) as made:
        made.failing = failing
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        yield made


@pytest.fixture
def given(server):
    """Settings that ask it, quickly, and put up with every failure."""
    return {"interest_generator": "openai", "llm_model": "m", "llm_base_url": server.compatible_url,
            "llm_requests_per_minute": 0, "llm_tries": 1, "llm_max_failed_share": 1.0,
            "text_encoder_dim": 8, "MAX_ITEM_LIST_LENGTH": 8}  # fmt: skip


def words(given):
    return ["interests", "--dataset=shop", *(f"--{name}={value}" for name, value in given.items())]


def failed(store):
    store = InterestStore.open(store)
    return int((store.statuses == store.status_names.index("failed")).sum())


def test_a_run_tells_of_users_without_an_answer_and_the_command_asks_for_them(shop, server, given, caplog):
    server.failing.add(" i7\n")
    assert main(words(given)) == 0
    path, asked = store_location.path(make_config(**given)), sum(server.asked.values())
    users, content = failed(path), path.read_bytes()
    assert 0 < users < 40
    server.failing.clear()
    caplog.set_level("WARNING")
    stage1.build_missing(make_config(**given))
    assert path.read_bytes() == content and sum(server.asked.values()) == asked  # a run changes nothing
    [line] = [record.getMessage() for record in caplog.records if "no interests" in record.getMessage()]
    assert line.startswith(f"{users} users have no interests")
    told = []
    stage1.build_missing(make_config(**given), told.append)
    assert told == [line]
    command = shlex.split(line.partition("with: ")[2])
    assert main(command[3:]) == 0
    assert failed(path) == 0 and set(server.answered.values()) == {1}  # nothing was paid for twice
    asked, content = sum(server.asked.values()), path.read_bytes()
    assert main(command[3:]) == 0
    assert path.read_bytes() == content and sum(server.asked.values()) == asked


def test_without_the_cache_nobody_is_asked_a_second_time(shop, server, given, capsys):
    server.failing.add(" i7\n")
    assert main(words(given)) == 0
    asked = sum(server.asked.values())
    shutil.rmtree("saved/llm-cache")
    capsys.readouterr()
    assert main(words(given)) == 2
    assert "--llm_cache_dir" in capsys.readouterr().err and sum(server.asked.values()) == asked


def test_a_store_of_other_settings_is_left_alone(shop, server, given):
    server.failing.add(" i7\n")
    assert main(words({**given, "interest_store": "shared.safetensors"})) == 0
    asked, made = sum(server.asked.values()), failed("shared.safetensors")
    for other in ({"llm_top_p": 0.5}, {"interest_generator": "extractive"}):
        assert main(words({**given, "interest_store": "shared.safetensors", **other})) == 0
    assert sum(server.asked.values()) == asked and failed("shared.safetensors") == made > 0


def test_an_edited_prompt_is_asked(shop, server, given, tmp_path):
    prompt = tmp_path / "my.txt"
    for text in ("FIRST {titles} exactly {k}", "SECOND {titles} exactly {k}"):
        prompt.write_text(text)
        config = make_config(**given, llm_prompt_file=str(prompt))
        stage1.build_missing(config)
        store = InterestStore.open(store_location.path(config))
        assert sum(asked.startswith(text.split()[0]) for asked in server.asked) > 30
        assert store.fingerprint["configuration"] == store_location.content(config)


def test_an_unknown_setting_starts_no_run_that_pays(shop, server, given, capsys):
    for word in ("--dry_run=True", "--max-calls=10"):
        assert main([*words(given), word]) == 2
        name = word[2:].split("=")[0]
        assert f"the setting '{name}' is unknown, and a run that asks" in capsys.readouterr().err
    assert not server.asked
    assert main(["interests", "--dataset=shop", "--text_encoder_dim=8", "--max-calls=10"]) == 0  # asks nobody
