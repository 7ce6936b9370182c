"""The server: what each address answers."""

import asyncio
import contextlib
import signal
import threading
from importlib import resources
from logging import getLogger
from typing import Annotated

from fastapi import FastAPI, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from recbole_sam.errors import DataError, RecBoleSAMError, SettingError, UnknownNameError
from recbole_sam.serving.web import as_json
from recbole_sam.serving.web.guard import Guard
from recbole_sam.serving.web.limits import BusyError, LateError, Limits
from recbole_sam.serving.web.messages import Explain, Person, Recommend, Recommendations, Similar
from recbole_sam.serving.web.meter import Meter
from recbole_sam.serving.web.shelf import Shelf
from recbole_sam.serving.web.together import Wish
from recbole_sam.version import VERSION

STATUS = {BusyError: 429, LateError: 503, UnknownNameError: 404, SettingError: 422, DataError: 422}
NO_OBJECT = "The body is no JSON object: send one, with the header Content-Type: application/json."
NO_JSON = 'The body is no JSON: send an object such as {"items": ["B01"]}.'
Typed = Annotated[str, Query(max_length=200)]
Few = Annotated[int, Query(ge=1, le=100)]
POLICY = "default-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""The page loads nothing from elsewhere and runs no script but its own."""
PAGE = {"/": ("page.html", "text/html"), "/page.css": ("page.css", "text/css"),
        "/page.js": ("page.js", "text/javascript")}  # fmt: skip


