//! Tests of conditional independence.

use std::path::Path;

use serde_json::Value;

use super::input::{Problem, boolean, count, list, number, string, words};
use super::{CaseOutcome, Outcome};
use crate::stats::{
    Contingency, CountStatistic, FisherZ, IndependenceTest, Kci, KciOptions, StatsError, Table,
};

impl From<StatsError> for Problem {
    fn from(error: StatsError) -> Self {
        Self(error.to_string())
    }
}

/// Reads the table that a case names, relative to the folder of its file.
pub(super) fn table(folder: &Path, name: &str) -> Result<Table, Problem> {
    let path = folder.join(name);
    let file = std::fs::File::open(&path)
        .map_err(|error| Problem(format!("{}: {error}", path.display())))?;
    Ok(Table::read_csv(file)?)
}

pub(super) fn run(file: &Value, folder: &Path) -> Result<Outcome, Problem> {
    let mut cases = Vec::new();
    for suite in list(file, "suites")? {
        match string(suite, "test")? {
            "fisherz" => queries(suite, folder, &fisher(suite, folder)?, &mut cases)?,
            "chi2_g2" => queries(suite, folder, &counts(suite, folder)?, &mut cases)?,
            "kci" => kernels(suite, folder, &mut cases)?,
            other => return Err(Problem(format!("test {other}: not computed by this crate"))),
        }
    }
    Ok(Outcome { cases })
}

type Check = Box<dyn Fn(&Value) -> Result<Vec<String>, Problem>>;

fn queries(
    suite: &Value,
    folder: &Path,
    check: &Check,
    cases: &mut Vec<CaseOutcome>,
) -> Result<(), Problem> {
    let name = string(suite, "csv")?;
    let rows = table(folder, name)?.rows();
    if rows != count(suite, "n")? {
        return Err(Problem(format!("{name}: found {rows} rows")));
    }
    for (place, query) in list(suite, "queries")?.iter().enumerate() {
        cases.push(CaseOutcome {
            id: format!("{name}[{place}]"),
            differences: check(query).unwrap_or_else(|Problem(line)| vec![line]),
        });
    }
    Ok(())
}

/// The positions of a query's variables.
fn positions(names: &[String], query: &Value) -> Result<(usize, usize, Vec<usize>), Problem> {
    let position = |name: &str| {
        let found = names.iter().position(|known| known == name);
        found.ok_or_else(|| Problem(format!("{name}: no such column")))
    };
    let given = words(&query["given"])?;
    let given = given.into_iter().map(position).collect::<Result<_, _>>()?;
    Ok((
        position(string(query, "x")?)?,
        position(string(query, "y")?)?,
        given,
    ))
}

/// Lines for the fields that are further from what is expected than allowed.
fn apart(query: &Value, fields: &[(&str, f64, f64)]) -> Result<Vec<String>, Problem> {
    let mut differences = Vec::new();
    for &(field, found, tolerance) in fields {
        let expected = number(query, field)?;
        let near = (found - expected).abs() <= tolerance;
        if !near {
            differences.push(format!("{field}: expected {expected}, found {found}"));
        }
    }
    Ok(differences)
}

fn fisher(suite: &Value, folder: &Path) -> Result<Check, Problem> {
    let test = FisherZ::new(&table(folder, string(suite, "csv")?)?)?;
    let tolerance = suite["tol"].clone();
    Ok(Box::new(move |query| {
        let (x, y, given) = positions(test.names(), query)?;
        let found = test.partial_correlation(x, y, &given)?;
        let allowed = |key| number(&tolerance, key);
        apart(
            query,
            &[
                ("partial_corr", found.correlation, allowed("partial_corr")?),
                ("statistic", found.statistic, allowed("statistic")?),
                ("p_value", found.p_value, allowed("p_value_abs")?),
            ],
        )
    }))
}

fn counts(suite: &Value, folder: &Path) -> Result<Check, Problem> {
    let table = table(folder, string(suite, "csv")?)?.all_categories();
    let test = Contingency::new(&table, CountStatistic::Pearson)?;
    let tolerance = suite["tol"].clone();
    Ok(Box::new(move |query| {
        let (x, y, given) = positions(test.names(), query)?;
        let found = test.counts(x, y, &given)?;
        let (statistic, p_value) = (
            number(&tolerance, "statistic")?,
            number(&tolerance, "p_value_abs")?,
        );
        let chi = found.p_value(CountStatistic::Pearson);
        let g = found.p_value(CountStatistic::LikelihoodRatio);
        apart(
            query,
            &[
                ("dof", found.degrees_of_freedom as f64, 0.0),
                ("chi2", found.chi_squared, statistic),
                ("p_chi2", chi, p_value),
                ("g2", found.g_squared, statistic),
                ("p_g2", g, p_value),
            ],
        )
    }))
}

/// Decisions must agree where the case calls them robust.
fn kernels(suite: &Value, folder: &Path, cases: &mut Vec<CaseOutcome>) -> Result<(), Problem> {
    for case in list(suite, "cases")? {
        let name = string(case, "csv")?;
        for (given, expected, robust) in [
            (&[][..], "p_unconditional", "robust_uncond"),
            (&[2][..], "p_given_z", "robust_cond"),
        ] {
            cases.push(CaseOutcome {
                id: format!("{name}.{expected}"),
                differences: kernel(case, folder, given, (expected, robust))
                    .unwrap_or_else(|Problem(line)| vec![line]),
            });
        }
    }
    Ok(())
}

fn kernel(
    case: &Value,
    folder: &Path,
    given: &[usize],
    (expected, robust): (&str, &str),
) -> Result<Vec<String>, Problem> {
    const LEVEL: f64 = 0.05;
    let table = table(folder, string(case, "csv")?)?.select(&["x", "y", "z"])?;
    let found = Kci::new(&table, KciOptions::default())?.p_value(0, 1, given)?;
    let wanted = number(case, expected)?;
    let agrees = (found > LEVEL) == (wanted > LEVEL);
    if agrees || !boolean(case, robust)? {
        return Ok(Vec::new());
    }
    Ok(vec![format!(
        "{expected}: expected {wanted}, found {found}"
    )])
}
