"""64 clients at a real model for a minute: good requests, malformed ones, disconnects in mid-stream.

    cargo build --release --example serve
    python crates/ingrain-serve/tests/clients/load.py target/release/examples/serve ADAPTER_DIR --secs 60

Every good request must be answered, every malformed one refused, and nothing be left behind: the server's
memory and open files are printed before and after.
"""

import argparse
import collections
import http.client
import json
import os
import pathlib
import random
import threading
import time
from urllib.parse import urlsplit

from running import running

MALFORMED = ["{", "", '{"model": 1}', '{"model": "nobody", "messages": [{"role": "user", "content": "x"}]}']


class Load:
    def __init__(self, url: str, secs: float):
        self.address = urlsplit(url).netloc
        self.end = time.monotonic() + secs
        self.counts, self.wrong, self.lock = collections.Counter(), [], threading.Lock()
        connection = http.client.HTTPConnection(self.address)
        connection.request("GET", "/v1/models")
        self.models = [model["id"] for model in json.loads(connection.getresponse().read())["data"]]

    def client(self, number: int) -> None:
        draw = random.Random(number)
        while time.monotonic() < self.end:
            turn = draw.choices([self.malformed, self.gone, self.good], [15, 15, 70])[0]
            try:
                outcome = turn(draw)
                with self.lock:
                    self.counts[outcome] += 1
            except Exception as error:
                with self.lock:
                    self.wrong.append(f"{turn.__name__}: {error!r}")

    def post(self, body: str) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        connection = http.client.HTTPConnection(self.address, timeout=300)
        connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
        return connection, connection.getresponse()

    def ask(self, draw: random.Random, words: str, **more: object) -> str:
        messages = [{"role": "user", "content": words}]
        return json.dumps({"model": draw.choice(self.models), "messages": messages} | more)

    def malformed(self, draw: random.Random) -> str:
        _, response = self.post(draw.choice(MALFORMED))
        response.read()
        assert 400 <= response.status < 500, response.status
        return "malformed, refused"

    def gone(self, draw: random.Random) -> str:
        connection, response = self.post(self.ask(draw, "Tell a story.", stream=True, max_tokens=200))
        response.read(150)
        response.close()
        connection.close()
        return "gone in mid-stream"

    def good(self, draw: random.Random) -> str:
        stream = draw.random() < 0.5
        _, response = self.post(self.ask(draw, f"Name {draw.randint(2, 9)} things.", stream=stream, max_tokens=12))
        text = response.read().decode()
        assert response.status == 200, (response.status, text[:200])
        if stream:
            assert text.rstrip().endswith("[DONE]") and '"error"' not in text, text[-200:]
        else:
            assert json.loads(text)["choices"][0]["finish_reason"] in ("stop", "length")
        return "good, answered"


def held(process: int) -> str:
    """Resident memory and open files of a process, where the system tells."""
    folder = pathlib.Path(f"/proc/{process}")
    if not folder.exists():
        return "unknown"
    pages = int((folder / "statm").read_text().split()[1])
    files = len(list((folder / "fd").iterdir()))
    return f"{pages * os.sysconf('SC_PAGE_SIZE') / 1e6:.0f} MB, {files} open files"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("adapters", nargs="*")
    parser.add_argument("--secs", type=float, default=60)
    parser.add_argument("--clients", type=int, default=64)
    args = parser.parse_args()
    with running(args.program, *args.adapters) as (url, server):
        load = Load(url, args.secs)
        load.good(random.Random(0))
        print("before:", held(server.pid))
        threads = [threading.Thread(target=load.client, args=(number,)) for number in range(args.clients)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        load.good(random.Random(1))
        print("after: ", held(server.pid))
    print(dict(load.counts))
    assert not load.wrong, load.wrong[:5]
    assert load.counts["good, answered"] > 0


if __name__ == "__main__":
    main()
