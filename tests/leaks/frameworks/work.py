"""Threads, processes, loops, logs and texts: each function does some work and ends what it began."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import functools
import importlib
import io
import logging
import logging.handlers
import multiprocessing
import queue
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import anyio
import attrs
import bs4
import celery
import click
import jinja2
import loguru
import lxml.etree
import lxml.html
import marshmallow
import rich.console
import rich.table
import structlog
import tenacity
import trio
import yaml
from pydantic import BaseModel, Field, create_model

# -- threads and processes --------------------------------------------------------------------------------------------------------------------

pool = concurrent.futures.ThreadPoolExecutor(4)


def clean_thread_pool() -> None:
    """A pool for one call."""
    with concurrent.futures.ThreadPoolExecutor(4) as own:
        assert sum(own.map(abs, range(50))) == 1225
        for done in concurrent.futures.as_completed([own.submit(pow, 2, number) for number in range(10)]):
            done.result()


def clean_kept_pool() -> None:
    """A pool of the module, whose threads stay."""
    futures = [pool.submit(sorted, range(100)) for _ in range(8)]
    concurrent.futures.wait(futures)


def clean_process_pool() -> None:
    """A pool of processes."""
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as own:
        assert list(own.map(abs, [-1, -2])) == [1, 2]


def clean_multiprocessing() -> None:
    """A pool, a queue and a process of multiprocessing."""
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    process = context.Process(target=answers.put, args=("x",))
    process.start()
    assert answers.get(timeout=60) == "x"
    process.join()
    process.close()
    answers.close()
    answers.join_thread()
    with context.Pool(2) as workers:
        assert workers.map(abs, [-1]) == [1]
    workers.join()


def clean_subprocess() -> None:
    """Children that are waited for."""
    assert subprocess.run(["echo", "x"], capture_output=True, text=True, check=True).stdout == "x\n"
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.communicate(b"y")[0] == b"y"


def clean_queue() -> None:
    """A producer and consumers that end."""
    jobs: queue.Queue[int | None] = queue.Queue(10)
    found: list[int] = []

    def consume() -> None:
        while (job := jobs.get()) is not None:
            found.append(job)

    threads = [threading.Thread(target=consume) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(40):
        jobs.put(number)
    for _ in threads:
        jobs.put(None)
    for thread in threads:
        thread.join()
    assert len(found) == 40


def clean_timer() -> None:
    """A timer that fires and one that is cancelled."""
    fired = threading.Event()
    timer = threading.Timer(0.001, fired.set)
    timer.start()
    assert fired.wait(60)
    timer.join()
    late = threading.Timer(60, fired.set)
    late.start()
    late.cancel()
    late.join()


# -- loops ------------------------------------------------------------------------------------------------------------------------------------


async def clean_asyncio_streams() -> None:
    """A server and clients."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for _ in range(3):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        writer.close()
        await writer.wait_closed()
    server.close()
    await server.wait_closed()


request_id: contextvars.ContextVar[int] = contextvars.ContextVar("request_id")


def clean_asyncio_run() -> None:
    """Task groups, queues, timeouts and cancellation in a loop of their own."""

    async def work(number: int, jobs: asyncio.Queue[int]) -> None:
        request_id.set(number)
        await jobs.put(request_id.get())

    async def main() -> None:
        jobs: asyncio.Queue[int] = asyncio.Queue()
        async with asyncio.TaskGroup() as group:
            for number in range(10):
                group.create_task(work(number, jobs))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.001):
                await asyncio.sleep(60)
        forever = asyncio.create_task(asyncio.sleep(60))
        await asyncio.sleep(0)
        forever.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await forever
        await asyncio.to_thread(abs, -1)

    asyncio.run(main())


def clean_asyncio_subprocess() -> None:
    """A child of a loop."""

    async def main() -> None:
        child = await asyncio.create_subprocess_exec("echo", "x", stdout=asyncio.subprocess.PIPE)
        assert (await child.communicate())[0] == b"x\n"

    asyncio.run(main())


