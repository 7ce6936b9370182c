import argparse
import gzip
import http.server
import json
import math
import resource
import shutil
import threading
import zipfile
from functools import partial
from pathlib import Path

import pytest
import recbole
from conftest import ROOT

from recbole_sam.cli import prepare as command
from recbole_sam.config import yaml_files
from recbole_sam.errors import DataError, SettingError, UnknownNameError
from recbole_sam.prepare import atomic
from recbole_sam.prepare.card import card_line, read_card

SHARED = ROOT.parent / "shared" / "data"


def run(*options):
    """The command line, as ``python -m recbole_sam prepare`` hands it over."""
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers(), "makes a dataset")
    return command.run(parser.parse_args(["prepare", *options]))


def lines(path, records):
    raw = "".join(json.dumps(record) + "\n" for record in records).encode()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


def reviews_2018(users=6, items=5):
    for item in range(items):
        for user in range(users):
            yield {
                "reviewerID": f"U{user}", "asin": f"A{item}", "overall": 5.0,
                "unixReviewTime": 1_400_000_000 + 86_400 * ((item * 3 + user) % 7),
            }  # fmt: skip


def meta_2018(items=5):
    titles = ["Soap &amp; Co", "var x = new Date();", "", "<b>Comb</b>"]
    for item, title in enumerate(titles[:items]):
        yield {
            "asin": f"A{item}", "title": title, "brand": "Acme" if item else "",
            "category": ["Beauty", "Bath"] if item != 2 else [], "price": f"${item}.50",
        }  # fmt: skip
    yield {"asin": "UNKNOWN", "title": "nobody bought this"}


@pytest.fixture
def published(tmp_path):
    folder = tmp_path / "published"
    folder.mkdir()
    lines(folder / "Test_5.json.gz", reviews_2018())
    lines(folder / "meta_Test.json.gz", meta_2018())
    return folder


def texts(folder, field="title"):
    return atomic.read_item_texts(folder / f"{folder.name}.item", [field])


def test_reviews_and_metadata(published, tmp_path, capsys):
    run(
        "--dataset=x", f"--data_path={tmp_path}",
        f"--reviews={published / 'Test_5.json.gz'}", f"--meta={published / 'meta_Test.json.gz'}",
    )  # fmt: skip
    assert texts(tmp_path / "x") == {
        "A0": "Soap & Co",
        "A1": "Acme Bath",
        "A2": "Acme",
        "A3": "Comb",
        "A4": "",
    }
    card = read_card(tmp_path / "x")
    assert card["titles"] == {
        "title": 2,
        "brand and category instead": 2,
        "no text": 0,
        "script instead of title": 1,
        "not in the item file": 1,
    }
    assert atomic.read_header(tmp_path / "x" / "x.item")["price"] == "float"
    assert "Amazon reviews" in card_line(card)
    assert "items: 1 x not in the item file" in capsys.readouterr().out


def test_reviews_without_metadata_make_a_dataset_without_titles(published, tmp_path):
    run("--dataset=x", f"--data_path={tmp_path}", f"--reviews={published / 'Test_5.json.gz'}")
    assert not (tmp_path / "x" / "x.item").exists()
    assert "no titles" in card_line(read_card(tmp_path / "x"))


def test_metadata_of_another_category_is_refused(published, tmp_path):
    other = lines(tmp_path / "meta_Other.json", [{"asin": f"Z{n}", "title": "?"} for n in range(9)])
    with pytest.raises(DataError, match="0 of the 5 items are described in meta_Other.json"):
        run("--dataset=x", f"--data_path={tmp_path}",
            f"--reviews={published / 'Test_5.json.gz'}", f"--meta={other}")  # fmt: skip
    assert not (tmp_path / "x").exists()


def test_a_metadata_file_for_reviews_is_refused(published, tmp_path):
    with pytest.raises(DataError, match="no usable interaction .*no usable user id"):
        run("--dataset=x", f"--data_path={tmp_path}", f"--reviews={published / 'meta_Test.json.gz'}")


