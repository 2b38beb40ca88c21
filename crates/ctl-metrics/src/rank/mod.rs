//! Tests on paired scores and on ranks of methods over data sets.

mod friedman;
mod mid_ranks;
mod multiplicity;
mod paired;
mod permutation;
mod studentized_range;
mod wilcoxon;

pub use friedman::{FriedmanTest, friedman};
pub use mid_ranks::mid_ranks;
pub(crate) use mid_ranks::{ascending_order, ranks_of, tie_sizes, tied};
pub use multiplicity::{benjamini_hochberg, bonferroni, holm};
pub use paired::{McNemarTest, PairedT, mcnemar, paired_differences, paired_t};
pub use permutation::{SignFlipTest, sign_flip_exact, sign_flip_sampled};
pub use studentized_range::{studentized_range_cdf, studentized_range_quantile};
pub use wilcoxon::{WilcoxonTest, wilcoxon_signed_rank};
