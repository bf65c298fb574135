"""The training step that every peer is timed on, and how the result is printed.

Pairs of random token ids: `tokens` a sequence (prompt included), so `2 * pairs * tokens` tokens a step. A
supervised step takes both sequences of each pair as conversations of their own.
"""

import argparse
import json
import os
import random
import resource
import statistics
from importlib.metadata import PackageNotFoundError, version

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def parser(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", help="Hugging Face directory of the base model")
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--steps", type=int, default=5, help="timed steps, after one that is not")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--gradient-checkpointing", action="store_true")
    add_shape(parser)
    return parser


def add_shape(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=256, help="tokens a sequence, prompt included")
    parser.add_argument("--prompt-tokens", type=int, default=64)
    parser.add_argument("--rank", type=int, default=64, help="of the LoRA; alpha is twice that")


def lora(args: argparse.Namespace) -> dict:
    rank = args.rank
    return dict(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules=TARGETS, task_type="CAUSAL_LM")


def make_pairs(args: argparse.Namespace, vocab: int) -> list[dict[str, list[int]]]:
    rng = random.Random(0)
    draw = lambda count: [rng.randrange(min(100, vocab // 2), vocab) for _ in range(count)]
    completion = args.tokens - args.prompt_tokens
    return [
        {"prompt_ids": draw(args.prompt_tokens), "chosen_ids": draw(completion), "rejected_ids": draw(completion)}
        for _ in range(args.pairs)
    ]


def sequences(pairs: list[dict[str, list[int]]]) -> list[list[int]]:
    """All chosen sequences, then all rejected ones."""
    return [p["prompt_ids"] + p[f"{side}_ids"] for side in ("chosen", "rejected") for p in pairs]


def versions(*packages: str) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found


def report(name: str, args: argparse.Namespace, step_secs: list[float]) -> None:
    """One JSON line; the first step, which allocates, is left out of the median."""
    result = {
        "name": name,
        "step_secs_median": statistics.median(step_secs[1:]),
        "step_secs": step_secs,
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "arguments": vars(args),
        "versions": versions("torch", "transformers", "peft", "trl"),
    }
    print(json.dumps(result))
