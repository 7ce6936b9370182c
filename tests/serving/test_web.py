"""The server's answers, its limits, and what it says to bad input."""

import asyncio
import json
import re
import shutil
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from bundle_helpers import bundle, make_shop

from recbole_sam.errors import SettingError, UnknownNameError
from recbole_sam.serving.web.limits import BusyError, LateError, Limits
from recbole_sam.serving.web.shelf import opened
from recbole_sam.serving.web.together import Together, Wish, recommended

testclient = pytest.importorskip("fastapi.testclient")

from recbole_sam.serving.web.app import create_app  # noqa: E402


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("web")
    make_shop(root)
    return [bundle(root, model, name=model)[0] for model in ("SAM", "SASRec")]


def client(folders, **options):
    return testclient.TestClient(create_app(folders, **options), base_url="http://127.0.0.1")


@pytest.fixture(scope="module")
def web(folders):
    with client(folders, limits=Limits(k=50, history=100, body=50_000)) as one:
        yield one


@pytest.fixture(scope="module")
def shop_bundle(folders):
    return opened(folders[0])  # as the server opens it: mapped weights may round otherwise


def rows(frame):
    return frame[["rank", "item", "title", "score"]].to_dict("records")


def test_recommendations_are_the_bundles(web, shop_bundle):
    answer = web.post("/recommend", json={"user": "u1", "k": 5})
    assert answer.status_code == 200
    assert answer.json() == {"bundle": "SAM", "items": rows(shop_bundle.recommend(users=["u1"], k=5))}
    session = {"items": ["i1", "i2"], "k": 3, "exclude_seen": False, "among": ["i1", "i4", "i5"]}
    answer = web.post("/recommend", json=session).json()
    expected = shop_bundle.recommend(
        histories=[["i1", "i2"]], k=3, exclude_seen=False, among=["i1", "i4", "i5"]
    )
    assert answer["items"] == rows(expected)


def test_a_second_bundle_by_name(web):
    assert web.post("/recommend", json={"bundle": "SASRec", "user": "u1"}).json()["bundle"] == "SASRec"
    health = web.get("/health").json()
    assert [each["model"] for each in health["bundles"].values()] == ["SAM", "SASRec"]


def test_unknown_items_are_left_out_only_when_asked(web):
    asked = {"items": ["i1", "nothing"], "k": 2}
    answer = web.post("/recommend", json=asked)
    assert answer.status_code == 404 and "nothing" in answer.json()["error"]
    relaxed = web.post("/recommend", json={**asked, "strict": False})
    assert relaxed.json() == web.post("/recommend", json={"items": ["i1"], "k": 2}).json()


@pytest.mark.parametrize("address, more", (("/explain", {"item": "i5"}), ("/interests", {})))
def test_unknown_items_of_a_person_are_left_out_only_when_asked(web, address, more):
    answer = web.post(address, json={"items": ["i1", "nothing"], **more})
    assert answer.status_code == 404 and "nothing" in answer.json()["error"]
    relaxed = web.post(address, json={"items": ["i1", "nothing"], "strict": False, **more})
    assert relaxed.json() == web.post(address, json={"items": ["i1"], **more}).json()


def test_answers_do_not_depend_on_who_else_asks(shop_bundle):
    counts = {user: len(shop_bundle.interests(user)) for user in (f"u{n}" for n in range(1, 40))}
    few, many = min(counts, key=counts.get), max(counts, key=counts.get)
    assert counts[few] < counts[many]
    wishes = [Wish(user, (), (("k", 2), ("without_interests", (counts[many],)))) for user in (few, many)]
    place = Together(shop_bundle, Limits())

    async def ask():
        busy = asyncio.create_task(place.ask(lambda bundle: time.sleep(0.3)))
        return await asyncio.gather(*map(place.ask, wishes), busy, return_exceptions=True)

    refused, answered, _ = asyncio.run(ask())
    place.close()
    assert isinstance(refused, SettingError) and len(answered) == 2
    relaxed = (("k", 2), ("strict", False))
    unknown, known = recommended(shop_bundle, [Wish(None, ("zzz",), relaxed), Wish(None, ("i1",), relaxed)])
    assert isinstance(unknown, UnknownNameError) and len(known) == 2
    nothing_left = (("among", ("i1",)), ("strict", False))
    assert recommended(shop_bundle, [Wish(None, ("i1",), nothing_left)]) == [[]]


