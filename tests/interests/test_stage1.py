"""Stage 1 for a configuration, with a language model that a local server plays."""

import re
import shlex
import shutil

import pytest
from conftest import make_config
from servers.llm_server import Reply
from sklearn.decomposition import TruncatedSVD

from recbole_sam.cli.main import main
from recbole_sam.data import store_location
from recbole_sam.data.store import InterestStore
from recbole_sam.data.titles import item_titles
from recbole_sam.errors import SettingError
from recbole_sam.interests import stage1

pytest.importorskip("httpx")


@pytest.fixture
def server(serve):
    """Answers every prompt, but those with a word of ``failing``."""
    failing = set()

    def script(prompt, attempt):
        return Reply(status=500) if any(word in prompt for word in failing) else None

    made = serve(script)
    made.failing = failing
    return made


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


def test_the_text_encoder_learns_once(shop, monkeypatch):
    learned, fit = [], TruncatedSVD.fit
    monkeypatch.setattr(
        TruncatedSVD, "fit", lambda self, table: learned.append(table.shape) or fit(self, table)
    )
    stage1.build_missing(make_config())
    assert len(learned) == 1 and len(list(shop.glob("*.safetensors"))) == 2
    assert main(["interests", "--dataset=shop", "--text_encoder_dim=7", "--state=WARNING"]) == 0
    assert len(learned) == 2 and len(list(shop.glob("*.safetensors"))) == 4


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


def test_prompts_of_clustering_show_the_groups_and_nothing_later_than_training(shop, server, given):
    assert main(words({**given, "interest_grouping": "clustering"})) == 0
    config = make_config(**given, interest_grouping="clustering")
    store = InterestStore.open(store_location.path(config))
    assert store.fingerprint["settings"]["grouping"] == "clustering"
    titles = item_titles(config)
    _, histories = stage1.training_data(config)
    shown = {tuple(sorted(re.findall("^- (.*)$", asked, re.MULTILINE))) for asked in server.asked}
    assert shown == {tuple(sorted(titles[item] for item in items)) for items in histories}
    assert all("Group 1:\n<titles>" in asked for asked in server.asked)
    assert all(1 <= count <= 8 for count in store.offsets[1:] - store.offsets[:-1])


def test_a_store_of_routing_is_named_as_before_there_was_another_grouping(shop):
    config = make_config(interest_grouping="routing")
    made = store_location.content(config)
    assert not {"interest_grouping", "interest_closeness"} & set(made) and made["interest_k_min"] == 2
    same = make_config(interest_grouping="routing", interest_k_min=2, interest_closeness=0.5)
    assert store_location.path(same) == store_location.path(config)
    other = make_config(interest_grouping="clustering")
    assert store_location.path(other) != store_location.path(config)
    assert store_location.content(other)["interest_k_min"] == 1
    assert store_location.path(make_config(interest_grouping="clustering", interest_alpha=0.1)) == (
        store_location.path(other)
    )


def test_imported_interests_are_found_whatever_the_grouping(shop):
    paths = {
        store_location.path(make_config(interest_generator="imported", interest_grouping=grouping))
        for grouping in ("routing", "clustering")
    }
    assert len(paths) == 1


def test_nobody_pays_again_because_a_default_changed(shop, server, given, capsys):
    """A paid store of routing is there, and nobody chose clustering: the run stops and asks nothing."""
    assert main(words({**given, "interest_grouping": "routing"})) == 0
    asked = sum(server.asked.values())
    config = make_config(**given)
    config["interest_grouping"] = "clustering"  # as a default: nobody gave it
    with pytest.raises(SettingError) as refused:
        stage1.build_missing(config)
    sentence = str(refused.value)
    assert "--interest_grouping=routing" in sentence and sum(server.asked.values()) == asked
    command = sentence.partition("would cost: ")[2].rstrip(".")
    capsys.readouterr()
    assert main(shlex.split(command)[3:]) == 0  # what it names tells the price, and asks nothing
    assert "to be asked" in capsys.readouterr().out and sum(server.asked.values()) == asked
    stage1.build_missing(make_config(**given, interest_grouping="routing"))
    assert sum(server.asked.values()) == asked
    stage1.build_missing(make_config(**given, interest_grouping="clustering"))  # chosen: asks
    assert sum(server.asked.values()) > asked


def test_keyphrases_follow_brands_and_categories(shop):
    config = make_config(interest_generator="keyphrases", interest_grouping="clustering")
    before = store_location.path(config)
    assert "llm_model" not in store_location.content(config)
    stage1.build_missing(config)
    store = InterestStore.open(before)
    assert store.fingerprint["generator"] == {"name": "keyphrases"} and store.n_phrases > 1
    file = shop / "shop.item"
    header, *rows = file.read_text().splitlines()
    file.write_text(
        "\n".join([f"{header}\tcategories:token", *(f"{row}\tToys, Kites" for row in rows)]) + "\n"
    )
    assert store_location.path(config) != before


def test_a_grouping_that_there_is_not(shop, capsys):
    assert main(["interests", "--dataset=shop", "--interest_grouping=cluster"]) == 2
    assert "interest_grouping must be routing or clustering" in capsys.readouterr().err
