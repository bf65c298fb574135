"""The prompts of benches/decode.rs, for the peers."""

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable

PROMPT, NEW, BATCH, LONG = 64, 128, 16, 1000


def prompts(rows: int, tokens: int) -> list[list[int]]:
    return [[1000 + (row * 7919 + at * 104_729) % 40_000 for at in range(tokens)] for row in range(rows)]


def parse_args(doc: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("base", help="directory of the dequantised base model, or a GGUF file")
    parser.add_argument("--dtype", default="f32", choices=["f32", "bf16"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=3)
    return parser.parse_args()


def measure(generate: Callable[[list[list[int]], int], None], repetitions: int) -> dict[str, float]:
    """Medians; the first round of each warms up."""

    def median(rows: int, tokens: int, new: int) -> float:
        took = []
        for _ in range(repetitions + 1):
            started = time.perf_counter()
            generate(prompts(rows, tokens), new)
            took.append(time.perf_counter() - started)
        return statistics.median(took[1:])

    return {
        "batch_1_tokens_per_sec": NEW / median(1, PROMPT, NEW),
        "batch_16_tokens_per_sec": BATCH * NEW / median(BATCH, PROMPT, NEW),
        "first_token_of_1000_ms": 1e3 * median(1, LONG, 1),
    }


def report(name: str, args: argparse.Namespace, figures: dict[str, float]) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"peer": name, "dtype": args.dtype, "threads": args.threads, "peak_rss_bytes": peak} | figures))
