//! TRL: a configuration, a training script that reads it, and a launch script.

use serde_json::json;

use super::TrainingTerms;
use super::export::{common_gaps, left_out_comment};

/// What `DPOConfig` cannot say.
pub(super) fn inexpressible(terms: &TrainingTerms) -> Vec<String> {
    common_gaps(terms)
}

/// The training script: reads `config.json`, trains, saves a PEFT adapter.
const TRAIN: &str = r#""""Distillation by DPO with TRL: accelerate launch train.py"""

import json

import torch
from datasets import load_dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, DPOTrainer

with open("config.json") as file:
    config = json.load(file)

world = int(torch.distributed.get_world_size()) if torch.distributed.is_initialized() else 1
batch = config.pop("batch_size")
per_device = config["dpo"]["per_device_train_batch_size"]
assert batch % (per_device * world) == 0, f"{batch} pairs do not divide by {per_device} x {world}"

tokenizer = AutoTokenizer.from_pretrained(config["base_model"])
model = AutoModelForCausalLM.from_pretrained(config["base_model"], dtype=torch.bfloat16)
trainer = DPOTrainer(
    model=model,
    args=DPOConfig(gradient_accumulation_steps=batch // (per_device * world), **config["dpo"]),
    train_dataset=load_dataset("json", data_files="pairs.jsonl", split="train").select_columns(
        ["prompt", "chosen", "rejected"]
    ),
    processing_class=tokenizer,
    peft_config=LoraConfig(task_type="CAUSAL_LM", **config["lora"]),
)
trainer.train()
trainer.save_model("adapter")
"#;

/// # Source
/// TRL documentation, "DPO Trainer": `loss_type` and `loss_weights` make a sum of losses, of which
/// `sft` is the chosen replies' mean negative log-likelihood.
pub(super) fn files(terms: &TrainingTerms, left_out: &[String]) -> Vec<(&'static str, String)> {
    let t = terms;
    let with_nll = t.nll_weight != 0.0;
    let (losses, weights) = match with_nll {
        true => (vec!["sigmoid", "sft"], vec![1.0, t.nll_weight]),
        false => (vec!["sigmoid"], vec![1.0]),
    };
    let config = json!({
        "base_model": t.base_model,
        "batch_size": t.batch_size,
        "left_out": left_out,
        "lora": {
            "r": t.rank, "lora_alpha": t.alpha, "lora_dropout": 0.0,
            "target_modules": t.target_modules,
        },
        "dpo": {
            "output_dir": "checkpoints", "per_device_train_batch_size": 1,
            "num_train_epochs": t.epochs, "learning_rate": t.learning_rate,
            "lr_scheduler_type": "cosine_with_min_lr",
            "lr_scheduler_kwargs": {"min_lr_rate": t.min_lr_ratio},
            "warmup_steps": t.warmup_ratio, "max_grad_norm": t.max_grad_norm,
            "adam_beta1": t.betas.0, "adam_beta2": t.betas.1, "adam_epsilon": t.epsilon,
            "weight_decay": t.weight_decay, "bf16": true, "gradient_checkpointing": true,
            "max_length": t.max_length, "seed": t.seed, "beta": t.beta,
            "loss_type": losses, "loss_weights": weights,
        },
    });
    let launch = format!(
        "#!/bin/sh\n# Distillation by DPO with TRL (pip install 'trl>=1.0' 'transformers>=5' peft \
         datasets). Several GPUs: sh launch.sh --num_processes 8\n{}set -e\n\
         cd \"$(dirname \"$0\")\"\naccelerate launch \"$@\" train.py\n",
        left_out_comment(left_out),
    );
    vec![
        ("config.json", format!("{config:#}\n")),
        ("train.py", TRAIN.to_owned()),
        ("launch.sh", launch),
    ]
}
