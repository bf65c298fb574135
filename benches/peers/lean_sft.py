"""Seconds and memory of a supervised step written by hand in PyTorch and PEFT.

    python lean_sft.py BASE_DIR --dtype f32

Only completion tokens reach the head; the loss is their mean cross-entropy.
"""

from lean import Loop
from workload import parser


def main() -> None:
    Loop(parser(__doc__).parse_args()).time("lean_sft", lambda policy: -policy.mean())


if __name__ == "__main__":
    main()
