//! OpenRLHF: a launch script is all it needs.

use super::TrainingTerms;
use super::export::{common_gaps, left_out_comment, shell_word};

/// What OpenRLHF's command line has no option for.
pub(super) fn inexpressible(terms: &TrainingTerms) -> Vec<String> {
    let mut gaps = common_gaps(terms);
    // Its optimiser and its cosine have these built in.
    if terms.epsilon != 1e-8 {
        gaps.push("epsilon".to_owned());
    }
    if terms.min_lr_ratio != 0.1 {
        gaps.push("min_lr_ratio".to_owned());
    }
    gaps
}

/// # Source
/// OpenRLHF, `openrlhf/cli/train_dpo.py`.
pub(super) fn files(terms: &TrainingTerms, left_out: &[String]) -> Vec<(&'static str, String)> {
    let t = terms;
    let modules = t.target_modules.iter().map(|m| shell_word(m)).collect::<Vec<_>>().join(" ");
    let options = [
        format!("--pretrain {}", shell_word(&t.base_model)),
        "--dataset pairs.jsonl --chosen_key chosen --rejected_key rejected".to_owned(),
        "--apply_chat_template --save_path adapter --bf16 --zero_stage 2".to_owned(),
        format!("--lora_rank {} --lora_alpha {} --lora_dropout 0", t.rank, t.alpha),
        format!("--target_modules {modules}"),
        format!("--learning_rate {:e} --lr_scheduler cosine_with_min_lr", t.learning_rate),
        format!("--lr_warmup_ratio {}", t.warmup_ratio),
        format!("--adam_betas {} {} --l2 {}", t.betas.0, t.betas.1, t.weight_decay),
        format!("--max_norm {} --seed {}", t.max_grad_norm, t.seed),
        format!("--train_batch_size {} --micro_train_batch_size 1", t.batch_size),
        format!("--max_epochs {} --max_len {}", t.epochs, t.max_length),
        format!("--beta {} --nll_loss_coef {}", t.beta, t.nll_weight),
        "--gradient_checkpointing".to_owned(),
    ];
    let script = format!(
        "#!/bin/sh\n# Distillation by DPO with OpenRLHF (pip install openrlhf). Further options go \
         through: sh launch.sh --micro_train_batch_size 4\n{}set -e\ncd \"$(dirname \"$0\")\"\n\
         deepspeed --module openrlhf.cli.train_dpo \\\n  {} \"$@\"\n",
        left_out_comment(left_out),
        options.join(" \\\n  "),
    );
    vec![("launch.sh", script)]
}
