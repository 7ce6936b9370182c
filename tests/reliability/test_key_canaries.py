"""A key that a server repeats, in every place and form that it can: it is kept and shown nowhere."""

import base64
import json
import logging
import traceback
from urllib.parse import quote

import pytest
from llm_helpers import fast, make_requests
from servers.llm_server import LLMServer, Reply

from recbole_sam.encoders.encode import make_encoder
from recbole_sam.errors import RecBoleSAMError
from recbole_sam.generators.by_name import make_llm_generator
from recbole_sam.interests import ledger
from recbole_sam.interests.extract_settings import ExtractSettings
from recbole_sam.interests.pipeline import extract
from recbole_sam.llm.scrub import scrub, scrub_answer

dashscope = pytest.importorskip("dashscope")
pytest.importorskip("httpx")

KEY = "sk-canary-0123456789abcdef/+SECRET"
RAW = KEY.encode()
FORMS = {
    "as it is": KEY,
    "with Bearer": f"Bearer {KEY}",
    "quoted": quote(KEY, safe=""),
    "quoted twice": quote(quote(KEY, safe=""), safe=""),
    "every byte quoted": "".join(f"%{b:02X}" for b in RAW),
    "base64": base64.b64encode(RAW).decode(),
    "base64 with Bearer": base64.b64encode(b"Bearer " + RAW).decode(),
    "base64 in a pair": base64.b64encode(b"me:" + RAW + b":x").decode(),
    "base64 for addresses": base64.urlsafe_b64encode(b"x" + RAW).decode(),
    "hexadecimal": RAW.hex(),
    "escaped": "".join(f"\\u{b:04x}" for b in RAW),
    "slashes escaped": KEY.replace("/", "\\/"),
    "capitals": KEY.upper(),
    "cut": KEY[:-6],
    "its end": KEY[-14:],
    "masked": f"{KEY[:12]}********",
    "backwards": KEY[::-1],
}
SECRETS = [*FORMS.values(), KEY[:12], KEY[-12:]]


def leaks(text):
    """The forms of the key that stand in a text or in bytes."""
    text = text if isinstance(text, str) else text.decode("utf-8", "replace")
    parts = {name: form for name, form in FORMS.items() if name not in ("with Bearer", "masked")}
    return [name for name, form in parts.items() if form.lower() in text.lower()]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_taken_out(form):
    for text in (FORMS[form], f"steel tools {FORMS[form]} for men", f'{{"x": "{FORMS[form]}"}}'):
        assert not leaks(scrub(text, KEY)) and "***" in scrub(text, KEY)
        assert not leaks(scrub_answer(text, KEY)) and "***" in scrub_answer(text, KEY)


def test_a_key_that_is_a_word_changes_no_answer():
    for word in ("EMPTY", "ollama", "none", "lm-studio", "test", "password"):
        assert scrub_answer(f"{word} tubes", word) == f"{word} tubes"
    assert scrub_answer("Bearer of light figurines", KEY) == "Bearer of light figurines"
    assert scrub_answer("steel tools", None) == scrub("steel tools", "") == "steel tools"


PLACES = {
    "an answer": lambda form: Reply(text=f"steel tools {form}\n{form}\nred paper"),
    "an answer in JSON": lambda form: Reply(text=json.dumps(["steel tools", form, f"red paper {form}"])),
    "a code": lambda form: Reply(status=400, code=form, message="no"),
    "a message": lambda form: Reply(status=400, code="odd", message=f"not with {form}"),
    "a fatal message": lambda form: Reply(status=401, code="odd", message=f"not with {form}"),
    "a body of 500": lambda form: Reply(status=500, body=f"<html>{form}</html>".encode()),
    "a body of 400": lambda form: Reply(status=400, body=f"not with {form}".encode()),
    "a body of 200": lambda form: Reply(body=f"<html>{form}</html>".encode()),
    "an error inside 200": lambda form: Reply(
        body=json.dumps({"error": {"code": 401, "message": form}}).encode()
    ),
    "a code inside 200": lambda form: Reply(
        body=json.dumps({"error": {"code": form, "message": "x"}}).encode()
    ),
    "a redirect": lambda form: Reply(
        status=307, body=b"", headers={"Location": f"http://127.0.0.1:1/{form}?k={form}"}
    ),
    "a user of a redirect": lambda form: Reply(
        status=302, body=b"", headers={"Location": f"http://{form}@127.0.0.1:1/"}
    ),
    "a wait": lambda form: Reply(status=429, code="x", headers={"Retry-After": form}),
    "the end": lambda form: Reply(text="steel tools", finish=form),
}


@pytest.mark.parametrize("generator", ["openai", "dashscope", "dashscope-batch"])
def test_the_key_is_in_no_cache_store_ledger_log_or_sentence(tmp_path, monkeypatch, caplog, capfd, generator):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("DASHSCOPE_API_KEY", KEY)
    said, canary = [], {}

    def script(prompt, attempt):
        form = list(FORMS)[int(prompt.partition("no ")[2].partition("-")[0]) % len(FORMS)]
        return canary["place"](FORMS[form])

    with LLMServer(script, key=KEY) as server:
        monkeypatch.setattr(dashscope, "base_http_api_url", server.dashscope_url)
        monkeypatch.setattr(dashscope, "base_compatible_api_url", server.compatible_url)
        for number, place in enumerate(PLACES):
            canary["place"] = PLACES[place]
            live_only = any(word in place for word in ("body", "redirect", "inside"))
            if generator == "dashscope-batch" and live_only:
                continue
            requests = list(make_requests(len(FORMS), k=3, seed=number))
            settings = fast(
                tmp_path / "cache", model="m", base_url=server.compatible_url, tries=1, max_failed_share=1.0,
                batch_poll=0.01, backoff=0.0,
            )  # fmt: skip
            made = make_llm_generator(generator, settings)
            path = tmp_path / f"{number}.safetensors"
            noted = ledger.noted(made, path)
            titles = {f"{r.user}-{i}": title for r in requests for i, title in enumerate(r.titles)}
            histories = [[f"{r.user}-{i}" for i in range(len(r.titles))] for r in requests]
            try:
                extract([r.user for r in requests], histories, titles, make_encoder("lsa", dim=4, seed=1),
                    noted,
                        ExtractSettings(k_max=3), path)  # fmt: skip
            except RecBoleSAMError as error:
                said += traceback.format_exception(error)
            noted.note()
            said += made.report.lines()
        assert server.asked
    printed = capfd.readouterr()
    said += [printed.out, printed.err, caplog.text, *(repr(record.args) for record in caplog.records)]
    for line in said:
        assert not leaks(line), line[:300]
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or not leaks(file.read_bytes()), file.name
    assert (tmp_path / "0.safetensors").is_file()
