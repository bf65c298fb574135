"""Seconds and memory of a DPO step written by hand in PyTorch and PEFT: what Python can do when it is lean.

    python lean_dpo.py BASE_DIR --dtype f32

The reference's log-probabilities are computed once, before the clock starts, and only completion
tokens reach the head. The loss is the composite one (DPO, 0.1 likelihood, 0.001 squared log-ratio).
"""

import time

import torch
from peft import LoraConfig, get_peft_model
from torch.nn.functional import logsigmoid
from transformers import AutoModelForCausalLM
from workload import LORA, make_pairs, parse_args, report

BETA, NLL_WEIGHT, SQUARED_WEIGHT = 0.1, 0.1, 0.001


def token_logps(model: torch.nn.Module, ids: torch.Tensor, prompt_tokens: int) -> torch.Tensor:
    """Log-probabilities `[sequences, completion tokens]`; the head sees these tokens alone."""
    causal = model.get_base_model()
    hidden = causal.model(input_ids=ids, use_cache=False).last_hidden_state
    logits = causal.lm_head(hidden[:, prompt_tokens - 1 : -1]).float()
    targets = ids[:, prompt_tokens:, None]
    return logits.gather(-1, targets)[..., 0] - logits.logsumexp(-1)


def composite_loss(policy: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    ratios = policy - reference
    chosen, rejected = ratios.sum(1).chunk(2)
    dpo = -logsigmoid(BETA * (chosen - rejected)).mean()
    nll = -policy.chunk(2)[0].mean()
    return dpo + NLL_WEIGHT * nll + SQUARED_WEIGHT * ratios.square().mean()


def main() -> None:
    args = parse_args(__doc__)
    torch.set_num_threads(args.threads)
    bf16 = args.dtype == "bf16"
    model = AutoModelForCausalLM.from_pretrained(args.base, dtype=torch.bfloat16 if bf16 else torch.float32)
    if args.gradient_checkpointing:
        model.gradient_checkpointing_enable()
        model.enable_input_require_grads()
    pairs = make_pairs(args, model.config.vocab_size)
    model = get_peft_model(model, LoraConfig(**LORA)).train()
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], lr=5e-5, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.0
    )
    ids = torch.tensor([p["prompt_ids"] + p[f"{side}_ids"] for side in ("chosen", "rejected") for p in pairs])
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=bf16)
    with torch.no_grad(), model.disable_adapter(), autocast:
        reference = token_logps(model, ids, args.prompt_tokens)

    step_secs = []
    for _ in range(args.steps + 1):
        started = time.perf_counter()
        with autocast:
            loss = composite_loss(token_logps(model, ids, args.prompt_tokens), reference)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        step_secs.append(time.perf_counter() - started)
    report("lean_dpo", args, step_secs)


if __name__ == "__main__":
    main()
