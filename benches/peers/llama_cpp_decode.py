"""Decoding rates of llama.cpp on the work of benches/decode.rs, through the wheel xllamacpp.

    python llama_cpp_decode.py MODEL.gguf

Its server decodes in one continuous batch; sixteen prompts are sixteen requests at once. `gguf_as.py`
writes the built-in model in other types.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import xllamacpp as llama
from decode_workload import BATCH, measure, parse_args, report


def main() -> None:
    args = parse_args(__doc__)
    params = llama.CommonParams()
    params.model.path = args.base
    params.cpuparams.n_threads = args.threads
    params.cpuparams_batch.n_threads = args.threads
    params.n_parallel = BATCH
    params.n_ctx = 2048 * BATCH
    params.cache_prompt = False
    params.cont_batching = True
    params.warmup = True
    params.verbosity = -1
    server = llama.Server(params)

    def one(prompt: list[int], new: int) -> None:
        request = {
            "prompt": prompt, "n_predict": new, "temperature": 0.0, "ignore_eos": True, "cache_prompt": False,
        }
        reply = server.handle_completions(request)
        assert reply["usage"]["completion_tokens"] == new, reply

    with ThreadPoolExecutor(BATCH) as pool:

        def generate(prompts: list[list[int]], new: int) -> None:
            list(pool.map(lambda prompt: one(prompt, new), prompts))

        figures = measure(generate, args.repetitions)
    args.dtype = Path(args.base).stem.rsplit(".", 1)[-1]
    report("llama.cpp", args, figures)


if __name__ == "__main__":
    main()