def test_truncated_metadata_leaves_the_old_dataset(published, tmp_path):
    path = [f"--data_path={tmp_path}", "--dataset=x", f"--reviews={published / 'Test_5.json.gz'}"]
    run(*path)
    before = (tmp_path / "x" / "card.json").read_bytes()
    meta = published / "meta_Test.json.gz"
    meta.write_bytes(meta.read_bytes()[:-9])
    with pytest.raises(DataError, match="truncated gzip"):
        run(*path, f"--meta={meta}", "--overwrite")
    assert (tmp_path / "x" / "card.json").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["published", "x"]


def test_an_atomic_folder_gets_its_titles(published, tmp_path):
    folder = tmp_path / "bare"
    folder.mkdir()
    rows = [(r["reviewerID"], r["asin"], 5, r["unixReviewTime"]) for r in reviews_2018()]
    fields = {"user_id": "token", "item_id": "token", "rating": "float", "timestamp": "float"}
    atomic.write_rows(folder / "bare.inter", fields, rows)
    options = ["--dataset=bare", f"--data_path={tmp_path}", f"--atomic={folder}"]
    with pytest.raises(DataError, match="--overwrite"):
        run(*options)
    run(*options, f"--meta={published / 'meta_Test.json.gz'}", "--overwrite")
    assert texts(folder)["A3"] == "Comb"
    # and once more from itself, now filtered, keeping the titles
    run("--dataset=again", f"--data_path={tmp_path}", f"--atomic={folder}", "--k-core=iterated")
    assert texts(tmp_path / "again") == texts(folder)
    assert texts(tmp_path / "again", "categories") == texts(folder, "categories")


def test_the_titles_of_ml_100k_survive_filtering(tmp_path):
    folder = Path(recbole.__file__).parent / "dataset_example" / "ml-100k"
    run("--dataset=dense", f"--data_path={tmp_path}", f"--atomic={folder}", "--min-count=50",
        "--title-column=movie_title")  # fmt: skip
    # under the name that runs look for, whatever the source calls it
    assert texts(tmp_path / "dense")["1"] == "Toy Story"
    assert 0 < len(texts(tmp_path / "dense")) < 1682


def atomic_folder(folder, inter=(), item=(), title="title"):
    """Six users with five items each, with further columns where a test asks for them."""
    folder.mkdir()
    fields = {"user_id": "token", "item_id": "token", "timestamp": "float", **dict.fromkeys(inter, "token")}
    rows = [(f"u{u}", f"i{i}", u + i, *inter) for u in range(6) for i in range(5)]
    atomic.write_rows(folder / f"{folder.name}.inter", fields, rows)
    fields = {"item_id": "token", title: "token", "price": "float", **dict.fromkeys(item, "token")}
    rows = [(f"i{i}", f"Title {i}", i + 0.5, *item) for i in range(5)]
    atomic.write_rows(folder / f"{folder.name}.item", fields, rows)
    return [f"--data_path={folder.parent}", f"--atomic={folder}"]


def test_an_atomic_folder_keeps_its_prices(tmp_path):
    options = atomic_folder(tmp_path / "x")
    run("--dataset=x", *options, "--overwrite")
    rows = [cells for _, cells in atomic.read_rows(tmp_path / "x" / "x.item")]
    assert rows[1] == ["i1", "Title 1", "1.5"]
    assert read_card(tmp_path / "x")["notes"] == []


def test_columns_that_are_not_taken_over_are_named_and_never_lost(tmp_path, capsys):
    options = atomic_folder(tmp_path / "x", ["device"], ["release_year"])
    before = (tmp_path / "x" / "x.inter").read_bytes()
    with pytest.raises(DataError, match=r"lose columns .*device \(.inter\), release_year \(.item\).*another"):
        run("--dataset=x", *options, "--overwrite")
    assert (tmp_path / "x" / "x.inter").read_bytes() == before
    run("--dataset=y", *options)
    note = "columns not taken over: device (.inter), release_year (.item)"
    assert f"note: {note}" in capsys.readouterr().out
    assert read_card(tmp_path / "y")["notes"] == [note]