def create_app(folders, limits=None, token=None, local=False):
    """The ASGI application of some bundles.

    Args:
        folders (sequence of str or Path): of bundles, opened here.
        limits (Limits): of a request.
        token (str or None): which every call has to bear.
        local (bool): whether only names of this machine are answered to.

    Returns:
        Guard: around the FastAPI application.

    Raises:
        RecBoleSAMError: a bundle cannot be used.
    """
    limits, meter = limits or Limits(), Meter()
    shelf = Shelf(folders, limits, meter.together)
    reloading = asyncio.Lock()

    async def reload():
        async with reloading:
            changed = await run_in_threadpool(shelf.reload)
        meter.reloaded(len(changed))
        return changed

    @contextlib.asynccontextmanager
    async def lifespan(app):
        if threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGHUP"):
            tasks = set()

            def hung_up():
                tasks.add(task := asyncio.ensure_future(_logged(reload)))
                task.add_done_callback(tasks.discard)

            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hung_up)
        yield
        await run_in_threadpool(shelf.close)

    app = FastAPI(title="recbole-sam", version=VERSION, lifespan=lifespan, redoc_url=None)
    _say_errors(app, shelf)
    _add_page(app)

    @app.post("/recommend")
    async def recommend(asked: Recommend) -> Recommendations:
        """The best next items of a user or of a session."""
        how = _how(asked, limits, shelf)
        chosen = asked.model_dump(include={"k", "exclude_seen", "among", "without"})
        how.update(chosen)
        wish = Wish(asked.user, tuple(asked.items or ()), _hashable(how))
        rows = await shelf[asked.bundle].ask(wish)
        return {"bundle": shelf.name(asked.bundle), "items": rows}

    @app.post("/explain")
    async def explain(asked: Explain):
        """Why an item is recommended: parts of its score, items and interests that carry it."""
        how = _how(asked, limits, shelf)
        return await shelf[asked.bundle].ask(lambda bundle: as_json.explained(bundle, asked, how))

    @app.post("/interests")
    async def interests(asked: Person):
        """The interests of a user or of a session, with the items of each."""
        how = _how(asked, limits, shelf)
        return await shelf[asked.bundle].ask(lambda bundle: as_json.interests(bundle, asked, how))

    @app.post("/similar")
    async def similar(asked: Similar) -> Recommendations:
        """The items nearest to an item."""
        limits.check(asked.k, None)
        rows = await shelf[asked.bundle].ask(lambda bundle: as_json.similar(bundle, asked))
        return {"bundle": shelf.name(asked.bundle), "items": rows}

    @app.get("/items")
    def items(
        q: str = Query("", max_length=200), limit: int = Query(20, ge=1, le=100), bundle: str | None = None
    ):
        """Items whose title or token has all words of `q`."""
        return {"items": shelf[bundle].search.items(q, limit)}

    @app.get("/users")
    def users(
        q: str = Query("", max_length=200), limit: int = Query(20, ge=1, le=100), bundle: str | None = None
    ):
        """Users whose token has `q` in it."""
        return {"users": shelf[bundle].search.users_like(q, limit)}

    @app.get("/users/{user:path}")
    async def user(user: str, bundle: str | None = None):
        """The history of a user, oldest item first."""
        place = shelf[bundle]
        _check_user(place, user)
        return {"user": user, "items": await run_in_threadpool(as_json.history, place.bundle, user)}

    @app.get("/health")
    async def health():
        """Whether the server answers, and what with."""
        found = {name: as_json.facts(place.bundle) for name, place in shelf.items()}
        return {"status": "ok", "most": limits.k, "bundles": found}

    @app.get("/metrics")
    async def metrics():
        """Counts in Prometheus' text format."""
        return Response(meter.text(shelf), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.post("/reload")
    async def reload_bundles():
        """Opens the folders again and swaps in what is new; no request is lost."""
        return {"reloaded": await reload()}

    return Guard(app, limits, token, local, meter.request)


def _how(asked, limits, shelf):
    """The arguments of ``Bundle.recommend`` that a :class:`Person` has, without those that say nothing."""
    if (asked.user is None) == (asked.items is None):
        raise SettingError("Give either user or items.")
    if asked.items is not None and not asked.items:
        raise SettingError("items is empty: give at least one item.")
    if asked.user is not None:
        _check_user(shelf[asked.bundle], asked.user)
    limits.check(getattr(asked, "k", 1), asked.items)
    how = {"history": asked.history, "new_interests": asked.new_interests, "strict": asked.strict}
    if asked.steer:
        how |= {"steer": asked.steer, "strength": asked.strength}
    if asked.without_interests:
        how["without_interests"] = asked.without_interests
    return how


def _check_user(place, user):
    if not place.search.users:
        raise DataError("This bundle holds no users (bundle --with-users): send items.")
    if user not in place.search.users:
        raise UnknownNameError(f"There is no user {user[:60]!r} in the bundle.")


def _hashable(how):
    return tuple(
        sorted((name, tuple(value) if isinstance(value, list) else value) for name, value in how.items())
    )


async def _logged(reload):
    try:
        await reload()
    except RecBoleSAMError as error:
        getLogger("recbole_sam").error("The bundles were not reloaded: %s", error)


def _add_page(app):
    for path, (name, kind) in PAGE.items():
        content = resources.files("recbole_sam.serving.web").joinpath(name).read_bytes()
        app.add_route(path, _file(content, kind), include_in_schema=False)


def _file(content, kind):
    """An endpoint that gives one of the page's files."""
    headers = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff",
               "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}  # fmt: skip

    def show(request):
        return Response(content, media_type=kind, headers=headers)

    return show


def _say_errors(app, shelf):
    """Every error is an object with one sentence, which names a bundle and not where it lies."""

    @app.exception_handler(RecBoleSAMError)
    async def ours(request: Request, error):
        status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 422)
        sentence = str(error)
        for name, folder in shelf.folders.items():
            sentence = sentence.replace(str(folder), name)
        return _said(status, sentence)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error):
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:] if not isinstance(part, int))
        if first["type"] == "json_invalid":
            return _said(400, NO_JSON)
        if not where:
            return _said(422, NO_OBJECT)
        return _said(422, f"{where}: {first['msg']}.")

    @app.exception_handler(HTTPException)
    async def http(request: Request, error):
        sentences = {
            400: NO_JSON,
            404: "There is nothing at this address: see /docs.",
            405: "This address takes another method: see /docs.",
        }
        return _said(error.status_code, sentences.get(error.status_code, str(error.detail)))

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error):
        return _said(500, "An unexpected error, which the server's log holds. Please report it.")


def _said(status, sentence):
    sentence = " ".join(sentence.split()).encode(errors="replace").decode()
    return JSONResponse({"error": sentence}, status)
