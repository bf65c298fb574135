"""Every table of docs/PERFORMANCE.md that has a peer or a limit beside it, in one command.

    python compare.py BASE_DIR                       # all tables
    python compare.py BASE_DIR dpo sft --write       # two of them, into docs/PERFORMANCE.md
    python compare.py BASE_DIR decode --gguf base.f16.gguf --gguf base.q8_0.gguf

`dpo` and `sft`: a training step beside TRL and a lean PyTorch loop. `dpo-sizes` and `sft-sizes`: the same
over batch sizes, lengths and ranks. `logprob`: the selective log-probability beside plain Burn, PyTorch and
Liger; `grid`: over tokens, vocabulary and width. `decode`: rates of generation beside transformers and, for
each GGUF file, llama.cpp. `roofline`: the share of the bare matrix-product rate. `scaling`: exponents of
time and memory.

Each round runs every contestant once, in turn, in a process of its own; the first step of a process is
left out. Medians over all rounds; the peak is the largest resident set of any round. Nothing else
should run on the machine. `--write` puts the tables between their markers, with machine, versions and
commit.
"""

import argparse
import sys

import decoding
import processes
import tables
from document import write
from workload import add_shape

TABLES = {
    "dpo": lambda args: tables.step("dpo", args),
    "sft": lambda args: tables.step("sft", args),
    "dpo-sizes": lambda args: tables.sizes("dpo", args),
    "sft-sizes": lambda args: tables.sizes("sft", args),
    "logprob": tables.logprob,
    "grid": tables.grid,
    "decode": decoding.table,
    "roofline": lambda args: processes.bench_text("roofline", str(args.repetitions)),
    "scaling": lambda args: processes.bench_text("scaling", str(args.steps), "f32", "bf16"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", help="Hugging Face directory of the base model")
    parser.add_argument("tables", nargs="*", metavar="table", help=f"some of {', '.join(TABLES)}; all if absent")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3, help="timed steps a round, after one that is not")
    parser.add_argument("--repetitions", type=int, default=5, help="of what takes less than a step")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", action="append", help="contestants by name; all if absent")
    parser.add_argument("--gguf", action="append", default=[], help="the same model for llama.cpp, named NAME.TYPE.gguf")
    parser.add_argument("--write", action="store_true", help="into docs/PERFORMANCE.md")
    add_shape(parser)
    args = parser.parse_args()
    if unknown := set(args.tables) - set(TABLES):
        sys.exit(f"no table {', '.join(sorted(unknown))}; expected some of {', '.join(TABLES)}")
    for name in args.tables or TABLES:
        text = TABLES[name](args)
        print(f"\n{name}\n\n{text}", flush=True)
        if args.write:
            write(name, text)


if __name__ == "__main__":
    main()