def test_a_preset_names_the_titles_of_an_atomic_folder(tmp_path):
    options = atomic_folder(tmp_path / "raw", title="movie_title")
    run("--dataset=ml-1m", *options)
    assert texts(tmp_path / "ml-1m", "movie_title")["i1"] == "Title 1"
    run("--dataset=mine", *options, "--preset=ml-1m")  # runs on "mine" look for "title"
    assert texts(tmp_path / "mine")["i1"] == "Title 1"
    with pytest.raises(DataError, match="no field 'title'.*--title-column="):
        run("--dataset=other", *options)


def test_an_atomic_folder_that_is_none(tmp_path):
    with pytest.raises(DataError, match="holds 0 .inter files"):
        run("--dataset=x", f"--data_path={tmp_path}", f"--atomic={tmp_path}")


def test_a_log_with_titles_in_every_row(tmp_path):
    log = tmp_path / "log.csv"
    rows = [f"u{u},i{i},{u * 10 + i},{'buy' if i else 'pv'},Title {i}" for u in range(5) for i in range(6)]
    log.write_text("user_id,item_id,time,behavior_type,title\n" + "\n".join(rows))
    options = [f"--data_path={tmp_path}", f"--interactions={log}", "--preset=alibaba-log"]
    run("--dataset=clicks", *options)
    assert texts(tmp_path / "clicks")["i3"] == "Title 3"
    run("--dataset=bought", *options, "--behaviours=buy,cart")
    card = read_card(tmp_path / "bought")
    assert card["counts"]["items"] == 5
    assert card["skipped"]["other behaviour"] == 5
    assert card["source"]["name"] == "behaviour log"
    assert card["notes"] == ["log.csv has no row with the behaviour 'cart'; it has buy, pv."]
    assert len(card["source"]["files"]) == 1


def test_the_rows_of_a_log_with_titles_are_counted_once(tmp_path, capsys):
    log = tmp_path / "log.csv"
    bad = "u0,,1,view,Bad\nu1,,1,view,Bad\n"
    log.write_text("user_id,item_id,time,behavior_type,title\nu0,i0,1,buy,A\nu1,i1,2,buy,B\n" + bad)
    options = [f"--data_path={tmp_path}", f"--interactions={log}", "--k-core=none"]
    run("--dataset=x", *options)
    assert read_card(tmp_path / "x")["skipped"] == {"no usable item id": 2}
    run("--dataset=y", *options, "--behaviours=buy", "--strict")
    assert read_card(tmp_path / "y")["skipped"] == {"other behaviour": 2}
    run("--dataset=z", *options, f"--items={log}")
    assert "left out: 2 x no usable item id" in capsys.readouterr().out
    assert read_card(tmp_path / "z")["skipped_items"] == {}


def test_bad_metadata_is_no_lost_interaction(published, tmp_path, capsys):
    meta = lines(tmp_path / "meta.json", [*meta_2018(), {"title": "of nothing"}, ["no record"]])
    options = [f"--data_path={tmp_path}", f"--reviews={published / 'Test_5.json.gz'}", f"--meta={meta}"]
    run("--dataset=x", *options, "--report")
    card = read_card(tmp_path / "x")
    assert card["skipped"] == {}
    assert sum(card["skipped_items"].values()) == 2
    assert "Lines of the item file left out" in (tmp_path / "x" / "report.html").read_text()
    printed = capsys.readouterr().out
    assert "of the items left out: 1 x no usable item id (first: meta.json, line 6)" in printed
    with pytest.raises(DataError, match="meta.json, line 6: no usable item id"):
        run("--dataset=y", *options, "--strict")


