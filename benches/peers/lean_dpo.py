"""Seconds and memory of a DPO step written by hand in PyTorch and PEFT: what Python can do when it is lean.

    python lean_dpo.py BASE_DIR --dtype f32

The reference's log-probabilities are computed once, before the clock starts, and only completion
tokens reach the head. The loss is the composite one (DPO, 0.1 likelihood, 0.001 squared log-ratio).
"""

import torch
from lean import Loop
from torch.nn.functional import logsigmoid
from workload import parser

BETA, NLL_WEIGHT, SQUARED_WEIGHT = 0.1, 0.1, 0.001


def composite_loss(policy: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    ratios = policy - reference
    chosen, rejected = ratios.sum(1).chunk(2)
    dpo = -logsigmoid(BETA * (chosen - rejected)).mean()
    nll = -policy.chunk(2)[0].mean()
    return dpo + NLL_WEIGHT * nll + SQUARED_WEIGHT * ratios.square().mean()


def main() -> None:
    loop = Loop(parser(__doc__).parse_args())
    with torch.no_grad(), loop.model.disable_adapter(), loop.autocast():
        reference = loop.token_logps()
    loop.time("lean_dpo", lambda policy: composite_loss(policy, reference))


if __name__ == "__main__":
    main()
