"""What the load benchmark asks is what the server answers."""

import pytest
from bundle_helpers import bundle, make_shop

import recbole_sam
from benchmarks import load

testclient = pytest.importorskip("fastapi.testclient")

from recbole_sam.serving.web.app import create_app  # noqa: E402


def test_every_request_is_answered(tmp_path):
    make_shop(tmp_path)
    folder, *_ = bundle(tmp_path, "SAM")
    shop = recbole_sam.load(folder)
    mixed, plain = load.requests(shop, True), load.requests(shop, False)
    assert {path for path, _ in mixed} == {"/recommend", "/explain", "/items?q=oil"}
    assert {path for path, _ in plain} == {"/recommend"} and len(mixed) == len(plain) == 16
    entries = load.as_har("http://127.0.0.1", mixed)["log"]["entries"]
    with testclient.TestClient(create_app([folder]), base_url="http://127.0.0.1") as web:
        for entry in entries:
            asked = entry["request"]
            text = asked.get("postData", {}).get("text")
            headers = {each["name"]: each["value"] for each in asked["headers"]}
            answer = web.request(asked["method"], asked["url"], content=text, headers=headers)
            assert answer.status_code == 200, (asked, answer.text)
