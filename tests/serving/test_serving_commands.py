"""The commands: from training to a table, and every mistake as a sentence with exit code 2."""

import pandas as pd
import pytest
from bundle_helpers import make_shop

from recbole_sam.cli.main import main

QUICK = ("--epochs=1", "--text_encoder_dim=8", "--MAX_ITEM_LIST_LENGTH=8", "--show_progress=False",
         "--use_gpu=False")  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("commands")
    make_shop(root)
    words = ("run", "--model=SAM", "--dataset=shop", f"--data_path={root}/dataset", *QUICK)
    words += (f"--checkpoint_dir={root}/saved", f"--bundle={root}/public")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        assert main(words) == 0
        [checkpoint] = (root / "saved").glob("*.pth")
        assert main(("bundle", str(checkpoint), "--output=b", "--with-users")) == 0
    return root


def run(capsys, *words):
    code = main(words)
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return code, said.out, said.err


def test_training_with_bundle_leaves_one_without_users(place):
    assert {path.name for path in (place / "public").iterdir()} >= {"bundle.json", "README.md"}
    assert not (place / "public" / "users.parquet").exists()


def test_a_table_with_titles(place, capsys):
    code, out, _ = run(capsys, "recommend", f"{place}/b", "--user=u1", "--top-k=3")
    lines = out.splitlines()
    assert code == 0 and lines[0].split() == ["rank", "item", "title", "score"] and len(lines) == 4
    code, out, _ = run(capsys, "recommend", f"{place}/b", "--user=u1", "--user=u2", "--top-k=1")
    assert code == 0 and len(out.splitlines()) == 3 and "u2" in out


def test_sessions_and_candidates(place, capsys, tmp_path):
    (tmp_path / "s.csv").write_text("session,item\na,i1\na,i2\nb,i3\n")
    (tmp_path / "few.txt").write_text("i4\ni5\ni6\n")
    (tmp_path / "new.csv").write_text("item,title\nn1,Rose Hand Cream\n")
    words = ("--sessions=s.csv", "--without=few.txt", "--new-items=new.csv")
    words += ("--output=o.parquet", "--top-k=50")
    assert run(capsys, "recommend", f"{place}/public", *words)[0] == 0
    frame = pd.read_parquet("o.parquet")
    assert frame["user"].value_counts().to_dict() == {"a": 26 - 2 - 3, "b": 26 - 1 - 3}
    assert frame["new"].sum() == 2
    code, out, _ = run(capsys, "recommend", f"{place}/public", "--items=i1, i2", "--among=few.txt")
    assert code == 0 and len(out.splitlines()) == 4


def test_everybody(place, capsys, tmp_path):
    assert run(capsys, "recommend", f"{place}/b", "--all", "--output=top.jsonl", "--top-k=2")[0] == 0
    assert len(pd.read_json("top.jsonl", lines=True)) == 80


def test_similar(place, capsys):
    code, out, _ = run(capsys, "similar", f"{place}/b", "--item=i1", "--top-k=2", "--by=text")
    assert code == 0 and len(out.splitlines()) == 3


@pytest.mark.parametrize(
    "words, said",
    (
        (("recommend", "{b}"), "Say for whom"),
        (("recommend", "{b}", "--user=u1", "--all"), "Say for whom"),
        (("recommend", "{b}", "--all"), "--output"),
        (("recommend", "{b}", "--items=,"), "names no item"),
        (("recommend", "{b}", "--user=u1", "--output=x.xls"), "must end in"),
        (("recommend", "{b}", "--user=nobody", "--strict"), "nobody"),
        (("recommend", "{b}", "--user=u1", "--top-k=0"), "k is 0"),
        (("recommend", "{b}", "--user=u1", "--among=absent.txt"), "cannot be read"),
        (("recommend", "{public}", "--user=u1"), "--with-users"),
        (("recommend", "absent", "--user=u1"), "no bundle"),
        (("similar", "{b}", "--item=zzz"), "not in the bundle"),
        (("bundle", "absent.pth", "--output=x"), "no checkpoint"),
        (("bundle", "absent.pth", "--output="), "output is empty"),
        (("bundle", "absent.pth", "--output={b}"), "--overwrite"),
        (("run", "--model=SAM", "--dataset=shop", "--bundle={b}"), "--overwrite"),
        (("run", "--model=SAM", "--dataset=shop", "--bundle=x", "--nproc=2"), "one process"),
        (("run", "--model=DIN", "--dataset=shop", "--bundle=x"), "DIN cannot be bundled"),
        (("run", "--model=HSTU", "--dataset=shop", "--bundle=x"), "Train it with time_bias=False"),
        (
            ("recommend", "{b}", "--user=u1", "--history=test"),
            "history is 'test'; it must be one of full",
        ),
        (
            ("recommend", "{b}", "--items=i1", "--new-interests=off"),
            "new-interests is 'off'; it must be one of live",
        ),
    ),
)
def test_mistakes_are_sentences(place, capsys, words, said):
    words = [word.format(b=place / "b", public=place / "public") for word in words]
    code, _, error = run(capsys, *words)
    assert code == 2 and said in error and len(error.strip().splitlines()) == 1


@pytest.mark.parametrize("whom", ["--user=nobody", "--users=nobody.txt", "--items=zz,x", "--users=empty.txt"])
def test_an_answer_for_nobody_is_an_error(place, capsys, whom):
    (place / "nobody.txt").write_text("nobody\nno one\n")
    (place / "empty.txt").write_text("\n")
    option, _, value = whom.partition("=")
    value = str(place / value) if value.endswith(".txt") else value
    code, out, error = run(capsys, "recommend", f"{place}/b", f"{option}={value}")
    assert code == 2 and not out
    assert ("names no user" if "empty" in value else "nothing to recommend") in error