def test_a_log_without_a_line_of_names(tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("".join(f"{u},{i},9,pv,{u + i}\n" for u in range(5) for i in range(5)))
    run("--dataset=x", f"--data_path={tmp_path}", f"--interactions={log}",
        "--header=user,item,category,behavior,time")  # fmt: skip
    items = tmp_path / "items.csv"  # has its own line of names
    items.write_text("item,title\n" + "".join(f"{i},Title {i}\n" for i in range(5)))
    run("--dataset=y", f"--data_path={tmp_path}", f"--interactions={log}", f"--items={items}",
        "--header=user,item,category,behavior,time")  # fmt: skip
    assert texts(tmp_path / "y")["3"] == "Title 3"
    assert read_card(tmp_path / "x")["counts"]["interactions"] == 25


def test_movielens(tmp_path):
    archive = tmp_path / "ml-1m.zip"
    with zipfile.ZipFile(archive, "w") as file:
        ratings = "".join(f"{u}::{i}::{1 + i % 5}::{978300000 + i}\n" for u in range(5) for i in range(5))
        file.writestr("ml-1m/ratings.dat", ratings + "broken line\n")
        movies = "".join(f"{i}::Café {i} (1995)::Comedy|Drama\n" for i in range(5))
        file.writestr("ml-1m/movies.dat", movies.encode("iso-8859-1"))
    run("--dataset=ml-1m", f"--data_path={tmp_path}", f"--archive={archive}")
    assert texts(tmp_path / "ml-1m", "movie_title")["3"] == "Café 3 (1995)"
    assert texts(tmp_path / "ml-1m", "categories")["3"] == "Comedy, Drama"
    assert sum(read_card(tmp_path / "ml-1m")["skipped"].values()) == 1
    whole = archive.read_bytes()
    archive.write_bytes(whole[:100])
    with pytest.raises(DataError, match="damaged zip"):
        run("--dataset=y", f"--data_path={tmp_path}", f"--archive={archive}")
    with pytest.raises(DataError, match="is a folder, where a file is needed"):
        run("--dataset=y", f"--data_path={tmp_path}", f"--archive={tmp_path}")


def test_a_movielens_archive_with_a_damaged_member(tmp_path):
    archive = tmp_path / "ml-1m.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("ml-1m/ratings.dat", "1::2::3::4\n" * 1000)
    content = bytearray(archive.read_bytes())
    content[50:60] = b"\xff" * 10  # in the compressed bytes, behind the member's head
    archive.write_bytes(content)
    with pytest.raises(DataError, match="damaged zip"):
        run("--dataset=ml-1m", f"--data_path={tmp_path}", f"--archive={archive}")


def test_ml_100k_needs_no_preparing(tmp_path, capsys):
    assert run("--dataset=ml-100k", f"--data_path={tmp_path}") == 0
    assert "nothing to prepare" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_files_given_for_ml_100k_are_read(tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("user,item,time\nu,a,1\nu,b,2\n")
    run("--dataset=ml-100k", f"--data_path={tmp_path}", f"--interactions={log}", "--k-core=none")
    assert read_card(tmp_path / "ml-100k")["counts"]["items"] == 2
    with pytest.raises(SettingError, match="inside RecBole.*--atomic="):
        run("--dataset=ml-100k", f"--data_path={tmp_path / 'y'}", f"--items={log}")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--atomic=a", "--behaviours=buy", "--user-column=z", "--header=a,b"],
         "--atomic does not read --header, --behaviours, --user-column"),
        (["--reviews=a", "--title-column=z"], "--reviews does not read --title-column"),
        (["--archive=a", "--items=b"], "--archive does not read --items"),
        (["--interactions=a", "--items=b", "--meta=c"], "--items and --meta both"),
        (["--preset=ml-1m", "--delimiter=;"], "--archive does not read --delimiter"),
    ],
)  # fmt: skip
def test_options_that_would_do_nothing_are_refused(tmp_path, options, sentence):
    with pytest.raises(SettingError, match=sentence):
        run("--dataset=x", f"--data_path={tmp_path}", *options)


