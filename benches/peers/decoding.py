"""The table of decoding rates: ours, transformers and llama.cpp in turn."""

import argparse
import pathlib
import statistics
from collections.abc import Callable

from processes import bench, rows, script

RATES = ("batch_1_tokens_per_sec", "batch_16_tokens_per_sec", "first_token_of_1000_ms")

# Each contestant's rounds, by name: what `benches/decode.rs --json` and `decode_workload.report` print.
Rounds = dict[str, list[dict]]


def contestants(args: argparse.Namespace) -> dict[str, Callable[[], list[str]]]:
    """Commands by name, each made when it is needed."""

    def ours(dtype: str) -> Callable[[], list[str]]:
        return lambda: [bench("decode"), str(args.repetitions), dtype, "--json"]

    def peer(name: str, model: str, *more: str) -> Callable[[], list[str]]:
        limits = ["--threads", str(args.threads), "--repetitions", str(args.repetitions)]
        return lambda: script(name, model, *limits, *more)

    found = {}
    for dtype in ("f32", "bf16"):
        found[f"ingrain {dtype}"] = ours(dtype)
        found[f"transformers {dtype}"] = peer("transformers_decode.py", args.base, "--dtype", dtype)
    for file in args.gguf:
        found[f"llama.cpp {type_of(file)}"] = peer("llama_cpp_decode.py", file)
    return found


def type_of(file: str) -> str:
    """F16 of base.f16.gguf."""
    return pathlib.Path(file).stem.rsplit(".", 1)[-1].upper()


def table(args: argparse.Namespace) -> str:
    chosen = {name: c for name, c in contestants(args).items() if not args.only or name in args.only}
    rounds = {name: [] for name in chosen}
    for _ in range(args.rounds):
        for name, command in chosen.items():
            rounds[name].append(rows(command(), args.threads)[-1])
    return text(rounds)


def text(rounds: Rounds) -> str:
    lines = [
        "| | batch 1, tokens/s | batch 16, tokens/s | first token of 1,000, ms | peak RSS, MB | of bandwidth, % | "
        "perplexity against f32, % |",
        "|" + "---|" * 7,
    ]
    for name, found in rounds.items():
        cells = [cell([figures[rate] for figures in found]) for rate in RATES]
        cells.append(f"{max(figures['peak_rss_bytes'] for figures in found) / 1e6:,.0f}")
        cells.append(own(found, "bandwidth_share", "{:.0f}"))
        cells.append(own(found, "perplexity_change", "{:+.2f}"))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    count = max(map(len, rounds.values()))
    lines += ["", f"Prompts of 64 tokens, 128 new ones each; medians and ranges of {count} rounds.", *against(rounds)]
    return "\n".join(lines + memory(rounds))


def cell(values: list[float]) -> str:
    """The median, with the range where there is one."""
    low, high = f"{min(values):,.0f}", f"{max(values):,.0f}"
    return f"{statistics.median(values):,.0f}" + (f" ({low}-{high})" if low != high else "")


def own(found: list[dict], key: str, form: str) -> str:
    """A share that only ours reports, in percent."""
    values = [figures[key] for figures in found if figures.get(key) is not None]
    return form.format(100 * statistics.median(values)) if values else ""


def against(rounds: Rounds) -> list[str]:
    """How many times as fast ours is as each peer in the same type, and llama.cpp's batches beside our fastest."""
    median = lambda name, rate: statistics.median(figures[rate] for figures in rounds[name])
    lines = []
    for dtype in ("f32", "bf16"):
        ours, theirs = f"ingrain {dtype}", f"transformers {dtype}"
        if ours in rounds and theirs in rounds:
            one, sixteen = (median(ours, rate) / median(theirs, rate) for rate in RATES[:2])
            first = median(ours, RATES[2]) / median(theirs, RATES[2])
            lines.append(
                f"`{ours}` decodes {one:.2f} times (batch 1) and {sixteen:.2f} times (batch 16) as fast as "
                f"`{theirs}` and takes {first:.2f} of its time to the first token."
            )
    mine = [name for name in rounds if name.startswith("ingrain")]
    if mine:
        best = max(mine, key=lambda name: median(name, RATES[1]))
        ratios = [
            f"{median(best, RATES[1]) / median(name, RATES[1]):.2f} times `{name}`"
            for name in rounds
            if name.startswith("llama.cpp")
        ]
        lines += [f"Batch 16 of `{best}` is {', '.join(ratios)}."] if ratios else []
    return lines


def memory(rounds: Rounds) -> list[str]:
    """What ours takes beside its weights, and the bound that was set for it."""
    lines = []
    for name in (name for name in rounds if name.startswith("ingrain")):
        figures = max(rounds[name], key=lambda figures: figures["extra_bytes"])
        weights, kv, extra = (figures[key] / 1e6 for key in ("weight_bytes", "kv_bytes", "extra_bytes"))
        lines.append(
            f"`{name}` takes at most {extra:,.0f} MB beside its weights ({weights:,.0f} MB) with 16 rows of 512 tokens, "
            f"whose keys and values are {kv:,.0f} MB (bound: {1.3 * kv + 200:,.0f} MB)."
        )
    return lines