def test_a_pretrained_encoder_is_loaded_when_it_is_needed(tmp_path, bert, monkeypatch):
    make_shop(tmp_path)
    folder, _ = bundle(tmp_path, "SASRecText", text_encoder=str(bert))
    monkeypatch.setitem(sys.modules, "transformers", None)
    shop = opened(folder)
    assert len(shop.recommend(users=["u1"], k=3)) == 3
    with pytest.raises(SettingError, match="transformers"):
        shop.recommend(users=["u1"], steer="red lipstick")


def test_files_may_change_while_they_are_served(folders, tmp_path):
    folder = shutil.copytree(folders[0], tmp_path / "SAM")
    asked = (
        ("/recommend", {"items": ["i1", "i2"], "steer": ["rose"]}),
        ("/recommend", {"user": "u3", "history": "train"}),
        ("/explain", {"user": "u1", "item": "i5", "steer": ["rose"]}),
        ("/interests", {"user": "u2"}),
        ("/interests", {"items": ["i1", "i2"]}),
        ("/similar", {"item": "i1", "by": "text"}),
    )
    with client([folder]) as one, client([folders[0]]) as other:
        shutil.rmtree(folder)
        for address, body in asked:
            answer = one.post(address, json=body)
            assert answer.status_code == 200, answer.text
            assert answer.json() == other.post(address, json=body).json()


def test_errors_name_no_folder_of_this_machine(folders, tmp_path):
    here = shutil.copytree(folders[1], tmp_path / "shop")
    with client([here]) as one:
        (here / "weights.safetensors").write_bytes(b"x")
        (here / "bundle.json").write_bytes((folders[0] / "bundle.json").read_bytes())
        answer = one.post("/reload")
        assert answer.status_code == 422 and "The bundle shop" in answer.json()["error"]
        assert str(tmp_path) not in answer.text


def test_looking_things_up(web, shop_bundle):
    found = web.get("/items", params={"q": "rose CREAM", "limit": 2}).json()["items"]
    assert len(found) == 2 and all("Rose Hand Cream" in each["title"] for each in found)
    assert web.get("/users", params={"q": "U1"}).json()["users"][0] == "u1"
    history = web.get("/users/u1").json()["items"]
    items, starts, lengths = shop_bundle.people.histories(shop_bundle.people.numbers(["u1"]))
    expected = shop_bundle.items[items[starts[0] : starts[0] + lengths[0]]].tolist()
    assert [each["item"] for each in history] == expected
    near = web.post("/similar", json={"item": "i1", "k": 2}).json()["items"]
    assert [each["item"] for each in near] == shop_bundle.similar(["i1"], 2)["similar"].tolist()


def test_metrics_count_requests_by_route(web):
    web.get("/users/u1")
    text = web.get("/metrics").text
    assert 'recbole_sam_requests_total{path="/users/{user:path}",status="200"}' in text
    assert "recbole_sam_scored_together_count" in text


