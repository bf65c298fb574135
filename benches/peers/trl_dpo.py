"""Seconds and memory of TRL's DPO step with a LoRA of rank 64 on all linear layers.

    python trl_dpo.py BASE_DIR --dtype f32

The reference is the same model with the adapter off, computed anew each step unless
`--precompute-reference` says otherwise.
"""

import tempfile

from datasets import Dataset
from peft import LoraConfig
from transformers import AutoTokenizer
from trl import DPOConfig, DPOTrainer
from trl_step import load, settings, time_steps
from workload import lora, make_pairs, parser


class TokenizedDPOTrainer(DPOTrainer):
    """Takes token ids, where TRL would tokenise text."""

    def _prepare_dataset(self, dataset: Dataset, *_) -> Dataset:
        return dataset


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--precompute-reference", action="store_true")
    args = options.parse_args()
    model = load(args)
    pairs = make_pairs(args, model.config.vocab_size)
    with tempfile.TemporaryDirectory() as out:
        config = DPOConfig(
            **settings(args, out),
            beta=0.1,
            per_device_train_batch_size=args.pairs,
            precompute_ref_log_probs=args.precompute_reference,
        )
        trainer = TokenizedDPOTrainer(
            model=model,
            args=config,
            train_dataset=Dataset.from_list(pairs * (args.steps + 1)),
            processing_class=AutoTokenizer.from_pretrained(args.base),
            peft_config=LoraConfig(**lora(args)),
        )
        time_steps("trl_dpo", args, trainer)


if __name__ == "__main__":
    main()
