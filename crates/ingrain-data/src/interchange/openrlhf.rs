//! OpenRLHF: a launch script is all it needs.
//!
//! The options are those of release 0.10; older releases spell them without the dots.

use super::TrainingTerms;
use super::export::{common_gaps, left_out_comment, shell_word};

/// What the command line of its DPO has no option for.
pub(super) fn inexpressible(terms: &TrainingTerms) -> Vec<String> {
    let mut gaps = common_gaps(terms);
    if terms.dpo_weight != 1.0 {
        gaps.push("dpo_weight".to_owned());
    }
    gaps.extend(fraction_of_alpha(terms));
    gaps
}

/// Its alpha is a whole number.
pub(super) fn fraction_of_alpha(terms: &TrainingTerms) -> Option<String> {
    (terms.alpha.fract() != 0.0).then(|| "fraction_of_alpha".to_owned())
}

/// # Source
/// OpenRLHF 0.10, `openrlhf/cli/train_dpo.py`.
pub(super) fn distillation(
    terms: &TrainingTerms,
    left_out: &[String],
) -> Vec<(&'static str, String)> {
    let own = [
        "--data.dataset pairs.jsonl --data.chosen_key chosen --data.rejected_key rejected"
            .to_owned(),
        format!("--model.beta {} --model.label_smoothing {}", terms.beta, terms.label_smoothing),
        format!("--model.nll_loss_coef {}", terms.nll_weight),
    ];
    script("Distillation by DPO", "train_dpo", &own, terms, left_out)
}

/// # Source
/// OpenRLHF 0.10, `openrlhf/cli/train_sft.py`.
pub(super) fn introspection(
    terms: &TrainingTerms,
    left_out: &[String],
) -> Vec<(&'static str, String)> {
    let own =
        ["--data.dataset introspection.jsonl --data.input_key messages --data.multiturn"
            .to_owned()];
    script("Introspection", "train_sft", &own, terms, left_out)
}

fn script(
    what: &str,
    module: &str,
    own: &[String],
    t: &TrainingTerms,
    left_out: &[String],
) -> Vec<(&'static str, String)> {
    let modules = t.target_modules.iter().map(|m| shell_word(m)).collect::<Vec<_>>().join(" ");
    let common = [
        format!("--model.model_name_or_path {}", shell_word(&t.base_model)),
        format!("--data.apply_chat_template --data.max_len {}", t.max_length),
        "--ckpt.output_dir adapter --ckpt.path checkpoints".to_owned(),
        "--ds.param_dtype bf16 --ds.zero_stage 2 --ds.attn_implementation sdpa".to_owned(),
        format!(
            "--ds.lora.rank {} --ds.lora.alpha {} --ds.lora.dropout 0",
            t.rank,
            t.alpha.trunc()
        ),
        format!("--ds.lora.target_modules {modules}"),
        format!("--adam.lr {:e} --adam.betas {} {}", t.learning_rate, t.betas.0, t.betas.1),
        format!("--adam.eps {:e} --adam.weight_decay {}", t.epsilon, t.weight_decay),
        format!("--lr_scheduler cosine_with_min_lr --lr_warmup_ratio {}", t.warmup_ratio),
        format!("--min_lr_ratio {} --max_norm {}", t.min_lr_ratio, t.max_grad_norm),
        format!("--train.batch_size {} --train.micro_batch_size 1", t.batch_size),
        format!("--train.max_epochs {} --train.seed {}", t.epochs, t.seed),
        "--model.gradient_checkpointing_enable".to_owned(),
    ];
    let options = [own, &common].concat();
    let script = format!(
        "#!/bin/sh\n# {what} with OpenRLHF (pip install 'openrlhf>=0.10'). Further options go through: \
         sh launch.sh --train.micro_batch_size 4\n{}set -e\ncd \"$(dirname \"$0\")\"\n\
         deepspeed --module openrlhf.cli.{module} \\\n  {} \"$@\"\n",
        left_out_comment(left_out),
        options.join(" \\\n  "),
    );
    vec![("launch.sh", script)]
}