def test_the_page_loads_nothing_from_elsewhere(web):
    for path, kind in (("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "text/javascript")):
        answer = web.get(path)
        assert answer.status_code == 200 and answer.headers["content-type"].startswith(kind)
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert "//" not in re.sub(r"^\s*//.*$|// .*$", "", answer.text, flags=re.MULTILINE)
    assert sum(len(web.get(path).text.splitlines()) for path in ("/", "/page.css", "/page.js")) < 600


@pytest.mark.parametrize(
    "path, body, status, said",
    (
        ("/recommend", "{", 400, "no JSON"),
        ("/recommend", "[" * 20_000, 400, "no JSON"),
        ("/recommend", "[]", 422, "no JSON object"),
        ("/recommend", {}, 422, "either user or items"),
        ("/recommend", {"user": "u1", "items": ["i1"]}, 422, "either user or items"),
        ("/recommend", {"items": []}, 422, "empty"),
        ("/recommend", {"user": 1}, 422, "user"),
        ("/recommend", {"user": "u1", "k": "5"}, 422, "k"),
        ("/recommend", {"user": "u1", "k": 0}, 422, "k"),
        ("/recommend", {"user": "u1", "k": 10**9}, 422, "at most 50"),
        ("/recommend", {"user": "u1", "kk": 5}, 422, "kk"),
        ("/recommend", {"user": "u1", "history": "all"}, 422, "history"),
        ("/recommend", {"user": "nobody"}, 404, "nobody"),
        ("/recommend", {"user": "\ud800"}, 422, "user"),
        ("/recommend", {"items": ["zzz"]}, 404, "zzz"),
        ("/recommend", {"items": ["zzz"], "strict": False}, 404, "known"),
        ("/recommend", {"items": ["i1"], "among": ["i1"], "without": ["i1"]}, 422, "no candidate"),
        ("/recommend", {"items": ["i1"] * 101}, 422, "at most 100"),
        ("/recommend", {"items": ["i1"] * 10_000}, 413, "50,000 bytes"),
        ("/recommend", {"bundle": "SAMM", "user": "u1"}, 404, "Did you mean SAM"),
        ("/recommend", {"user": "u1", "strength": 1e999}, 422, "strength"),
        ("/explain", {"user": "u1"}, 422, "item"),
        ("/similar", {"item": "zzz"}, 404, "zzz"),
        ("/similar", {"item": "i1", "k": 51}, 422, "at most 50"),
        ("/nowhere", {}, 404, "address"),
    ),
)
def test_bad_input_gets_one_sentence(web, path, body, status, said):
    text = body if isinstance(body, str) else json.dumps(body)
    answer = web.post(path, content=text, headers={"Content-Type": "application/json"})
    assert answer.status_code == status, answer.text
    sentence = answer.json()["error"]
    assert said in sentence and len(answer.json()) == 1 and sentence.count("\n") == 0 and len(sentence) < 300


def test_a_body_without_its_header_says_which(web):
    answer = web.post("/recommend", content='{"user": "u1"}')
    assert answer.status_code == 422 and "header Content-Type: application/json" in answer.json()["error"]


def test_a_body_of_20_megabytes_disturbs_nobody(web):
    answer = web.post("/recommend", content=b"[" + b"1," * 10_000_000)
    assert answer.status_code == 413
    assert web.post("/recommend", json={"user": "u1"}).status_code == 200
    assert web.get("/recommend").status_code == 405


def test_many_at_once_get_each_their_own(web):
    asked = [{"user": f"u{number % 40}", "k": 3} for number in range(60)]
    asked += [{"items": [f"i{number % 25}", "i3"], "k": 3} for number in range(30)]
    asked += [{"items": ["zzz"], "k": 3}] * 5
    alone = [web.post("/recommend", json=each) for each in asked]
    with ThreadPoolExecutor(24) as pool:
        together = list(pool.map(lambda each: web.post("/recommend", json=each), asked))
    for one, other in zip(alone, together, strict=True):
        assert one.status_code == other.status_code
        first, second = one.json().get("items", []), other.json().get("items", [])
        assert [each["item"] for each in first] == [each["item"] for each in second]
        assert [each["score"] for each in first] == pytest.approx(
            [each["score"] for each in second], rel=1e-4
        )


def test_what_waits_is_scored_together(shop_bundle):
    counts, started, release = [], threading.Event(), threading.Event()
    place = Together(shop_bundle, Limits(), counts.append)

    async def ask():
        busy = asyncio.create_task(place.ask(lambda bundle: started.set() or release.wait(30)))
        await asyncio.to_thread(started.wait, 30)
        how = (("k", 2),)
        wishes = [asyncio.create_task(place.ask(Wish(f"u{number}", (), how))) for number in range(10)]
        for _ in range(1000):
            if place.waiting() == 10:
                break
            await asyncio.sleep(0.01)
        release.set()
        return await asyncio.gather(busy, *wishes)

    answers = asyncio.run(ask())
    place.close()
    assert counts == [1, 10] and all(len(answer) == 2 for answer in answers[1:])


def test_who_waits_too_long_or_behind_too_many_is_told(shop_bundle):
    release = threading.Event()
    place = Together(shop_bundle, Limits(seconds=0.2, waiting=1))

    async def ask():
        busy = asyncio.create_task(place.ask(lambda bundle: release.wait(30)))
        await asyncio.sleep(0.1)
        late = asyncio.create_task(place.ask(Wish("u1", (), ())))
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await place.ask(Wish("u1", (), ()))
        for task in (busy, late):
            with pytest.raises(LateError):
                await task
        release.set()

    asyncio.run(ask())
    place.close()


def test_with_a_token_every_call_needs_it(folders):
    with client(folders[1:], token="secret") as one:
        for path in ("/health", "/metrics", "/users/u1", "/items", "/docs", "/openapi.json"):
            assert one.get(path).status_code == 401
        assert one.post("/reload").status_code == 401
        assert one.post("/recommend", content=b"x" * 3_000_000).status_code == 401
        assert one.get("/").status_code == 200  # holds no data
        right = {"Authorization": "Bearer secret"}
        assert one.get("/health", headers=right).status_code == 200
        assert one.get("/health", headers={"Authorization": "Bearer secre"}).status_code == 401


def test_pages_of_others_cannot_ask_a_local_server(folders):
    with client(folders[1:], local=True) as one:
        assert one.get("/health").status_code == 200
        assert one.get("/health", headers={"Host": "evil.example:80"}).status_code == 421
        assert one.get("/health", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


def test_a_bundle_without_users_says_so(folders, tmp_path):
    make_shop(tmp_path)
    folder, _ = bundle(tmp_path, "SASRec", with_users=False)
    with client([folder]) as one:
        answer = one.post("/recommend", json={"user": "u1"})
        assert answer.status_code == 422 and "no users" in answer.json()["error"]
        assert one.get("/users").json() == {"users": []}


def test_reload_swaps_without_losing_a_request(folders, tmp_path):
    make_shop(tmp_path)
    here = tmp_path / "shop"
    here.symlink_to(shutil.copytree(folders[1], tmp_path / "first"))
    other, _ = bundle(tmp_path, "SASRec", name="other", seed=7)
    answers = []
    with client([here]) as one:
        old = one.post("/recommend", json={"user": "u1"}).json()
        stop = threading.Event()

        def ask():
            while not stop.is_set():
                answers.append(one.post("/recommend", json={"user": "u1"}))

        with ThreadPoolExecutor(4) as pool:
            tasks = [pool.submit(ask) for _ in range(4)]
            here.unlink()
            here.symlink_to(other)
            assert one.post("/reload").json() == {"reloaded": ["shop"]}
            new = one.post("/recommend", json={"user": "u1"}).json()
            stop.set()
            for task in tasks:
                task.result()
        assert new != old and answers
        assert all(answer.status_code == 200 and answer.json() in (old, new) for answer in answers)
        (here / "weights.safetensors").write_bytes(b"x")
        refused = one.post("/reload")
        assert refused.status_code == 422 and "damaged" in refused.json()["error"]
        assert one.post("/recommend", json={"user": "u1"}).json() == new
