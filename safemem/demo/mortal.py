"""Programs of the demo that are killed while they work: started in a group of their own, fed, heard, and killed with the whole group."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

import safemem

__all__ = ["kill_when_told", "tell"]


def kill_when_told(module: str, *arguments: str, given: bytes) -> Any:
    """Run a module as a program, give it its input, and kill its whole group once it has said something; return what it said.

    That is what becomes of a program whose container or terminal goes.
    """
    environment = {**os.environ, "PYTHONPATH": str(Path(safemem.__file__).parent.parent), "SAFEMEM_GUARDIAN": ""}
    command = [sys.executable, "-P", "-m", module, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, start_new_session=True) as process:  # noqa: S603 - our own module
        try:
            _stream(process.stdin).write(given)
            _stream(process.stdin).close()
            said = _stream(process.stdout).readline()
        finally:
            if sys.platform != "win32":
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
    return json.loads(said)


def _stream(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


def tell(what: object) -> None:
    """Say something to who started this program, which is the last that it does."""
    print(json.dumps(what), flush=True)
    while True:
        time.sleep(60)
