//! Standard errors of ratings that hold when comparisons of one prompt depend on each other.

use super::comparisons::Comparisons;
use super::{BradleyTerry, POINTS_PER_NAT};
use crate::StatsError;

impl BradleyTerry {
    /// Cluster-robust standard error of each rating, in points (of its distance to the mean).
    ///
    /// The sandwich `H^-1 (sum_c u_c u_c') H^-1` times `c / (c - 1)` for `c` clusters, with `u_c`
    /// the score of cluster `c`.
    ///
    /// # Errors
    /// As [`BradleyTerry::fit`], and [`StatsError::TooFew`] below two clusters.
    ///
    /// # Source
    /// Liang and Zeger 1986.
    pub fn standard_errors(&self, comparisons: &Comparisons) -> Result<Vec<f64>, StatsError> {
        let clusters =
            (0..comparisons.clusters()).filter(|&c| !comparisons.cluster(c).is_empty()).count();
        if clusters < 2 {
            let what = "a cluster-robust standard error";
            return Err(StatsError::TooFew { what, unit: "clusters", needed: 2, found: clusters });
        }
        let (_, solution) = self.solve(comparisons)?;
        let likelihood = self.likelihood(comparisons);
        let Some(factor) = &solution.factor else {
            let reason = "the information matrix is singular";
            return Err(StatsError::Degenerate { what: "the ratings", reason });
        };
        let (roots, tie) = likelihood.roots(&solution.parameters);
        let items = comparisons.items();
        let mut squares = vec![0.0; items];
        for cluster in 0..comparisons.clusters() {
            let slots = comparisons.cluster(cluster);
            if slots.is_empty() {
                continue;
            }
            let mut score = vec![0.0; likelihood.len()];
            for &(pair, slot) in slots {
                let [i, j] = comparisons.pairs[pair as usize];
                let p = likelihood.chances(roots[i], roots[j], tie);
                let surplus = [1.0, 0.0, 0.5][usize::from(slot)] - p.first - p.tie / 2.0;
                score[i] += surplus;
                score[j] -= surplus;
                if likelihood.davidson {
                    score[items] += f64::from(u8::from(slot == 2)) - p.tie;
                }
            }
            // How far the cluster moves each rating.
            factor.solve(&mut score);
            let mean = score[..items].iter().sum::<f64>() / items as f64;
            for (square, moved) in squares.iter_mut().zip(&score) {
                *square += (moved - mean).powi(2);
            }
        }
        let correction = clusters as f64 / (clusters as f64 - 1.0);
        Ok(squares.iter().map(|s| (s * correction).sqrt() * POINTS_PER_NAT).collect())
    }
}
