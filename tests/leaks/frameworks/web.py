"""Web frameworks used as their documentation says: each function is one request, or a few, served and answered."""

from __future__ import annotations

import asyncio
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import aiohttp
import bottle
import django
import falcon
import flask
import httpx
import requests
import tornado.httpserver
import tornado.ioloop
import tornado.web
from aiohttp import web as aioweb
from django.conf import settings
from falcon import testing as falcon_testing
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from werkzeug.serving import make_server

# -- flask ------------------------------------------------------------------------------------------------------------------------------------

flask_app = flask.Flask("shop")
flask_app.secret_key = "secret"


@flask_app.get("/item/<int:number>")
def item(number: int) -> Any:
    """Render a page with the session's counter."""
    flask.session["visits"] = flask.session.get("visits", 0) + 1
    flask.g.item = {"number": number}
    return flask.render_template_string("<p>{{ g.item.number }} {{ url_for('item', number=1) }}</p>", number=number)


@flask_app.errorhandler(404)
def nothing(_error: Any) -> Any:
    """Say that there is no such page."""
    return {"error": "none"}, 404


def clean_flask_client() -> None:
    """Flask by its test client, errors and all."""
    client = flask_app.test_client()
    assert client.get("/item/3").status_code == 200
    assert client.get("/nowhere").status_code == 404


def clean_flask_factory() -> None:
    """An application made, used and dropped."""
    app = flask.Flask("made")
    app.add_url_rule("/", "index", lambda: "hello")
    with app.app_context(), app.test_client() as client:
        assert client.get("/").data == b"hello"


def clean_flask_server() -> None:
    """Flask by a real server in a thread, asked by requests."""
    server = make_server("127.0.0.1", 0, flask_app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with requests.Session() as session:
            assert session.get(f"http://127.0.0.1:{server.server_port}/item/1", timeout=20).ok
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


# -- django -----------------------------------------------------------------------------------------------------------------------------------

settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="secret",
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    USE_TZ=True,
)
django.setup()

from django import forms  # noqa: E402 - needs the settings
from django.contrib.auth.models import Group  # noqa: E402
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.dispatch import Signal, receiver  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.template import Context, Template  # noqa: E402
from django.test import RequestFactory  # noqa: E402
from django.urls import path, reverse  # noqa: E402


class Question(forms.Form):
    """A form with a field of each sort."""

    name = forms.CharField(max_length=20)
    age = forms.IntegerField(required=False)


def ask(request: HttpRequest) -> HttpResponse:
    """Answer a form."""
    form = Question(request.POST or None)
    return HttpResponse(Template("{% for field in form %}{{ field }}{% endfor %}").render(Context({"form": form, "ok": form.is_valid()})))


urlpatterns = [path("ask/<int:number>/", lambda request, number: ask(request), name="ask")]
paid = Signal()


@receiver(paid)
def on_paid(sender: Any, **_: Any) -> None:
    """Do nothing."""


handler = WSGIHandler()


def clean_django_requests() -> None:
    """A form shown and sent, by the handler that servers call; what the test client leaves is in `leaking`."""
    requests_of = RequestFactory()
    assert handler.get_response(requests_of.get(reverse("ask", args=[1]))).status_code == 200
    assert handler.get_response(requests_of.post("/ask/2/", {"name": "Ann"})).status_code == 200


def clean_django_orm() -> None:
    """Rows made, asked for and deleted; tables are made at the first call."""
    from django.db import connection, transaction

    if "auth_group" not in connection.introspection.table_names():
        call_command("migrate", verbosity=0)
    with transaction.atomic():
        Group.objects.create(name="staff")
        assert Group.objects.filter(name__startswith="s").exclude(name="x").count() == 1
        list(Group.objects.all().prefetch_related("permissions"))
        Group.objects.all().delete()


