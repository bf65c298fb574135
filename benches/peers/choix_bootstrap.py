"""The bootstrap of `benches/ratings.rs` with `choix` and with SciPy's optimiser.

25,000 comparisons of 144 items; `--replicates` resamples are timed and scaled to 1,000.
Prints one JSON line.
"""

import argparse
import json
import time

import choix
import numpy as np
from scipy import optimize, special

ITEMS, GAMES = 144, 25_000


def games(rng):
    truth = rng.normal(0, 100 * np.log(10) / 400, ITEMS)
    first = rng.integers(0, ITEMS, GAMES)
    second = (first + 1 + rng.integers(0, ITEMS - 1, GAMES)) % ITEMS
    won = rng.random(GAMES) < special.expit(truth[first] - truth[second])
    return np.where(won, first, second), np.where(won, second, first)


def by_choix(winners, losers):
    return choix.opt_pairwise(ITEMS, list(zip(winners, losers)), method="Newton-CG")


def by_choix_mm(winners, losers):
    return choix.mm_pairwise(ITEMS, list(zip(winners, losers)), alpha=1e-6)


def by_scipy(winners, losers):
    """Vectorised over pairs, with gradient: what one would write by hand."""
    pairs, counts = np.unique(winners * ITEMS + losers, return_counts=True)
    w, l = pairs // ITEMS, pairs % ITEMS

    def cost(theta):
        gap = theta[w] - theta[l]
        residual = counts * special.expit(-gap)
        gradient = np.bincount(l, residual, ITEMS) - np.bincount(w, residual, ITEMS)
        return -np.sum(counts * special.log_expit(gap)), gradient

    return optimize.minimize(cost, np.zeros(ITEMS), jac=True, method="L-BFGS-B").x


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--replicates", type=int, default=10)
    replicates = parser.parse_args().replicates
    rng = np.random.default_rng(1)
    winners, losers = games(rng)
    result = {"replicates_timed": replicates}
    for name, fit in {"scipy_lbfgs": by_scipy, "choix_mm": by_choix_mm, "choix_newton_cg": by_choix}.items():
        start = time.perf_counter()
        for _ in range(replicates):
            draw = rng.integers(0, GAMES, GAMES)
            fit(winners[draw], losers[draw])
        result[f"{name}_secs_per_1000"] = round((time.perf_counter() - start) / replicates * 1000, 1)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
