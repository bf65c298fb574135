"""Seconds and memory of TRL's supervised step with a LoRA of rank 64 on all linear layers.

    python trl_sft.py BASE_DIR --dtype f32

The loss covers completion tokens only. Sequences have one length, so there is nothing to pack or to pad.
"""

import tempfile

from datasets import Dataset
from peft import LoraConfig
from transformers import AutoTokenizer
from trl import SFTConfig, SFTTrainer
from trl_step import load, settings, time_steps
from workload import lora, make_pairs, parser, sequences


def main() -> None:
    args = parser(__doc__).parse_args()
    model = load(args)
    mask = [0] * args.prompt_tokens + [1] * (args.tokens - args.prompt_tokens)
    ids = sequences(make_pairs(args, model.config.vocab_size))
    rows = [{"input_ids": row, "completion_mask": mask} for row in ids]
    with tempfile.TemporaryDirectory() as out:
        config = SFTConfig(
            **settings(args, out), per_device_train_batch_size=len(rows), completion_only_loss=True
        )
        trainer = SFTTrainer(
            model=model,
            args=config,
            train_dataset=Dataset.from_list(rows * (args.steps + 1)),
            processing_class=AutoTokenizer.from_pretrained(args.base),
            peft_config=LoraConfig(**lora(args)),
        )
        time_steps("trl_sft", args, trainer)


if __name__ == "__main__":
    main()
