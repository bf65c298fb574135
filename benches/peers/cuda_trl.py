"""TRL's DPO step on a GPU, at a large shape with random weights in bf16.

    python cuda_trl.py BASE_DIR --shape 1b

BASE_DIR lends the tokenizer, of which nothing is used. The reference is computed anew each step.
"""

import tempfile

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig
from trl import DPOConfig
from trl_dpo import TokenizedDPOTrainer
from trl_step import settings, time_steps
from workload import lora, make_pairs, parser

# Llama 3.2 1B and Llama 3.1 8B; `benches/cuda.rs` has the same.
SHAPES = {
    "1b": dict(hidden_size=2048, intermediate_size=8192, num_hidden_layers=16, head_dim=64, tie_word_embeddings=True),
    "8b": dict(hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, head_dim=128, tie_word_embeddings=False),
}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--shape", choices=SHAPES, required=True)
    options.add_argument("--liger", action="store_true", help="with Liger's kernels")
    args = options.parse_args()
    args.dtype = "bf16"
    config = LlamaConfig(
        vocab_size=128_256, num_attention_heads=32, num_key_value_heads=8, rope_theta=5e5, **SHAPES[args.shape]
    )
    with torch.device("cuda"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    pairs = make_pairs(args, config.vocab_size)
    with tempfile.TemporaryDirectory() as out:
        trainer = TokenizedDPOTrainer(
            model=model,
            args=DPOConfig(
                **settings(args, out, cpu=False),
                beta=0.1,
                per_device_train_batch_size=args.pairs,
                use_liger_kernel=args.liger,
            ),
            train_dataset=Dataset.from_list(pairs * (args.steps + 1)),
            processing_class=AutoTokenizer.from_pretrained(args.base),
            peft_config=LoraConfig(**lora(args)),
        )
        time_steps("cuda_trl", args, trainer)


if __name__ == "__main__":
    main()
