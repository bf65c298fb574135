"""Starts the example `serve` on a free port."""

import contextlib
import re
import signal
import subprocess
from collections.abc import Iterator


@contextlib.contextmanager
def running(program: str, *arguments: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """The server's URL and process; it must end by itself when it is asked to."""
    server = subprocess.Popen([program, *arguments, "--port", "0"], stderr=subprocess.PIPE, text=True)
    try:
        for line in server.stderr:
            if found := re.search(r"chat page: (http:\S+)", line):
                yield found[1], server
                break
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=30) is not None, "the server does not stop"
    finally:
        server.kill()