def clean_trio() -> None:
    """A nursery with channels."""

    async def main() -> None:
        send, receive = trio.open_memory_channel[int](0)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send.send, 1)
            assert await receive.receive() == 1
        with trio.move_on_after(0.001):
            await trio.sleep_forever()

    trio.run(main)


def clean_anyio() -> None:
    """Threads and groups of anyio."""

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 0)
            assert await anyio.to_thread.run_sync(abs, -3) == 3

    anyio.run(main)


def clean_twisted() -> None:
    """Deferreds that fire and fail."""
    from twisted.internet import defer, task

    clock = task.Clock()
    deferred = task.deferLater(clock, 1, abs, -2)
    found: list[int] = []
    deferred.addCallback(found.append)
    clock.advance(2)
    assert found == [2]
    failing: Any = defer.Deferred()
    failing.addErrback(lambda _failure: None)
    failing.errback(ValueError("x"))


jobs_app = celery.Celery("jobs", broker="memory://", backend="cache+memory://")
jobs_app.conf.task_always_eager = True


@jobs_app.task
def add(x: int, y: int) -> int:
    """Add."""
    return x + y


def clean_celery() -> None:
    """Tasks run at once, alone and in a chain."""
    assert add.delay(1, 2).get() == 3
    assert (add.s(1, 2) | add.s(4)).delay().get() == 7


# -- logs -------------------------------------------------------------------------------------------------------------------------------------

logger = logging.getLogger("work")
logger.propagate = False
logger.addHandler(logging.NullHandler())


def clean_logging() -> None:
    """A handler for one call, records with exceptions, a listener in a thread."""
    with tempfile.TemporaryDirectory() as directory:
        handler = logging.handlers.RotatingFileHandler(Path(directory) / "log", maxBytes=500, backupCount=2)
        logger.addHandler(handler)
        for number in range(20):
            logger.warning("number %d", number, extra={"more": number})
        try:
            raise ValueError("x")
        except ValueError:
            logger.exception("failed")
        logger.removeHandler(handler)
        handler.close()
    records: queue.SimpleQueue[Any] = queue.SimpleQueue()
    listener = logging.handlers.QueueListener(records, logging.NullHandler())
    listener.start()
    sender = logging.handlers.QueueHandler(records)
    logger.addHandler(sender)
    logger.warning("x")
    logger.removeHandler(sender)
    listener.stop()
    sender.close()


def clean_structlog() -> None:
    """A bound logger with a context."""
    log = structlog.wrap_logger(structlog.testing.CapturingLogger(), processors=[structlog.processors.JSONRenderer()])
    with structlog.contextvars.bound_contextvars(request=1):
        log.bind(a=1).info("x")


def clean_loguru() -> None:
    """A sink added and removed."""
    number = loguru.logger.add(lambda _message: None, level="WARNING")
    loguru.logger.bind(a=1).warning("x")
    loguru.logger.remove(number)


# -- texts ------------------------------------------------------------------------------------------------------------------------------------

templates = jinja2.Environment(loader=jinja2.DictLoader({"base": "{% block b %}{% endblock %}", "a": "{% extends 'base' %}{% block b %}{{ x|upper }}{% endblock %}"}))  # fmt: skip


def clean_jinja() -> None:
    """Templates of an environment and one of a string."""
    assert templates.get_template("a").render(x="y") == "Y"
    assert jinja2.Template("{% for i in r %}{{ i }}{% endfor %}").render(r=range(3)) == "012"


def clean_lxml() -> None:
    """Trees parsed, searched and transformed."""
    tree = lxml.etree.fromstring("<a>" + "<b c='1'>x</b>" * 50 + "</a>")
    assert len(tree.xpath("//b[@c='1']")) == 50
    sheet = lxml.etree.XSLT(lxml.etree.XML('<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:template match="/"><n><xsl:value-of select="count(//b)"/></n></xsl:template></xsl:stylesheet>'))  # fmt: skip
    assert "50" in str(sheet(tree))
    assert lxml.html.fromstring("<p>x<br>y").text_content() == "xy"


