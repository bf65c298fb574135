"""The day a GPU is at hand: parity with the CPU, then a LoRA DPO step at large shapes, beside TRL.

    python cuda.py BASE_DIR                          # parity, 1B and 8B shapes, ours and TRL's
    python cuda.py BASE_DIR --shapes 1b --write      # into docs/PERFORMANCE.md

Weights are random, in bf16; BASE_DIR lends TRL a tokenizer. Every contestant runs in a process of its own,
in turn. Memory is what the driver says that the device holds, above what it held before. Model-FLOP
utilisation counts the products of one forward and one backward pass (frozen weights, side paths, head,
causal attention), whoever recomputes what, against the device's peak in bf16.

Needs CUDA 12 or 13 with NVRTC and a driver, and this folder's requirements.txt.
"""

import argparse
import statistics
import subprocess
import threading

from document import write
from processes import bench, rows, script
from tables import SHAPE
from workload import add_shape

# Dense bf16, TFLOP/s, from the vendor's data sheets.
PEAKS = {"H200": 989, "H100 PCIe": 756, "H100": 989, "A100": 312, "L40S": 362, "L4": 121, "RTX 4090": 165}
FEATURES = "cuda,fusion"


def query(field: str) -> str:
    command = ["nvidia-smi", "--id=0", f"--query-gpu={field}", "--format=csv,noheader,nounits"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


class Memory:
    """The most that the device held while something ran, in bytes."""

    def __enter__(self) -> "Memory":
        self.before = self.most = self.used()
        self.done = threading.Event()
        self.watcher = threading.Thread(target=self.watch)
        self.watcher.start()
        return self

    def __exit__(self, *_) -> None:
        self.done.set()
        self.watcher.join()

    def watch(self) -> None:
        while not self.done.wait(0.2):
            self.most = max(self.most, self.used())

    def used(self) -> int:
        return int(query("memory.used")) << 20

    def extra(self) -> int:
        return self.most - self.before


def contestants(shape: str, args: argparse.Namespace) -> dict[str, list[str]]:
    size = [word for key in SHAPE for word in (f"--{key.replace('_', '-')}", str(getattr(args, key)))]
    ours = [bench("cuda", FEATURES), "step", str(args.steps), "--shape", shape, *size]
    theirs = script("cuda_trl.py", args.base, "--shape", shape, "--steps", str(args.steps), *size)
    return {
        "ingrain": ours,
        "TRL + PEFT": theirs,
        "TRL + PEFT, gradient checkpointing": [*theirs, "--gradient-checkpointing"],
        "TRL + PEFT + Liger": [*theirs, "--liger"],
    }


def row(shape: str, name: str, command: list[str], flops: float, args: argparse.Namespace) -> tuple[str, float]:
    secs, extra = [], 0
    for _ in range(args.rounds):
        with Memory() as memory:
            try:
                result = rows(command)[-1]
            except SystemExit as failure:
                reason = str(failure).strip().splitlines()[-1].replace("|", "/")
                return f"| {shape} | {name} | does not run: {reason} | | | |", flops
        secs += result["step_secs"][-args.steps :]
        extra = max(extra, memory.extra())
        flops = result.get("flops", flops)
    step, tokens = statistics.median(secs), 2 * args.pairs * args.tokens
    share = 100 * flops / step / (args.peak_tflops * 1e12)
    line = f"| {shape} | {name} | {step:.2f} | {tokens / step:,.0f} | {extra / 2**30:.1f} | {share:.0f} % |"
    return line, flops


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", help="Hugging Face directory with a tokenizer")
    parser.add_argument("--shapes", nargs="+", choices=["1b", "8b"], default=["1b", "8b"])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=5, help="timed steps a round, after one that is not")
    parser.add_argument("--peak-tflops", type=float, help="dense bf16 of the device; known for some")
    parser.add_argument("--write", action="store_true", help="into docs/PERFORMANCE.md")
    add_shape(parser)
    args = parser.parse_args()
    device = query("name")
    if args.peak_tflops is None:
        known = [peak for name, peak in PEAKS.items() if name in device]
        args.peak_tflops = known[0] if known else parser.error(f"give --peak-tflops for {device}")
    checks = rows([bench("cuda", FEATURES), "parity"])
    lines = [f"{device}, driver {query('driver_version')}, {args.peak_tflops:.0f} TFLOP/s in bf16.", ""]
    lines += [f"- parity with the CPU, {c['check']}: off by {c['off']:.1e}, allowed {c['allowed']:.0e}" for c in checks]
    lines += ["", "| shape | | step, s | tokens/s | memory, GiB | model-FLOP utilisation |", "|---|---|---|---|---|---|"]
    for shape in args.shapes:
        flops = float("nan")
        for name, command in contestants(shape, args).items():
            line, flops = row(shape, name, command, flops, args)
            lines.append(line)
            print(line, flush=True)
    text = "\n".join(lines)
    print(f"\n{text}")
    if args.write:
        write("cuda", text)


if __name__ == "__main__":
    main()
