//! TRL: a configuration, a training script that reads it, and a launch script.

use serde_json::{Value, json};

use super::TrainingTerms;
use super::export::{common_gaps, left_out_comment};

/// What `DPOConfig` cannot say.
pub(super) fn inexpressible(terms: &TrainingTerms) -> Vec<String> {
    common_gaps(terms)
}

/// The training script: reads `config.json`, trains, saves a PEFT adapter.
const TRAIN: &str = r#""""WHAT with TRL: accelerate launch train.py"""

import json
import os

import torch
from datasets import load_dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import KINDConfig, KINDTrainer

with open("config.json") as file:
    config = json.load(file)

world = int(os.environ.get("WORLD_SIZE", "1"))
batch = config["batch_size"]
per_device = config["training"]["per_device_train_batch_size"]
assert batch % (per_device * world) == 0, f"{batch} examples do not divide by {per_device} x {world}"

trainer = KINDTrainer(
    model=AutoModelForCausalLM.from_pretrained(config["base_model"], dtype=torch.bfloat16),
    args=KINDConfig(gradient_accumulation_steps=batch // (per_device * world), **config["training"]),
    train_dataset=load_dataset("json", data_files=config["data"], split="train").select_columns(
        config["columns"]
    ),
    processing_class=AutoTokenizer.from_pretrained(config["base_model"]),
    peft_config=LoraConfig(task_type="CAUSAL_LM", **config["lora"]),
)
trainer.train()
trainer.save_model("adapter")
"#;

/// # Source
/// TRL documentation, "DPO Trainer": `loss_type` and `loss_weights` make a sum of losses, of which
/// `sft` is the chosen replies' mean negative log-likelihood over the tokens of a device's batch: with one
/// pair in it, that of a pair. Checked against `DPOConfig` of release 1.16.
pub(super) fn distillation(
    terms: &TrainingTerms,
    left_out: &[String],
) -> Vec<(&'static str, String)> {
    let (losses, weights) = match terms.nll_weight != 0.0 {
        true => (vec!["sigmoid", "sft"], vec![terms.dpo_weight, terms.nll_weight]),
        false => (vec!["sigmoid"], vec![terms.dpo_weight]),
    };
    let own = json!({
        "beta": terms.beta, "loss_type": losses, "loss_weights": weights,
        "label_smoothing": terms.label_smoothing,
    });
    let data = ("pairs.jsonl", &["prompt", "chosen", "rejected"][..]);
    files(("Distillation by DPO", "DPO"), data, own, terms, left_out)
}

/// # Source
/// TRL documentation, "SFT Trainer": a dataset with `input_ids` and `labels` is trained on as it is. Checked
/// against `SFTConfig` of release 1.16.
pub(super) fn introspection(
    terms: &TrainingTerms,
    left_out: &[String],
) -> Vec<(&'static str, String)> {
    let data = ("introspection.jsonl", &["input_ids", "labels"][..]);
    files(("Introspection", "SFT"), data, json!({}), terms, left_out)
}

fn files(
    (what, kind): (&str, &str),
    (data, columns): (&str, &[&str]),
    own: Value,
    t: &TrainingTerms,
    left_out: &[String],
) -> Vec<(&'static str, String)> {
    let mut training = json!({
        "output_dir": "checkpoints", "per_device_train_batch_size": 1,
        "num_train_epochs": t.epochs, "learning_rate": t.learning_rate,
        "lr_scheduler_type": "cosine_with_min_lr",
        "lr_scheduler_kwargs": {"min_lr_rate": t.min_lr_ratio},
        "warmup_steps": t.warmup_ratio, "max_grad_norm": t.max_grad_norm,
        "adam_beta1": t.betas.0, "adam_beta2": t.betas.1, "adam_epsilon": t.epsilon,
        "weight_decay": t.weight_decay, "bf16": true, "gradient_checkpointing": true,
        "max_length": t.max_length, "seed": t.seed,
    });
    if let (Some(training), Value::Object(own)) = (training.as_object_mut(), own) {
        training.extend(own);
    }
    let config = json!({
        "base_model": t.base_model, "data": data, "columns": columns,
        "batch_size": t.batch_size, "left_out": left_out,
        "lora": {
            "r": t.rank, "lora_alpha": t.alpha, "lora_dropout": 0.0,
            "target_modules": t.target_modules,
        },
        "training": training,
    });
    let launch = format!(
        "#!/bin/sh\n# {what} with TRL (pip install 'trl>=1.0' 'transformers>=5' peft datasets). Several \
         GPUs: sh launch.sh --num_processes 8\n{}set -e\ncd \"$(dirname \"$0\")\"\n\
         accelerate launch \"$@\" train.py\n",
        left_out_comment(left_out),
    );
    vec![
        ("config.json", format!("{config:#}\n")),
        ("train.py", TRAIN.replace("WHAT", what).replace("KIND", kind)),
        ("launch.sh", launch),
    ]
}
