"""Leaks that programs of well-known frameworks have: each function leaks a little; `told` is what is to be said of it.

That is: the kinds that fit, words of the holder, and words of which the advice has one.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import logging
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import aiohttp
import attrs
import bs4
import click
import data
import django.dispatch
import flask
import jinja2
import loguru
import lxml.etree
import numpy as np
import pandas as pd
import pydantic
import requests
import sqlalchemy as sa
import web  # noqa: F401 - it sets Django up
import werkzeug.local
import work
from click.testing import CliRunner
from django.template import engines
from django.test import Client
from matplotlib import pyplot as plt
from sqlalchemy import orm
from twisted.internet import task as twisted_task

if TYPE_CHECKING:
    from collections.abc import Callable


def told(kinds: str, holder: str, fix: str) -> Callable[[Any], Any]:
    """Say what a report must say."""

    def mark(func: Any) -> Any:
        func.told = kinds.split(), holder.split(), fix.split()
        return func

    return mark


# -- web --------------------------------------------------------------------------------------------------------------------------------------

requests_seen: list[Any] = []
flask_app = flask.Flask("leaking")


@flask_app.get("/")
def home() -> str:
    """Keep the request."""
    requests_seen.append(flask.request._get_current_object())
    return "hello"


@told("growth listener frame closure", "requests_seen", "deque WeakIdentitySet")
def leak_flask_requests() -> None:
    """Requests in a global."""
    flask_app.test_client().get("/")


hooked = flask.Flask("hooked")
hooked.add_url_rule("/", "index", lambda: "hello")


@told("listener closure", "hooked before_request_funcs", "Signal weak_callback")
def leak_flask_before_request() -> None:
    """A hook for each request."""
    hooked._got_first_request = False
    number = object()
    hooked.before_request(lambda: str(number) and None)
    hooked.test_client().get("/")


@told("listener", "template_rendered receivers", "Signal weak_callback disconnect")
def leak_flask_signal() -> None:
    """A receiver that is not held weakly, for each request."""
    page = object()
    flask.template_rendered.connect(lambda *_a, **_k: str(page), flask_app, weak=False)


paid = django.dispatch.Signal()


@told("listener", "paid receivers", "Signal weak_callback disconnect")
def leak_django_signal() -> None:
    """A receiver connected in a view, not weakly."""

    def on_paid(sender: Any, **_: Any) -> None: ...

    paid.connect(on_paid, weak=False)


@told("listener", "_registry", "finalize")
def leak_django_test_client() -> None:
    """Each request of the test client connects close_old_connections again, and each time a finaliser stays; not with Django 6."""
    Client().get("/ask/1/")


@functools.lru_cache(maxsize=None)  # noqa: UP033
def rendered(template: Any) -> str:
    """Render a template once."""
    return str(template.render({}))


@told("cache", "rendered", "cached LRUCache lru_cache")
def leak_django_template_cache() -> None:
    """Templates as keys of a cache without a bound."""
    rendered(engines["django"].from_string("x"))


class View:
    """A view with a cached method."""

    def __init__(self) -> None:
        self.body = bytearray(100)

    @functools.cache  # noqa: B019
    def page(self, number: int) -> str:
        """Make a page."""
        return str(number)


@told("cache", "View.page", "cached")
def leak_view_cache() -> None:
    """A cache on the method of views that are made for each request."""
    View().page(1)


local = werkzeug.local.Local()


@told("growth thread context", "items", "LRUCache deque context reset")
def leak_werkzeug_local() -> None:
    """What is collected in a context-local."""
    if not hasattr(local, "items"):
        local.items = []
    local.items.append(object())


# -- sessions and connections -----------------------------------------------------------------------------------------------------------------

sessions: list[Any] = []


@told("growth", "sessions", "deque WeakRegistry WeakIdentitySet")
def leak_requests_sessions() -> None:
    """A session for each call, kept."""
    session = requests.Session()
    session.headers["a"] = "b"
    sessions.append(session)


clients: dict[int, Any] = {}


@told("socket growth event_loop", "clients", "managed LRUCache ResourceScope")
async def leak_aiohttp_sessions() -> None:
    """Sessions that are never closed."""
    clients[len(clients)] = aiohttp.ClientSession()


opened: list[orm.Session] = []


@told("growth file", "opened", "deque managed Weak")
def leak_sqlalchemy_sessions() -> None:
    """Sessions with their objects, never closed."""
    session = data.Session()
    session.add(data.Author(name="Ann"))
    opened.append(session)


@told("listener closure", "", "Signal weak_callback")
def leak_sqlalchemy_listeners() -> None:
    """An event listener for each request."""
    number = object()
    sa.event.listen(data.engine, "before_cursor_execute", lambda *_: str(number) and None)


metadata = sa.MetaData()
_turn = iter(range(10**9))


@told("growth", "metadata tables", "LRUCache WeakRegistry delete")
def leak_sqlalchemy_tables() -> None:
    """Tables with ever new names."""
    sa.Table(f"t{next(_turn)}", metadata, sa.Column("a", sa.Integer))


identities: dict[int, Any] = {}


@told("growth", "identities", "LRUCache")
def leak_orm_objects() -> None:
    """Objects of a database in a dict of ours."""
    with data.Session.begin() as session:
        author = data.Author(name="Eve")
        session.add(author)
        session.flush()
        identities[id(author)] = author
        session.expunge(author)


databases: list[sqlite3.Connection] = []


@told("file", "databases", "managed ResourceScope")
def leak_sqlite() -> None:
    """Connections that are never closed."""
    databases.append(sqlite3.connect(":memory:"))


# -- numbers ----------------------------------------------------------------------------------------------------------------------------------


@told("growth listener cache", "_pylab_helpers Gcf figs", "LRUCache delete remove")
def leak_pyplot() -> None:
    """Figures that are never closed."""
    figure = plt.figure()
    figure.add_subplot().plot([1, 2])


@told("listener closure", "callbacks", "Signal weak_callback disconnect")
def leak_matplotlib_callbacks() -> None:
    """A callback for each drawing."""
    number = object()
    _canvas.mpl_connect("draw_event", lambda _event: str(number) and None)


_figure = plt.figure()
_canvas = _figure.canvas

frames: list[Any] = []


@told("growth", "frames", "deque")
def leak_pandas_frames() -> None:
    """Frames in a list."""
    frames.append(pd.DataFrame({"a": range(100)}))


history: Any = pd.DataFrame({"a": [0.0]})


@told("growth", "history", "larger LRUCache")
def leak_pandas_concat() -> None:
    """A frame that is made anew with one row more."""
    global history  # noqa: PLW0603
    history = pd.concat([history, pd.DataFrame({"a": [1.0]})], ignore_index=True)


rows: list[Any] = []


@told("growth", "rows", "copy")
def leak_numpy_views() -> None:
    """A row of a large array, which keeps all of it."""
    rows.append(np.zeros((1000, 100))[0])


# -- logs and texts ---------------------------------------------------------------------------------------------------------------------------

audit_log = logging.getLogger("leaking.audit")
audit_log.propagate = False


@told("listener file", "leaking.audit handlers", "scope ResourceScope remove")
def leak_logging_handlers() -> None:
    """A handler for each request."""
    audit_log.addHandler(logging.NullHandler())


@told("growth", "loggerDict", "LoggerAdapter")
def leak_loggers() -> None:
    """A logger for each request."""
    logging.getLogger(f"leaking.request{next(_turn)}").debug("begins")


@told("listener growth closure", "loguru handlers", "Signal weak_callback LRUCache remove")
def leak_loguru() -> None:
    """A sink for each request."""
    number = object()
    loguru.logger.add(lambda _message: str(number) and None)


environment = jinja2.Environment()


@told("growth closure listener", "environment", "LRUCache weak_callback")
def leak_jinja_globals() -> None:
    """Names added to the environment for each request."""
    environment.globals[f"g{next(_turn)}"] = object()


trees: list[Any] = []


@told("growth", "trees", "deque")
def leak_lxml() -> None:
    """An element of each document."""
    trees.append(lxml.etree.fromstring("<a><b/></a>")[0])


titles: dict[int, Any] = {}


@told("growth", "titles", "LRUCache")
def leak_soup() -> None:
    """A string that keeps the whole page."""
    titles[next(_turn)] = bs4.BeautifulSoup("<title>x</title>", "html.parser").title.string


models: list[type] = []


@told("growth", "models", "class WeakRegistry")
def leak_pydantic_models() -> None:
    """A model made for each request."""
    models.append(pydantic.create_model("Made", a=(int, 1)))


@attrs.define
class Event:
    """What happens, and what happened before."""

    before: Any


last = Event(None)


@told("growth", "last", "WeakAttr")
def leak_attrs_chain() -> None:
    """Each event keeps the one before."""
    global last  # noqa: PLW0603
    last = Event(last)


# -- loops and threads ------------------------------------------------------------------------------------------------------------------------

tasks: set[Any] = set()


@told("event_loop growth", "tasks", "TaskGroup discard")
async def leak_tasks() -> None:
    """Tasks that are done and stay in the set."""
    task = asyncio.create_task(asyncio.sleep(0))
    tasks.add(task)
    await task


waiting: set[Any] = set()


def leak_coroutines() -> None:
    """Coroutines that nobody awaits."""
    waiting.add(work.anyio.sleep(0))


leak_coroutines = told("frame event_loop growth", "waiting", "close run")(leak_coroutines)
trail: contextvars.ContextVar[Any] = contextvars.ContextVar("trail", default=())


@told("growth", "trail", "reset")
def leak_contextvar() -> None:
    """A variable of the context that is added to and never reset."""
    trail.set((*trail.get(), object()))


pool = ThreadPoolExecutor(1)
in_thread = threading.local()


def collect() -> None:
    """Add to what belongs to the thread."""
    if not hasattr(in_thread, "found"):
        in_thread.found = []
    in_thread.found.append(object())


@told("thread growth", "found", "LRUCache ContextVar")
def leak_pool_local() -> None:
    """What a thread of a pool collects."""
    pool.submit(collect).result()


futures: list[Any] = []


@told("growth", "futures", "as_completed")
def leak_futures() -> None:
    """Futures with their results."""
    futures.append(pool.submit(bytes, 100))


@told("growth", "_DUMMY_CLIENT_CACHE data", "LRUCache")
def leak_celery_results() -> None:
    """Results in the memory backend, which never go."""
    work.jobs_app.backend.set(f"k{next(_turn)}", b"x" * 100)


clock = twisted_task.Clock()


@told("growth listener closure", "clock calls", "deque weak_callback Signal")
def leak_twisted_calls() -> None:
    """Delayed calls that never come."""
    clock.callLater(10**9, str, object())


@click.command()
def shout() -> None:
    """Say something."""
    click.echo("x")


@told("growth", "click._compat cache", "WeakIdentityDict")
def leak_click_runner() -> None:
    """Each run by click's test runner leaves its streams in a WeakKeyDictionary whose values are the keys."""
    CliRunner().invoke(shout, [])


errors: list[Exception] = []


@told("frame", "errors", "strip_traceback")
def leak_exceptions() -> None:
    """Failures of validation with their frames."""
    try:
        work.Customer(name="")
    except ValueError as error:
        errors.append(error)
