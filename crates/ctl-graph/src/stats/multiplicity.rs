//! Corrections of p-values for their number.

/// How p-values are adjusted for their number.
///
/// # Examples
///
/// ```
/// use ctl_graph::stats::Multiplicity;
/// assert_eq!(Multiplicity::None.adjust(&[0.5, 0.25]), [0.5, 0.25]);
/// assert_eq!(Multiplicity::Holm.adjust(&[0.5, 0.25]), [0.5, 0.5]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Multiplicity {
    /// No adjustment.
    None,
    /// Holm's step-down: at most a share `alpha` of analyses has any false rejection.
    Holm,
    /// Benjamini and Hochberg's step-up: at most a share `alpha` of the rejections is false, in
    /// the mean, for independent or positively dependent tests.
    BenjaminiHochberg,
}

impl Multiplicity {
    /// The adjusted p-values, in the order given; each is compared with `alpha` as it stands.
    ///
    /// # References
    /// Holm (1979); Benjamini and Hochberg (1995).
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_graph::stats::Multiplicity;
    /// let p = [0.25, 0.125, 0.0];
    /// assert_eq!(Multiplicity::Holm.adjust(&p), [0.25, 0.25, 0.0]);
    /// assert_eq!(Multiplicity::BenjaminiHochberg.adjust(&p), [0.25, 0.1875, 0.0]);
    /// ```
    pub fn adjust(self, p_values: &[f64]) -> Vec<f64> {
        let count = p_values.len() as f64;
        let mut order: Vec<usize> = (0..p_values.len()).collect();
        order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
        let mut adjusted = p_values.to_vec();
        match self {
            Self::None => {}
            Self::Holm => {
                let mut least = 0.0f64;
                for (rank, &index) in order.iter().enumerate() {
                    least = least.max((count - rank as f64) * p_values[index]).min(1.0);
                    adjusted[index] = least;
                }
            }
            Self::BenjaminiHochberg => {
                let mut most = 1.0f64;
                for (rank, &index) in order.iter().enumerate().rev() {
                    most = most.min(count / (rank as f64 + 1.0) * p_values[index]);
                    adjusted[index] = most;
                }
            }
        }
        adjusted
    }
}
