//! Real targets: least squares, and the tests of its residuals.

use super::comparison::{LinearModel, Target, Tested};
use super::environments::{Design, Fit, Regression, Within};
use super::error::DiscoveryError;
use super::residuals::{Group, ResidualTest, against_the_rest, moments_differ, ranks_differ};
use crate::stats::distribution::f_upper;
use crate::stats::{Table, linear};

/// A real target beside the moments of each environment and of all others.
pub(super) struct RealTarget {
    design: Design,
    whole: Within,
    rows: Vec<Vec<usize>>,
    within: Vec<Within>,
    /// The other environments of each; only for Chow's test.
    rest: Vec<Within>,
    regression: Regression,
    test: ResidualTest,
}

impl RealTarget {
    pub(super) fn new(
        table: &Table,
        target: usize,
        candidates: &[usize],
        regression: Regression,
        test: ResidualTest,
        rows: Vec<Vec<usize>>,
    ) -> Result<Self, DiscoveryError> {
        let design = Design::new(table, target, candidates, regression)?;
        let within = rows.iter().map(|rows| Within::of(&design, rows));
        let within = within.collect::<Result<_, _>>()?;
        let mut rest = Vec::new();
        if test == ResidualTest::Chow {
            for skipped in 0..rows.len() {
                let others = rows.iter().enumerate().filter(|(i, _)| *i != skipped);
                let others: Vec<usize> = others.flat_map(|(_, rows)| rows.clone()).collect();
                rest.push(Within::of(&design, &others)?);
            }
        }
        Ok(Self {
            whole: Within::whole(&design.moments),
            design,
            rows,
            within,
            rest,
            regression,
            test,
        })
    }

    fn p_value(&self, fit: &Fit) -> Result<f64, DiscoveryError> {
        let count = self.rows.len() as f64;
        // Of the residuals' two comparisons, location and spread, with two environments both are
        // the same one whichever environment is compared.
        let (least, comparisons) = match self.test {
            ResidualTest::Moments => (least(self.by_moments(fit)), 2.0 * (count - 1.0)),
            ResidualTest::Ranks => (least(self.by_ranks(fit)?), 2.0 * (count - 1.0)),
            ResidualTest::Chow => (self.by_prediction(fit), count),
        };
        Ok((comparisons * least).min(1.0))
    }

    fn by_moments(&self, fit: &Fit) -> Vec<(f64, f64)> {
        let overall = self.design.moments.means();
        let group = |within: &Within| {
            let (mean, squares) = within.residual(fit, overall);
            let rows = within.rows;
            Group {
                rows,
                mean,
                squares,
            }
        };
        let groups: Vec<Group> = self.within.iter().map(group).collect();
        let pairs = against_the_rest(&groups);
        pairs.map(|(own, rest)| moments_differ(own, rest)).collect()
    }

    fn by_ranks(&self, fit: &Fit) -> Result<Vec<(f64, f64)>, DiscoveryError> {
        let residuals = self.design.residuals(fit)?;
        let pick = |rows: &[usize]| -> Vec<f64> { rows.iter().map(|&r| residuals[r]).collect() };
        let compare = |(index, rows): (usize, &Vec<usize>)| {
            let others = self.rows.iter().enumerate().filter(|(i, _)| *i != index);
            let rest: Vec<f64> = others.flat_map(|(_, rows)| pick(rows)).collect();
            ranks_differ(&pick(rows), &rest)
        };
        Ok(self.rows.iter().enumerate().map(compare).collect())
    }

    /// Least p-value of Chow's test of each environment against a regression on the others.
    ///
    /// With prediction errors `D` and `Σ = I + X (X'₋X₋)⁻¹ X'`, `D' Σ⁻¹ D` is what the environment
    /// adds to the sum of squares, so that moments are enough.
    fn by_prediction(&self, fit: &Fit) -> f64 {
        let overall = self.design.moments.means();
        let (_, all) = self.whole.residual(fit, overall);
        let parameters = fit.columns.len() as f64 + 1.0;
        let p_value = |(own, rest): (&Within, &Within)| {
            let freedom = rest.rows - parameters;
            let others = Fit::of(&rest.covariance, fit.columns.clone(), self.design.ridge)?;
            let (_, unexplained) = rest.residual(&others, overall);
            let added = (all - unexplained).max(0.0) / own.rows;
            (freedom >= 1.0).then(|| f_upper(added * freedom / unexplained, own.rows, freedom))
        };
        // An environment that the others cannot predict rejects nothing.
        let p_values = self.within.iter().zip(&self.rest).filter_map(p_value);
        p_values.fold(1.0, f64::min)
    }

    fn model(&self, fit: &Fit) -> LinearModel {
        let means = self.design.moments.means();
        let terms = fit.columns.iter().zip(&fit.coefficients);
        let shift: f64 = terms.map(|(&c, b)| means[c] * b).sum();
        LinearModel::new(means[0] - shift, fit.coefficients.clone())
    }

