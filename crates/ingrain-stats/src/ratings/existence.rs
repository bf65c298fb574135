//! Whether a maximum of the likelihood exists, so that no iteration runs off to infinity.
//!
//! Bradley-Terry ratings are finite exactly when every item can be reached from every other along
//! wins, where a tie counts as half a win for both (Ford 1957). Davidson's tie parameter is finite
//! when there are ties, and when some cycle of comparisons holds more wins than ties: otherwise
//! ratings and tie parameter can grow together without making any outcome less likely.

use super::comparisons::Counts;
use super::model::Likelihood;
use crate::StatsError;

impl Likelihood<'_> {
    /// Checks that the likelihood of these counts has a maximum.
    pub(super) fn check(&self, counts: &[Counts]) -> Result<(), StatsError> {
        if self.prior == 0.0 {
            self.check_connected(counts)?;
        }
        if self.davidson {
            self.check_ties(counts)?;
        }
        Ok(())
    }

    fn check_connected(&self, counts: &[Counts]) -> Result<(), StatsError> {
        let mut arcs = [vec![Vec::new(); self.items], vec![Vec::new(); self.items]];
        for (&[i, j], &[wins, losses, ties]) in self.pairs.iter().zip(counts) {
            for (winner, loser, count) in [(i, j, wins + ties), (j, i, losses + ties)] {
                if count > 0.0 {
                    arcs[0][winner].push(loser);
                    arcs[1][loser].push(winner);
                }
            }
        }
        for arcs in &arcs {
            let reached = reached_from_first(arcs);
            let inside = reached.iter().filter(|&&r| r).count();
            if inside < self.items {
                let smaller = inside * 2 <= self.items;
                let group = (0..self.items).filter(|&i| reached[i] == smaller).take(10).collect();
                return Err(StatsError::Separable { group });
            }
        }
        Ok(())
    }

    fn check_ties(&self, counts: &[Counts]) -> Result<(), StatsError> {
        let ties: f64 = counts.iter().map(|c| c[2]).sum();
        let wins: f64 = counts.iter().map(|c| c[0] + c[1]).sum();
        let reason = if ties == 0.0 {
            "there is no tie"
        } else if wins == 0.0 {
            "every comparison is a tie"
        } else if self.prior == 0.0 && !self.wins_outnumber_ties(counts) {
            "no cycle of comparisons holds more wins than ties"
        } else {
            return Ok(());
        };
        Err(StatsError::TiesSeparable { reason })
    }

    /// Bellman-Ford: looks for a negative cycle where a win weighs -1 and a tie +1.
    fn wins_outnumber_ties(&self, counts: &[Counts]) -> bool {
        if counts.iter().any(|c| c[0] > 0.0 && c[1] > 0.0) {
            return true;
        }
        let mut distance = vec![0_i64; self.items];
        let mut changed = true;
        for _ in 0..=self.items {
            changed = false;
            for (&[i, j], &[wins, losses, ties]) in self.pairs.iter().zip(counts) {
                for (from, to, won) in [(i, j, wins), (j, i, losses)] {
                    let weight = if won > 0.0 { -1 } else { 1 };
                    if (won > 0.0 || ties > 0.0) && distance[from] + weight < distance[to] {
                        distance[to] = distance[from] + weight;
                        changed = true;
                    }
                }
            }
            if !changed {
                break;
            }
        }
        changed
    }
}

fn reached_from_first(arcs: &[Vec<usize>]) -> Vec<bool> {
    let mut reached = vec![false; arcs.len()];
    let mut open = Vec::from_iter((!arcs.is_empty()).then_some(0));
    while let Some(i) = open.pop() {
        if !std::mem::replace(&mut reached[i], true) {
            open.extend(arcs[i].iter().copied().filter(|&j| !reached[j]));
        }
    }
    reached
}
