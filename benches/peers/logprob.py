"""Log-probabilities of targets under a large vocabulary in PyTorch, and Liger's chunked loss where it runs.

    python logprob.py --tokens 1024 --vocab 49152 --hidden 576

The sizes of `cargo bench -p ingrain --bench logprob`; one JSON line a case, in its form. Extra memory is the
growth of the resident set, whose peak is reset before each run. Liger computes no log-probabilities but a
loss over them: its DPO loss without a reference, over four sequences, forward and backward. Its other
kernels are Triton's and need a GPU.
"""

import argparse
import json
import math
import os
import pathlib
import time
from collections.abc import Callable

import torch

SELF = pathlib.Path("/proc/self")


def status_bytes(field: str) -> int:
    lines = (SELF / "status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(field))


def available_bytes() -> int:
    lines = pathlib.Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))


class Inputs:
    def __init__(self, tokens: int, vocab: int, hidden: int) -> None:
        self.size = {"tokens": tokens, "vocab": vocab, "hidden": hidden}
        self.hidden = torch.randn(tokens, hidden)
        self.head = 0.05 * torch.randn(vocab, hidden)
        self.targets = torch.randint(vocab, (tokens,))


def plain(hidden: torch.Tensor, inputs: Inputs) -> torch.Tensor:
    logits = hidden @ inputs.head.T
    return logits.log_softmax(-1).gather(-1, inputs.targets[:, None])[:, 0]


def logsumexp(hidden: torch.Tensor, inputs: Inputs) -> torch.Tensor:
    logits = hidden @ inputs.head.T
    return logits.gather(-1, inputs.targets[:, None])[:, 0] - logits.logsumexp(-1)


def forward(logps: Callable, inputs: Inputs) -> None:
    with torch.no_grad():
        logps(inputs.hidden, inputs)


def backward(logps: Callable, inputs: Inputs) -> None:
    hidden = inputs.hidden.clone().requires_grad_()
    logps(hidden, inputs).sum().backward()


def liger(compiled: bool) -> Callable:
    from liger_kernel.chunked_loss import LigerFusedLinearDPOLoss

    loss = LigerFusedLinearDPOLoss(use_ref_model=False, compiled=compiled)

    def run(inputs: Inputs) -> None:
        hidden = inputs.hidden.reshape(4, -1, inputs.hidden.shape[-1]).clone().requires_grad_()
        outcome = loss(inputs.head, hidden, inputs.targets.reshape(4, -1))
        (outcome[0] if isinstance(outcome, tuple) else outcome).backward()

    return run


# Copies of the logits that are in memory at once, by case.
CASES: dict[str, tuple[float, Callable[[], Callable[[Inputs], None]]]] = {
    "forward, PyTorch (log_softmax, gather)": (2, lambda: lambda x: forward(plain, x)),
    "forward, PyTorch (logsumexp)": (2, lambda: lambda x: forward(logsumexp, x)),
    "forward + backward, PyTorch (log_softmax, gather)": (4, lambda: lambda x: backward(plain, x)),
    "forward + backward, PyTorch (logsumexp)": (3, lambda: lambda x: backward(logsumexp, x)),
    "forward + backward, Liger's chunked DPO loss": (2, lambda: liger(compiled=False)),
    "forward + backward, Liger's chunked DPO loss, compiled": (2, lambda: liger(compiled=True)),
}


def measure(run: Callable[[Inputs], None], inputs: Inputs, repetitions: int) -> dict:
    secs, extra = [], 0
    # As in ours, what takes minutes needs no warming up.
    warm_up = 0 if math.prod(inputs.size.values()) > 1 << 39 else 1
    for repetition in range(repetitions + 1 if warm_up else 1):
        before = status_bytes("VmRSS")
        # Sets the peak back to what is resident now.
        (SELF / "clear_refs").write_text("5")
        started = time.perf_counter()
        run(inputs)
        took = time.perf_counter() - started
        if repetition >= warm_up:
            secs.append(took)
            extra = max(extra, status_bytes("VmHWM") - before)
    return {"secs": secs, "extra_bytes": extra, "note": None}


def case(name: str, copies: float, make: Callable, inputs: Inputs, repetitions: int) -> dict:
    need = int(4 * copies * inputs.size["tokens"] * inputs.size["vocab"])
    skipped = {"secs": [], "extra_bytes": 0}
    if need > 0.9 * available_bytes():
        there = available_bytes() >> 30
        return skipped | {"note": f"skipped: needs about {need >> 30} GiB, {there} GiB are there"}
    try:
        return measure(make(), inputs, repetitions)
    except Exception as error:  # whatever keeps a peer from running is a result
        return skipped | {"note": f"does not run here: {type(error).__name__}: {str(error).splitlines()[0]}"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=1024)
    parser.add_argument("--vocab", type=int, default=49_152)
    parser.add_argument("--hidden", type=int, default=576)
    parser.add_argument("--repetitions", type=int, default=5, help="after one that is not timed")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    inputs = Inputs(args.tokens, args.vocab, args.hidden)
    for name, (copies, make) in CASES.items():
        row = {"case": name} | inputs.size | case(name, copies, make, inputs, args.repetitions)
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