    /// `√(σ² (X'X)⁻¹_jj)` of every coefficient.
    fn errors(&self, fit: &Fit, squares: f64) -> Vec<f64> {
        let rows = self.whole.rows;
        let size = fit.columns.len();
        let freedom = (rows - size as f64 - 1.0).max(1.0);
        let gram = self.whole.covariance.principal(&fit.columns);
        let factor = linear::cholesky(&gram);
        let error = |position: usize| {
            let Some(factor) = &factor else {
                return f64::INFINITY;
            };
            let mut column = vec![0.0; size];
            column[position] = 1.0;
            linear::solve_factored(factor, &mut column);
            (squares / freedom * column[position] / rows).sqrt()
        };
        (0..size).map(error).collect()
    }
}

fn least(pairs: Vec<(f64, f64)>) -> f64 {
    let smaller = pairs.into_iter().map(|(a, b)| a.min(b));
    smaller.fold(1.0, f64::min)
}

impl Target for RealTarget {
    fn test(&self, candidates: &[usize]) -> Result<Option<Tested>, DiscoveryError> {
        let Some(fit) = self.design.fit(candidates) else {
            return Ok(None);
        };
        let (_, squares) = self.whole.residual(&fit, self.design.moments.means());
        let rows = self.whole.rows;
        let rest = (rows - fit.columns.len() as f64 - 1.0).max(0.0);
        let (models, errors) = match self.regression {
            Regression::Linear => (vec![self.model(&fit)], self.errors(&fit, squares)),
            Regression::Additive { .. } => (Vec::new(), Vec::new()),
        };
        Ok(Some(Tested {
            p_value: self.p_value(&fit)?,
            // Generalised cross-validation (Craven and Wahba 1979).
            risk: rows * squares / (rest * rest),
            models,
            errors,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two predictors, 24 rows in three environments of 6, 8 and 10.
    fn target(test: ResidualTest) -> RealTarget {
        let value = |row: u32, factor: u32| f64::from((row * factor) % 23) - 11.0;
        let a: Vec<f64> = (0..24).map(|row| value(row, 5)).collect();
        let b: Vec<f64> = (0..24).map(|row| value(row, 9)).collect();
        let slope = |row: usize| if row < 14 { 0.5 } else { 1.1 };
        let y = (0..24).map(|row| slope(row as usize) * value(row, 5) + value(row, 14) / 4.0);
        let y = y.collect();
        let table = Table::from_columns([("a", a), ("b", b), ("y", y)]).unwrap();
        let rows = vec![(0..6).collect(), (6..14).collect(), (14..24).collect()];
        RealTarget::new(&table, 2, &[0, 1], Regression::Linear, test, rows).unwrap()
    }

    #[test]
    fn tests_by_moments_need_no_residuals() {
        let target = target(ResidualTest::Moments);
        let fit = target.design.fit(&[0, 1]).unwrap();
        let residuals = target.design.residuals(&fit).unwrap();
        let (first, rest) = residuals.split_at(6);
        let direct = moments_differ(Group::of(first), Group::of(rest));
        let found = target.by_moments(&fit)[0];
        assert!((found.0 - direct.0).abs() < 1e-9 && (found.1 - direct.1).abs() < 1e-9);
    }

    // Reference values: numpy and scipy.stats.f; tests/golden/make_icp.py.
    #[test]
    fn chow_agrees_with_its_definition() {
        let target = target(ResidualTest::Chow);
        for (subset, expected) in [
            (&[][..], 0.067_989_572_067_502_52),
            (&[0], 0.018_552_377_716_020_876),
            (&[1], 0.063_098_577_164_885_87),
            (&[0, 1], 0.003_088_455_048_021_12),
        ] {
            let found = target.test(subset).unwrap().unwrap().p_value;
            assert!((found - expected).abs() < 1e-10, "{subset:?}: {found}");
        }
    }

    /// An environment of four rows cannot be predicted by three parameters from two others of
    /// which nothing is left over.
    #[test]
    fn chow_rejects_nothing_it_cannot_test() {
        let x = vec![0.0, 1.0, 5.0, 2.0, 3.0, 9.0];
        let y = vec![1.0, 0.0, 2.0, 8.0, 9.0, -7.0];
        let square = x.iter().map(|x| x * x).collect();
        let table = Table::from_columns([("x", x), ("x²", square), ("y", y)]).unwrap();
        let rows = vec![(0..3).collect(), (3..6).collect()];
        let (linear, chow) = (Regression::Linear, ResidualTest::Chow);
        let target = RealTarget::new(&table, 2, &[0, 1], linear, chow, rows).unwrap();
        let tested = target.test(&[0, 1]).unwrap().unwrap();
        assert_eq!(tested.p_value.to_bits(), 1f64.to_bits());
    }
}
