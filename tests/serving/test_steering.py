"""A typed phrase changes recommendations; without one nothing changes."""

import pytest
import torch
from bundle_helpers import bundle, make_shop

import recbole_sam
from recbole_sam.cli.main import main
from recbole_sam.errors import DataError, SettingError
from recbole_sam.serving.reasons.steering import fits


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("steering")
    make_shop(root)
    return root


@pytest.fixture(scope="module", params=("SAM", "SASRecText"))
def shop(request, root):
    return recbole_sam.load(bundle(root, request.param, name=request.param)[0])


def name(shop, number):
    """A title without the item's token, as two or three items have it."""
    return shop.titles[number].rsplit(" ", 1)[0]


def test_items_of_the_phrase_rise(shop):
    title = name(shop, 7)
    plain = shop.recommend(users=["u5"], k=100, exclude_seen=False)
    steered = shop.recommend(users=["u5"], k=100, exclude_seen=False, steer=title)
    assert steered["title"][0].startswith(title)
    scores = [frame.set_index("item")["score"] for frame in (plain, steered)]
    assert (scores[1] - scores[0]).min() > -1e-5  # nothing falls by itself


def test_strength(shop):
    title = shop.titles[7]
    plain = shop.recommend(users=["u5"], k=25)
    assert shop.recommend(users=["u5"], k=25, steer=title, strength=0).equals(plain)
    gains = []
    for strength in (0.5, 1, 2):
        frame = shop.recommend(users=["u5"], k=100, exclude_seen=False, steer=title, strength=strength)
        gains.append(frame.set_index("item")["score"][shop.items[7]])
    assert gains == sorted(gains)


def test_several_phrases_and_a_session(shop):
    names = {name(shop, 7), name(shop, 9)}
    frame = shop.recommend(histories=[["i1"]], k=4, exclude_seen=False, steer=[*names], strength=20)
    assert {title.rsplit(" ", 1)[0] for title in frame["title"]} == names


def test_the_phrase_is_a_part_of_the_score(shop):
    plain = shop.explain(user="u5", items=["i4"])[0]
    steered = shop.explain(user="u5", items=["i4"], steer=shop.titles[7])[0]
    assert sum(steered["parts"].values()) == pytest.approx(steered["score"], rel=1e-5)
    assert steered["score"] - steered["parts"]["steer"] == pytest.approx(plain["score"], rel=1e-4, abs=1e-4)
    assert "steer" not in plain["parts"]


def test_fit_by_hand():
    items = torch.tensor([[0.0, 0], [1, 0], [0, 1], [0, 0]])
    fit = fits(torch.tensor([[2.0, 0]]), items)
    assert fit.tolist() == [[0, 1, 0, 0]]


def test_mistakes(shop, root):
    for wrong in ({"steer": " "}, {"steer": ["cream", ""]}, {"strength": -1},
                  {"strength": float("nan")}, {"strength": "much"}):  # fmt: skip
        wrong = {"steer": "cream", **wrong}
        with pytest.raises(SettingError):
            shop.recommend(users=["u5"], **wrong)
    with pytest.raises(DataError, match="no title|No title"):
        shop.recommend(users=["u5"], steer="zzzz")
    plain = recbole_sam.load(bundle(root, "SASRec", name=f"no-titles-{shop.facts['model']}")[0])
    with pytest.raises(DataError, match="reads no titles"):
        plain.recommend(users=["u5"], steer="cream")
    with pytest.raises(SettingError, match="reads no interests"):
        plain.recommend(users=["u5"], without_interests=[1])


def test_the_command(shop, capsys):
    folder = str(shop._files.folder)
    words = ["recommend", folder, "--user=u5", "--top-k=1", "--include-seen"]
    assert main([*words, f"--steer={name(shop, 7)}", "--strength=5"]) == 0
    assert name(shop, 7) in capsys.readouterr().out
    assert main([*words, "--without-interest=77"]) == 2
    assert main(["recommend", folder, "--all", "--output=x.csv", "--steer=cream"]) == 2
