"""What the load benchmark asks is what the server answers."""

import html
import json
import re

import pytest
from bundle_helpers import bundle, make_shop

import recbole_sam
from benchmarks import load

testclient = pytest.importorskip("fastapi.testclient")

from recbole_sam.serving.web.app import create_app  # noqa: E402


def test_every_kind_of_request_is_answered(tmp_path):
    make_shop(tmp_path)
    folder, *_ = bundle(tmp_path, "SAM")
    user, item, items = load.users(recbole_sam.load(folder))[3].split(";")
    assert user == "u3" and json.loads(items)
    text = load.sessions(mixed=True)
    asked = re.findall(
        r'<http url="([^"]+)" method="(\w+)" version="1.1"(?: .*contents=[\'"](.*)[\'"])?/>', text
    )
    assert len(asked) == len(load.MIXED) and sum(load.MIXED) == 100
    with testclient.TestClient(create_app([folder]), base_url="http://127.0.0.1") as web:
        for path, method, contents in asked:
            for name, value in {"user": user, "item": item, "items": items}.items():
                contents = contents.replace(f"%%_{name}%%", value)
            headers = {"Content-Type": "application/json"}
            answer = web.request(method, path, content=html.unescape(contents), headers=headers)
            assert answer.status_code == 200, (path, contents, answer.text)


def test_answers_and_failures_of_a_dump():
    dump = (
        "#date;pid;id;http method;host;URL;HTTP status;size;duration;transaction;match;error;tag\n"
        "1.5;<0.1>;0;post;h;/recommend;200;9;12.5;;;;\n"
        "1.6;<0.1>;0;post;h;/recommend;503;9;99;;;;\n"
        "1.7;<0.1>;0;post;h;/recommend;;;0;;;error_connect;\n"
    )
    took, failed = load.answers(dump)
    assert took.tolist() == [12.5] and failed == 2
