"""The training step that every peer is timed on, and how the result is printed.

Pairs of random token ids: `tokens` a sequence (prompt included), so `2 * pairs * tokens` tokens a step.
"""

import argparse
import json
import os
import random
import resource
import statistics
from importlib.metadata import version

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
LORA = dict(r=64, lora_alpha=128, lora_dropout=0.0, target_modules=TARGETS, task_type="CAUSAL_LM")


def parse_args(description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", help="Hugging Face directory of the base model")
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=256, help="tokens a sequence, prompt included")
    parser.add_argument("--prompt-tokens", type=int, default=64)
    parser.add_argument("--steps", type=int, default=5, help="timed steps, after one that is not")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--gradient-checkpointing", action="store_true")
    parser.add_argument("--precompute-reference", action="store_true", help="TRL only")
    return parser.parse_args()


def make_pairs(args: argparse.Namespace, vocab: int) -> list[dict[str, list[int]]]:
    rng = random.Random(0)
    draw = lambda count: [rng.randrange(min(100, vocab // 2), vocab) for _ in range(count)]
    completion = args.tokens - args.prompt_tokens
    return [
        {"prompt_ids": draw(args.prompt_tokens), "chosen_ids": draw(completion), "rejected_ids": draw(completion)}
        for _ in range(args.pairs)
    ]


def report(name: str, args: argparse.Namespace, step_secs: list[float]) -> None:
    """One JSON line; the first step, which allocates, is left out of the median."""
    packages = ("torch", "transformers", "peft", "trl")
    result = {
        "name": name,
        "step_secs_median": statistics.median(step_secs[1:]),
        "step_secs": step_secs,
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "arguments": vars(args),
        "versions": {package: version(package) for package in packages},
    }
    print(json.dumps(result))
