"""Starts contestants, ours and theirs, each in a process of its own."""

import functools
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent


@functools.cache
def bench(name: str, features: str = "") -> str:
    """The compiled benchmark of that name, built if need be."""
    command = ["cargo", "bench", "-p", "ingrain", "--bench", name, "--no-run", "--message-format=json"]
    command += ["--features", features] if features else []
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed")
    messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return next(m["executable"] for m in messages if m.get("executable") and m["target"]["name"] == name)


def run(command: list[str], threads: int = 2) -> str:
    """What the command prints; its errors end this program."""
    environment = os.environ | {"RAYON_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: {done.stderr[-2000:]}")
    return done.stdout


def rows(command: list[str], threads: int = 2) -> list[dict]:
    """The JSON lines that the command prints."""
    found = [json.loads(line) for line in run(command, threads).splitlines() if line.startswith("{")]
    return found or sys.exit(f"{' '.join(command)} printed no figures")


def bench_text(name: str, *arguments: str) -> str:
    """The table that a benchmark of ours prints by itself."""
    return run([bench(name), *arguments]).strip()


def script(name: str, *arguments: str) -> list[str]:
    return [sys.executable, str(HERE / name), *arguments]