def clean_soup() -> None:
    """A page parsed by two parsers."""
    for parser in ("html.parser", "lxml"):
        soup = bs4.BeautifulSoup("<ul>" + "<li class=a>x</li>" * 20 + "</ul>", parser)
        assert len(soup.select("li.a")) == 20


def clean_yaml() -> None:
    """Documents read and written."""
    assert yaml.safe_load(yaml.safe_dump({"a": [1, {"b": "c"}]}))["a"][1]["b"] == "c"


class Customer(BaseModel):
    """A model with a validator of each sort."""

    name: str = Field(min_length=1)
    tags: list[str] = []
    parent: Customer | None = None


def clean_pydantic() -> None:
    """Models validated and dumped, one of them made here."""
    assert Customer.model_validate_json('{"name": "x", "parent": {"name": "y"}}').parent is not None
    with contextlib.suppress(ValueError):
        Customer(name="")
    made = create_model("Made", a=(int, 1))
    assert made().model_dump() == {"a": 1}


@attrs.define
class Point:
    """With attrs."""

    x: int
    y: int = attrs.field(default=0, validator=attrs.validators.instance_of(int))


def clean_attrs() -> None:
    """Instances made and changed, and a class made here."""
    assert attrs.asdict(attrs.evolve(Point(1), y=2)) == {"x": 1, "y": 2}
    made = attrs.make_class("Made", ["a", "b"])
    assert made(1, 2).b == 2


class PointSchema(marshmallow.Schema):
    """Of marshmallow."""

    x = marshmallow.fields.Int(required=True)


def clean_marshmallow() -> None:
    """What fits and what does not."""
    assert PointSchema().load({"x": "3"}) == {"x": 3}
    with contextlib.suppress(marshmallow.ValidationError):
        PointSchema().load({})


@click.command()
@click.option("--count", default=1)
def command(count: int) -> str:
    """Make it."""
    return "x" * count


def clean_click() -> None:
    """A command with its options and its errors."""
    assert command.main(["--count", "3"], standalone_mode=False) == "xxx"
    with contextlib.suppress(click.UsageError):
        command.main(["--wrong"], standalone_mode=False)


def clean_rich() -> None:
    """A table printed."""
    console = rich.console.Console(file=io.StringIO(), width=60)
    table = rich.table.Table("a", "b")
    table.add_row("1", "[bold]2[/]")
    console.print(table)


def clean_tenacity() -> None:
    """A call tried again."""
    attempts = iter([ValueError, ValueError, None])

    @tenacity.retry(stop=tenacity.stop_after_attempt(5), wait=tenacity.wait_none())
    def flaky() -> None:
        error = next(attempts)
        if error:
            raise error

    flaky()


# -- caches and imports -----------------------------------------------------------------------------------------------------------------------

_names = iter(
    ("colorsys", "wave", "shelve", "sched", "plistlib", "netrc", "mailbox", "fileinput", "cmd", "calendar", "turtledemo", "zipapp")
)


def clean_lazy_imports() -> None:
    """Another module of the standard library at each of the first calls, some tables filled by and by."""
    name = next(_names, None)
    if name is not None:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


@functools.lru_cache(maxsize=64)
def squared(number: int) -> list[int]:
    """Make a list."""
    return [number * number]


_turn = iter(range(10**9))


def clean_bounded_cache() -> None:
    """A bounded cache with ever new keys."""
    squared(next(_turn))


_batch: list[bytes] = []


def clean_saw_tooth() -> None:
    """A batch that is sent when it is full."""
    _batch.append(b"x" * 100)
    if len(_batch) >= 50:
        _batch.clear()


if sys.platform == "win32":
    raise SystemExit("these programs fork")
