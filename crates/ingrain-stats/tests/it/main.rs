//! Statistics against SciPy, statsmodels, `krippendorff` and `choix`, and against truths that
//! simulated judges were given.

mod coverage;
mod reference;
mod shifts;
mod simulate;
