"""The DPO step of this workspace beside its peers, interleaved, as one table.

    cargo bench -p ingrain --bench dpo_step --no-run
    python compare.py BASE_DIR ../../target/release/deps/dpo_step-*   # the binary that cargo named

Each round runs every contestant once, in turn, in a process of its own; the first step of a process is
left out. Medians over all rounds; the peak is the largest resident set of any round. Nothing else
should run on the machine.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).parent


def contestants(args: argparse.Namespace) -> dict[str, list[str]]:
    def peer(script: str, *more: str) -> list[str]:
        steps = ["--steps", str(args.steps), "--threads", "2"]
        return [sys.executable, str(HERE / script), args.base, *steps, *more]

    ours = lambda setting: [args.bench, str(args.steps), setting]
    return {
        "ingrain f32": ours("f32"),
        "lean PyTorch f32": peer("lean_dpo.py"),
        "ingrain bf16": ours("bf16"),
        "lean PyTorch bf16": peer("lean_dpo.py", "--dtype", "bf16"),
        "ingrain f32, smallest": ours("f32-smallest"),
        "TRL f32": peer("trl_dpo.py"),
        "TRL bf16": peer("trl_dpo.py", "--dtype", "bf16"),
        "TRL bf16, reference computed before": peer("trl_dpo.py", "--dtype", "bf16", "--precompute-reference"),
    }


def run(command: list[str]) -> dict:
    done = subprocess.run(command, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode != 0 or not lines:
        sys.exit(f"{' '.join(command)}: {done.stderr[-2000:]}")
    return json.loads(lines[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", help="Hugging Face directory of the base model")
    parser.add_argument("bench", help="the compiled benchmark dpo_step")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3, help="timed steps a round, after one that is not")
    parser.add_argument("--only", action="append", help="contestants by name; all if absent")
    args = parser.parse_args()
    chosen = {name: c for name, c in contestants(args).items() if not args.only or name in args.only}
    step_secs = {name: [] for name in chosen}
    peak = dict.fromkeys(chosen, 0)
    for _ in range(args.rounds):
        for name, command in chosen.items():
            result = run(command)
            # Ours leaves the first step out itself.
            step_secs[name] += result["step_secs"][-args.steps :]
            peak[name] = max(peak[name], result["peak_rss_bytes"])
    print("| | step, s | range | peak RSS, GB | steps |")
    print("|---|---|---|---|---|")
    for name, seconds in step_secs.items():
        spread = f"{min(seconds):.2f}-{max(seconds):.2f}"
        print(f"| {name} | {statistics.median(seconds):.2f} | {spread} | {peak[name] / 1e9:.2f} | {len(seconds)} |")


if __name__ == "__main__":
    main()
