"""What the two TRL scripts share: the model, the trainer's settings, the clock."""

import argparse
import time

import torch
from transformers import AutoModelForCausalLM, PrinterCallback, Trainer, TrainerCallback
from workload import report


class StepTimer(TrainerCallback):
    def __init__(self) -> None:
        self.step_secs, self.started = [], 0.0

    def on_step_begin(self, *_, **__) -> None:
        self.started = self.now()

    def on_step_end(self, *_, **__) -> None:
        self.step_secs.append(self.now() - self.started)

    def now(self) -> float:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter()


def load(args: argparse.Namespace) -> torch.nn.Module:
    torch.set_num_threads(args.threads)
    dtype = torch.bfloat16 if args.dtype == "bf16" else torch.float32
    return AutoModelForCausalLM.from_pretrained(args.base, dtype=dtype)


def settings(args: argparse.Namespace, out: str, cpu: bool = True) -> dict:
    """TRL as it comes, but for gradient checkpointing (on by default there, a flag here)."""
    return dict(
        output_dir=out,
        use_cpu=cpu,
        bf16=args.dtype == "bf16",
        max_steps=args.steps + 1,
        max_length=args.tokens,
        learning_rate=5e-5,
        adam_beta2=0.98,
        max_grad_norm=1.0,
        gradient_checkpointing=args.gradient_checkpointing,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


def time_steps(name: str, args: argparse.Namespace, trainer: Trainer) -> None:
    timer = StepTimer()
    trainer.add_callback(timer)
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    report(name, args, timer.step_secs)