def test_the_options_of_an_item_table_are_read_beside_reviews(published, tmp_path):
    items = tmp_path / "items.csv"
    items.write_text("was;wie\n" + "".join(f"A{i};Title {i}\n" for i in range(5)))
    run("--dataset=x", f"--data_path={tmp_path}", f"--reviews={published / 'Test_5.json.gz'}",
        f"--items={items}", "--item-id-column=was", "--title-column=wie", "--delimiter=;")  # fmt: skip
    assert texts(tmp_path / "x")["A3"] == "Title 3"


def test_a_tilde_is_the_home_folder(published, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(published)
    run("--dataset=x", "--data_path=~/data", "--reviews=~/published/Test_5.json.gz")
    assert (tmp_path / "data" / "x" / "x.inter").is_file()


@pytest.fixture
def preset(tmp_path, published, monkeypatch):
    """A preset whose files a local server offers."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=published))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    folder = tmp_path / "properties"
    (folder / "dataset").mkdir(parents=True)
    address = f"http://127.0.0.1:{server.server_port}"
    (folder / "dataset" / "shop.yaml").write_text(
        "source:\n    title: Shop 2018\n    page: https://shop.example\n    reader: amazon\n"
        "    files:\n"
        f"        reviews: {{urls: ['{address}/Test_5.json.gz'], lines: 30}}\n"
        f"        meta: {{urls: ['{address}/meta_Test.json.gz']}}\n"
    )
    monkeypatch.setattr(yaml_files, "folder", lambda: folder)
    yield [f"--data_path={tmp_path / 'dataset'}", f"--cache={tmp_path / 'cache'}"]
    server.shutdown()
    thread.join()
    server.server_close()


def test_one_line_downloads_checks_and_converts(preset, tmp_path):
    run("--dataset=shop", *preset)
    card = read_card(tmp_path / "dataset" / "shop")
    assert card["source"]["name"] == "Shop 2018"
    assert card["notes"] == []
    assert texts(tmp_path / "dataset" / "shop")["A0"] == "Soap & Co"
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == [
        "Test_5.json.gz",
        "meta_Test.json.gz",
    ]
    run("--dataset=shop", *preset, "--overwrite", "--offline")  # from the cache


def test_offline_says_what_to_fetch_and_what_to_run_then(preset):
    with pytest.raises(DataError) as caught:
        run("--dataset=shop", *preset, "--offline")
    sentence = str(caught.value)
    assert "https://shop.example" in sentence
    assert "Test_5.json.gz and meta_Test.json.gz" in sentence
    assert (
        "python -m recbole_sam prepare --dataset=shop --reviews=Test_5.json.gz "
        "--meta=meta_Test.json.gz" in sentence
    )


def test_items_of_ones_own_take_the_place_of_published_metadata(preset, tmp_path):
    items = tmp_path / "items.csv"
    items.write_text("item,title\n" + "".join(f"A{i},Mine {i}\n" for i in range(5)))
    run("--dataset=shop", *preset, f"--items={items}")
    assert texts(tmp_path / "dataset" / "shop")["A3"] == "Mine 3"
    assert not (tmp_path / "cache" / "meta_Test.json.gz").exists()


def test_a_file_the_server_lacks(preset, published):
    (published / "meta_Test.json.gz").unlink()
    with pytest.raises(DataError, match="meta_Test.json.gz: the server answers 404.*by hand"):
        run("--dataset=shop", *preset)


def test_another_number_of_lines_than_published_is_noted(preset, published, tmp_path, capsys):
    lines(published / "Test_5.json.gz", [*reviews_2018(), *reviews_2018(1)])
    with pytest.raises(DataError, match="has 35 lines where its publisher says 30"):
        run("--dataset=shop", *preset, "--strict")
    run("--dataset=shop", *preset)
    assert "note: Test_5.json.gz has 35 lines" in capsys.readouterr().out
    assert len(read_card(tmp_path / "dataset" / "shop")["notes"]) == 1


def test_an_existing_dataset_is_refused_before_anything_is_downloaded(preset, tmp_path):
    folder = tmp_path / "dataset" / "shop"
    folder.mkdir(parents=True)
    (folder / "shop.inter").write_text("mine")
    with pytest.raises(DataError, match="--overwrite"):
        run("--dataset=shop", *preset)
    assert not (tmp_path / "cache").exists()


def test_names_nobody_knows(tmp_path):
    path = f"--data_path={tmp_path}"
    with pytest.raises(UnknownNameError, match="Did you mean amazon-office-products"):
        run("--dataset=amazon-ofice-products", path)
    with pytest.raises(UnknownNameError, match="no preset 'x'"):
        run("--dataset=mine", path, "--preset=x")
    with pytest.raises(SettingError, match="--interactions=FILE"):
        run("--dataset=alibaba-log", path)
    with pytest.raises(SettingError, match="two sources"):
        run("--dataset=mine", path, "--reviews=a", "--atomic=b")


def test_no_room_to_write(published, tmp_path):
    """A limit on the size of files stands for the disk that fills up."""
    many = lines(tmp_path / "many.json", reviews_2018(users=200, items=50))
    old = tmp_path / "dataset" / "x"
    old.mkdir(parents=True)
    (old / "x.inter").write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(DataError, match="could not be written and is as it was"):
            run("--dataset=x", f"--data_path={old.parent}", f"--reviews={many}", "--overwrite")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in (tmp_path / "dataset").iterdir()] == ["x"]
    assert (old / "x.inter").read_text() == "old"


@pytest.mark.parametrize(
    ("options", "users", "items", "interactions"),
    [
        ([], 988, 53, 4104),
        (["--duplicates=keep"], 988, 53, 5189),
        (["--k-core=iterated"], 151, 28, 770),
        (["--k-core=none"], 991, 85, 4166),
        (["--k-core=none", "--repeats=last"], 991, 85, 4092),
    ],
)
def test_what_each_filter_leaves_of_the_real_all_beauty(tmp_path, options, users, items, interactions):
    path = SHARED / "amazon-all-beauty-raw" / "All_Beauty_5.json.gz"
    if not path.is_file():
        pytest.skip(f"the real data in {SHARED} is not on this machine")
    run("--dataset=amazon-beauty", f"--data_path={tmp_path}", f"--reviews={path}", *options)
    card = read_card(tmp_path / "amazon-beauty")
    assert card["source"]["name"] == "Amazon Review Data 2018, All Beauty, 5-core"
    assert card["notes"] == []
    counts = card["counts"]
    assert (counts["users"], counts["items"], counts["interactions"]) == (
        users,
        items,
        interactions,
    )


def test_every_format_gives_the_same_dataset(published, tmp_path):
    """The same reviews as 2018 JSON, 2023 JSON, CSV and atomic files."""
    rows = list(reviews_2018())
    new = [
        {
            "user_id": r["reviewerID"], "parent_asin": r["asin"], "asin": "child",
            "rating": r["overall"], "timestamp": r["unixReviewTime"] * 1000,
        }
        for r in rows
    ]  # fmt: skip
    path = f"--data_path={tmp_path}"
    run("--dataset=a", path, f"--reviews={published / 'Test_5.json.gz'}")
    run("--dataset=b", path, f"--reviews={lines(tmp_path / 'new.jsonl', new)}")
    table = tmp_path / "table.csv"
    table.write_text(
        "user,item,rating,timestamp\n"
        + "\n".join(f"{r['reviewerID']},{r['asin']},{r['overall']},{r['unixReviewTime']}" for r in rows)
    )
    run("--dataset=c", path, f"--interactions={table}")
    run("--dataset=d", path, f"--atomic={tmp_path / 'a'}")
    first = (tmp_path / "a" / "a.inter").read_bytes()
    assert all((tmp_path / n / f"{n}.inter").read_bytes() == first for n in "bcd")
    assert first.count(b"\n") == 31 and not math.isnan(float(first.split()[-1]))
    shutil.rmtree(tmp_path / "a")
