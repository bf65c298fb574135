"""Seconds and memory of TRL's DPO step with a LoRA of rank 64 on all linear layers.

    python trl_dpo.py BASE_DIR --dtype f32

TRL as it comes, but for gradient checkpointing (on by default there, a flag here). The reference is
the same model with the adapter off, computed anew each step unless `--precompute-reference` says
otherwise.
"""

import tempfile
import time

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, TrainerCallback
from trl import DPOConfig, DPOTrainer
from workload import LORA, make_pairs, parse_args, report


class StepTimer(TrainerCallback):
    def __init__(self) -> None:
        self.step_secs, self.started = [], 0.0

    def on_step_begin(self, *_, **__) -> None:
        self.started = time.perf_counter()

    def on_step_end(self, *_, **__) -> None:
        self.step_secs.append(time.perf_counter() - self.started)


class TokenizedDPOTrainer(DPOTrainer):
    """Takes token ids, where TRL would tokenise text."""

    def _prepare_dataset(self, dataset: Dataset, *_) -> Dataset:
        return dataset


def main() -> None:
    args = parse_args(__doc__)
    torch.set_num_threads(args.threads)
    bf16 = args.dtype == "bf16"
    model = AutoModelForCausalLM.from_pretrained(args.base, dtype=torch.bfloat16 if bf16 else torch.float32)
    pairs = make_pairs(args, model.config.vocab_size)
    with tempfile.TemporaryDirectory() as out:
        config = DPOConfig(
            output_dir=out,
            use_cpu=True,
            bf16=bf16,
            beta=0.1,
            per_device_train_batch_size=args.pairs,
            max_steps=args.steps + 1,
            max_length=args.tokens,
            learning_rate=5e-5,
            adam_beta2=0.98,
            max_grad_norm=1.0,
            gradient_checkpointing=args.gradient_checkpointing,
            precompute_ref_log_probs=args.precompute_reference,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        timer = StepTimer()
        trainer = TokenizedDPOTrainer(
            model=model,
            args=config,
            train_dataset=Dataset.from_list(pairs * (args.steps + 1)),
            processing_class=AutoTokenizer.from_pretrained(args.base),
            peft_config=LoraConfig(**LORA),
            callbacks=[timer],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    report("trl_dpo", args, timer.step_secs)


if __name__ == "__main__":
    main()
