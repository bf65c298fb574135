"""Writes a table into docs/PERFORMANCE.md, with what it was measured on."""

import os
import pathlib
import re
import shlex
import subprocess
import sys
import tomllib

from processes import ROOT
from workload import versions

PAGE = ROOT / "docs" / "PERFORMANCE.md"


def output(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()


def machine() -> str:
    facts = dict(
        line.split(":", 1) for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if ":" in line
    )
    model = next((value for key, value in facts.items() if key.strip() == "model name"), "an unnamed processor")
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores of {model.strip()}, {gib:.0f} GiB"


def taken() -> str:
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    burn = next(package["version"] for package in lock["package"] if package["name"] == "burn")
    packages = versions("torch", "transformers", "peft", "trl", "liger-kernel", "xllamacpp")
    peers = ", ".join(f"{name} {number}" for name, number in packages.items())
    commit = output("git", "rev-parse", "--short", "HEAD")
    if output("git", "status", "--porcelain", "--untracked-files=no", "--", ":!docs"):
        commit += " with changes"
    rust = " ".join(output("rustc", "--version").split()[:2])
    return f"{machine()}; {rust}, Burn {burn}; {peers}; commit {commit}."


def write(name: str, table: str) -> None:
    """Replaces what stands between the markers of that name."""
    page = PAGE.read_text()
    begin, end = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
    name_of_script = pathlib.Path(sys.argv[0]).name
    words = [pathlib.Path(word).name if os.sep in word else word for word in sys.argv[2:]]
    command = f"python benches/peers/{name_of_script} BASE_DIR {shlex.join(words)}"
    block = f"{begin}\n`{command}`: {taken()}\n\n{table}\n{end}"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(page):
        sys.exit(f"{PAGE} has no place for `{name}`: put {begin} and {end} on lines of their own")
    PAGE.write_text(pattern.sub(lambda _: block, page, count=1))
