"""What the lean loops share: a model with PEFT's LoRA, its optimiser, and the clock."""

import argparse
import time
from collections.abc import Callable

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM
from workload import lora, make_pairs, report, sequences


class Loop:
    """Token ids `[sequences, tokens]`: all chosen sequences, then all rejected ones."""

    def __init__(self, args: argparse.Namespace) -> None:
        torch.set_num_threads(args.threads)
        self.args, self.bf16 = args, args.dtype == "bf16"
        dtype = torch.bfloat16 if self.bf16 else torch.float32
        model = AutoModelForCausalLM.from_pretrained(args.base, dtype=dtype)
        if args.gradient_checkpointing:
            model.gradient_checkpointing_enable()
            model.enable_input_require_grads()
        self.ids = torch.tensor(sequences(make_pairs(args, model.config.vocab_size)))
        self.model = get_peft_model(model, LoraConfig(**lora(args))).train()
        trainable = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(trainable, lr=5e-5, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.0)

    def autocast(self) -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=self.bf16)

    def token_logps(self) -> torch.Tensor:
        """Log-probabilities `[sequences, completion tokens]`; the head sees these tokens alone."""
        causal, prompt = self.model.get_base_model(), self.args.prompt_tokens
        hidden = causal.model(input_ids=self.ids, use_cache=False).last_hidden_state
        logits = causal.lm_head(hidden[:, prompt - 1 : -1]).float()
        targets = self.ids[:, prompt:, None]
        return logits.gather(-1, targets)[..., 0] - logits.logsumexp(-1)

    def time(self, name: str, loss_of: Callable[[torch.Tensor], torch.Tensor]) -> None:
        """Takes the steps and prints them."""
        step_secs = []
        for _ in range(self.args.steps + 1):
            started = time.perf_counter()
            with self.autocast():
                loss = loss_of(self.token_logps())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad()
            step_secs.append(time.perf_counter() - started)
        report(name, self.args, step_secs)
