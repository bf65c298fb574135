"""Decoding rates of transformers' `generate` on the work of benches/decode.rs.

    python transformers_decode.py BASE_DIR --dtype f32
"""

import torch
from decode_workload import measure, parse_args, report
from transformers import AutoModelForCausalLM


def main() -> None:
    args = parse_args(__doc__)
    torch.set_num_threads(args.threads)
    dtype = torch.bfloat16 if args.dtype == "bf16" else torch.float32
    model = AutoModelForCausalLM.from_pretrained(args.base, dtype=dtype).eval()
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = 0

    @torch.inference_mode()
    def generate(prompts: list[list[int]], new: int) -> None:
        ids = torch.tensor(prompts)
        out = model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, min_new_tokens=new, max_new_tokens=new
        )
        assert out.shape[1] == ids.shape[1] + new

    report("transformers", args, measure(generate, args.repetitions))


if __name__ == "__main__":
    main()