def clean_django_signal() -> None:
    """A signal connected, sent and disconnected."""

    def local(sender: Any, **_: Any) -> None: ...

    paid.connect(local)
    paid.send(sender=object())
    paid.disconnect(local)


# -- starlette, fastapi -----------------------------------------------------------------------------------------------------------------------


class Order(BaseModel):
    """What a request sends."""

    name: str
    price: float = 1.0


fast = FastAPI()


@fast.post("/order")
async def order(sent: Order) -> Order:
    """Send it back."""
    await asyncio.sleep(0)
    return sent


@fast.get("/slow")
def slow() -> dict[str, int]:
    """Run in a thread of the pool."""
    return {"a": 1}


def clean_fastapi() -> None:
    """Both kinds of endpoint by the test client."""
    with TestClient(fast) as client:
        assert client.post("/order", json={"name": "tea"}).json()["price"] == 1.0
        assert client.post("/order", json={}).status_code == 422
        assert client.get("/slow").json() == {"a": 1}


async def clean_starlette_httpx() -> None:
    """An application asked without a network, in the loop that is running."""

    async def home(_request: Any) -> JSONResponse:
        return JSONResponse({"a": 1})

    app = Starlette(routes=[Route("/", home)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        assert (await client.get("/")).json() == {"a": 1}


# -- others -----------------------------------------------------------------------------------------------------------------------------------

small = bottle.Bottle()


@small.route("/hello/<name>")
def hello(name: str) -> str:
    """Greet."""
    return str(bottle.template("Hello {{name}}", name=name))


def clean_bottle() -> None:
    """One request through the interface of WSGI."""
    environ = {"PATH_INFO": "/hello/ann", "REQUEST_METHOD": "GET", "wsgi.errors": None}
    assert b"".join(small(environ, lambda *_: None)) == b"Hello ann"


class Thing:
    """A resource of falcon."""

    def on_get(self, _request: Any, response: Any) -> None:
        """Answer."""
        response.media = {"a": 1}


def clean_falcon() -> None:
    """An application made and asked."""
    app = falcon.App()
    app.add_route("/thing", Thing())
    assert falcon_testing.TestClient(app).simulate_get("/thing").json == {"a": 1}


async def clean_aiohttp() -> None:
    """A server and a client in one loop, with a web socket."""

    async def answer(_request: Any) -> aioweb.Response:
        return aioweb.json_response({"a": 1})

    async def echo(request: Any) -> aioweb.WebSocketResponse:
        socket = aioweb.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data)
        return socket

    app = aioweb.Application()
    app.add_routes([aioweb.get("/", answer), aioweb.get("/echo", echo)])
    runner = aioweb.AppRunner(app)
    await runner.setup()
    site = aioweb.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}/") as response:
            assert await response.json() == {"a": 1}
        async with session.ws_connect(f"http://127.0.0.1:{port}/echo") as socket:
            await socket.send_str("x")
            assert (await socket.receive()).data == "x"
    await runner.cleanup()


class Main(tornado.web.RequestHandler):
    """A handler of tornado."""

    def get(self) -> None:
        """Answer."""
        self.write("hello")


def clean_tornado() -> None:
    """A server and a client in a loop that ends."""
    from tornado.httpclient import AsyncHTTPClient

    async def serve() -> None:
        server = tornado.httpserver.HTTPServer(tornado.web.Application([("/", Main)]))
        sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)
        client = AsyncHTTPClient(force_instance=True)
        answer = await client.fetch(f"http://127.0.0.1:{sockets[0].getsockname()[1]}/")
        assert answer.body == b"hello"
        client.close()
        server.stop()
        await server.close_all_connections()

    asyncio.run(serve())


class Page(BaseHTTPRequestHandler):
    """A handler of the standard library's server."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def clean_http_server() -> None:
    """The standard library's server in a thread, asked by httpx."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            assert httpx.get(f"http://127.0.0.1:{server.server_port}/", timeout=20).text == "hello"
        finally:
            server.shutdown()
            thread.join()
