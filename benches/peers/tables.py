"""The tables that set contestants side by side."""

import argparse
import itertools
import statistics
from collections.abc import Callable

from processes import bench, rows, script

SHAPE = ("pairs", "tokens", "prompt_tokens", "rank")

# pairs, tokens, prompt tokens, rank: one thing at a time around the step of the other tables.
SIZES = [
    (4, 256, 64, 64),
    (1, 256, 64, 64),
    (8, 256, 64, 64),
    (4, 128, 32, 64),
    (4, 512, 128, 64),
    (4, 256, 64, 8),
    (4, 256, 64, 256),
]

# tokens, words, width: one thing at a time around the size of the other table, then the largest.
SELECTION = (1024, 49_152, 576)
GRID = [
    (256, 49_152, 576),
    (8192, 49_152, 576),
    (1024, 32_000, 576),
    (1024, 151_936, 576),
    (1024, 49_152, 2048),
    (1024, 49_152, 3584),
    (1024, 151_936, 3584),
    (8192, 151_936, 3584),
]


def contestants(kind: str, args: argparse.Namespace) -> dict[str, Callable[[], list[str]]]:
    """Commands by name, each made when it is needed; `kind` is dpo or sft."""
    shape = [word for key in SHAPE for word in (f"--{key.replace('_', '-')}", str(getattr(args, key)))]

    def ours(setting: str) -> Callable[[], list[str]]:
        return lambda: [bench(f"{kind}_step"), str(args.steps), setting, *shape]

    def peer(name: str, *more: str) -> Callable[[], list[str]]:
        limits = ["--steps", str(args.steps), "--threads", str(args.threads)]
        return lambda: script(name, args.base, *limits, *shape, *more)

    bf16, again = ("--dtype", "bf16"), "--gradient-checkpointing"
    found = {
        "ingrain f32": ours("f32"),
        "lean PyTorch f32": peer(f"lean_{kind}.py"),
        "ingrain bf16": ours("bf16"),
        "lean PyTorch bf16": peer(f"lean_{kind}.py", *bf16),
        "ingrain f32, smallest": ours("f32-smallest"),
        "TRL f32": peer(f"trl_{kind}.py"),
        "TRL bf16": peer(f"trl_{kind}.py", *bf16),
        "TRL f32, gradient checkpointing": peer(f"trl_{kind}.py", again),
    }
    if kind == "dpo":
        found["TRL bf16, reference computed before"] = peer("trl_dpo.py", *bf16, "--precompute-reference")
    return found


def step(kind: str, args: argparse.Namespace) -> str:
    """A training step of every contestant."""
    chosen = {name: c for name, c in contestants(kind, args).items() if not args.only or name in args.only}
    secs, peak = interleaved(chosen, args)
    lines = ["| | step, s | range | peak RSS, GB | steps |", "|---|---|---|---|---|"]
    for name, seconds in secs.items():
        spread = f"{min(seconds):.2f}-{max(seconds):.2f}"
        lines.append(
            f"| {name} | {statistics.median(seconds):.2f} | {spread} | {peak[name] / 1e9:.2f} | {len(seconds)} |"
        )
    if not args.only:
        lines += ["", ratios({name: statistics.median(seconds) for name, seconds in secs.items()}, peak)]
    return "\n".join(lines)


def ratios(step_secs: dict[str, float], peak: dict[str, int]) -> str:
    """Our fastest against the best of each peer, and our smallest memory against TRL's."""
    best = lambda start: min((name for name in step_secs if name.startswith(start)), key=step_secs.get)
    ours, trl = best("ingrain"), best("TRL")
    times = lambda peer: f"{step_secs[peer] / step_secs[ours]:.2f} times as fast as {peer}"
    peers = ", ".join(map(times, [trl, "lean PyTorch f32", "lean PyTorch bf16"]))
    share = peak["ingrain f32, smallest"] / peak["TRL f32"]
    return f"`{ours}` is {peers}. The smallest setting's peak is {share:.3f} of TRL's in f32."


def interleaved(chosen: dict, args: argparse.Namespace) -> tuple[dict[str, list[float]], dict[str, int]]:
    secs, peak = {name: [] for name in chosen}, dict.fromkeys(chosen, 0)
    for _ in range(args.rounds):
        for name, command in chosen.items():
            result = rows(command(), args.threads)[-1]
            # Ours leaves the first step out itself.
            secs[name] += result["step_secs"][-args.steps :]
            peak[name] = max(peak[name], result["peak_rss_bytes"])
    return secs, peak


def sizes(kind: str, args: argparse.Namespace) -> str:
    """Ours and the best of each peer over batch sizes, lengths and ranks."""
    trl = {"dpo": "TRL bf16, reference computed before", "sft": "TRL bf16"}[kind]
    names = ["ingrain f32", "ingrain bf16", "lean PyTorch bf16", trl]
    head = " | ".join(f"{name}, s | GB" for name in names)
    lines = [
        f"| {kind}: pairs | tokens | prompt | rank | {head} |",
        "|" + "---|" * (4 + 2 * len(names)),
    ]
    for size in SIZES:
        shaped = argparse.Namespace(**vars(args) | dict(zip(SHAPE, size)))
        everyone = contestants(kind, shaped)
        secs, peak = interleaved({name: everyone[name] for name in names}, shaped)
        cells = (f"{statistics.median(secs[name]):.2f} | {peak[name] / 1e9:.2f}" for name in names)
        lines.append(f"| {' | '.join(map(str, size))} | {' | '.join(cells)} |")
    return "\n".join(lines)


def logprob(args: argparse.Namespace) -> str:
    """The selective log-probability and its alternatives, at one size."""
    return logprob_table([SELECTION], args, "--return-pages")


def grid(args: argparse.Namespace) -> str:
    """The same over sizes."""
    return logprob_table(GRID, args)


def logprob_table(sizes: list[tuple[int, int, int]], args: argparse.Namespace, *again: str) -> str:
    """Ours once as it is and once with each option of `again`, and PyTorch's."""
    lines = ["| tokens | words | width | | ms | extra MiB |", "|---|---|---|---|---|---|"]
    for size in sizes:
        lines += logprob_size(size, args, again)
    return "\n".join(lines)


def logprob_size(size: tuple[int, int, int], args: argparse.Namespace, again: tuple[str, ...]) -> list[str]:
    options = [word for key, value in zip(("tokens", "vocab", "hidden"), size) for word in (f"--{key}", str(value))]
    ours = [bench("logprob"), str(args.repetitions), "--json", *options]
    repetitions = ["--repetitions", str(args.repetitions), "--threads", str(args.threads)]
    theirs = script("logprob.py", *options, *repetitions)
    commands = [ours, *([*ours, option] for option in again), theirs]
    secs, extra, notes = {}, {}, {}
    for _ in range(args.rounds):
        for row in itertools.chain.from_iterable(rows(command, args.threads) for command in commands):
            case = row["case"]
            secs.setdefault(case, []).extend(row["secs"])
            extra[case] = max(extra.get(case, 0), row["extra_bytes"])
            notes[case] = row["note"]
    # Forward-only cases first.
    ordered = sorted(secs, key=lambda case: case.startswith("forward +"))
    return [
        f"| {' | '.join(f'{n:,}' for n in size)} | {case} | "
        + (f"{statistics.median(secs[case]) * 1e3:.0f} | {extra[case] / 2**20:.0f} |" if secs[case] else f"{notes[case]} | |")
        for case in ordered
    ]
