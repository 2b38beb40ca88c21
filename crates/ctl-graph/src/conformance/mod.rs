//! Runs test vectors, computed by other programs, through this crate.
//!
//! A file is a JSON object with `schema` and its cases. A case passes when every expected field
//! that it holds agrees; a field that this crate does not compute is a failure, not a pass.

mod adjustment;
mod classic;
mod discovery;
mod discrete;
mod equivalence;
mod finite;
mod identification;
mod independence;
mod input;
mod json;
mod models;
mod separation;
mod transport;

use std::path::Path;

use serde_json::Value;

#[cfg(test)]
pub(crate) use finite::FiniteModel;
pub(crate) use input::Problem;
pub use json::parse;

/// What became of one case.
///
/// # Examples
///
/// ```
/// use std::path::Path;
/// use ctl_graph::conformance::run_file;
///
/// let file = serde_json::json!({"schema": "separation/1", "cases": [{
///     "id": "chain",
///     "graph": {"nodes": ["a", "b"], "directed": [["a", "b"]]},
///     "queries": [{"x": ["a"], "y": ["b"], "given": [], "separated": true}]
/// }]});
/// let case = &run_file(&file, Path::new(".")).unwrap().cases[0];
/// assert_eq!(case.id, "chain");
/// assert_eq!(case.differences, ["queries[0].separated: expected true, found false"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseOutcome {
    /// The case's `id`, or its place in the file.
    pub id: String,
    /// What differs or could not be computed, one line each; none in a case that passed.
    pub differences: Vec<String>,
}

/// What became of one file.
///
/// # Examples
///
/// ```
/// use ctl_graph::conformance::{CaseOutcome, Outcome};
///
/// let case = |differences| CaseOutcome { id: "bow".to_owned(), differences };
/// let cases = vec![case(Vec::new()), case(vec!["identifiable: …".to_owned()])];
/// let outcome = Outcome { cases };
/// assert_eq!((outcome.passed(), outcome.failed()), (1, 1));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Its cases, in the order of the file.
    pub cases: Vec<CaseOutcome>,
}

impl Outcome {
    /// Number of cases without a difference.
    pub fn passed(&self) -> usize {
        self.cases
            .iter()
            .filter(|case| case.differences.is_empty())
            .count()
    }

    /// Number of cases with a difference.
    pub fn failed(&self) -> usize {
        self.cases.len() - self.passed()
    }
}

/// Computes the cases of a file; `folder` is where the file and the data beside it are.
pub(crate) type Topic = fn(file: &Value, folder: &Path) -> Result<Outcome, Problem>;

/// The schemas that can be run.
const TOPICS: &[(&str, Topic)] = &[
    ("adjustment/1", adjustment::run),
    ("cf_discrete/1", discrete::counterfactuals),
    ("cf_linear_gaussian/1", models::linear_gaussian),
    ("cf_nonlinear/1", models::nonlinear),
    ("ci_tests/1", independence::run),
    ("classic/1", classic::run),
    ("cpdag/1", equivalence::run_cpdag),
    ("discovery/1", discovery::run),
    ("frontdoor_iv/1", adjustment::run_front_door),
    ("identification/1", identification::run),
    ("network/1", discrete::network),
    ("pag/1", equivalence::run_pag),
    ("separation/1", separation::run),
    ("transportability/1", transport::run),
];

/// Computes every case of a vector file and compares what the case expects.
///
/// # Arguments
/// - `content`: the file's JSON.
/// - `folder`: where the file is, for the data that it names.
///
/// # Returns
/// The outcomes, or nothing for a schema that this crate does not know. An ill-formed file is an
/// outcome with one failure that says what is wrong with it.
///
/// # Examples
///
/// ```
/// use std::path::Path;
/// use ctl_graph::conformance::run_file;
///
/// let file = serde_json::json!({
///     "schema": "separation/1",
///     "cases": [{
///         "graph": {"nodes": ["a", "b", "c"], "directed": [["a", "b"], ["b", "c"]]},
///         "queries": [{"x": ["a"], "y": ["c"], "given": ["b"], "separated": true}]
///     }]
/// });
/// let outcome = run_file(&file, Path::new(".")).unwrap();
/// assert_eq!((outcome.passed(), outcome.failed()), (1, 0));
/// assert!(run_file(&serde_json::json!({"schema": "kerning/1"}), Path::new(".")).is_none());
/// ```
pub fn run_file(content: &Value, folder: &Path) -> Option<Outcome> {
    let schema = content["schema"].as_str()?;
    let (_, topic) = TOPICS.iter().find(|(name, _)| *name == schema)?;
    Some(
        topic(content, folder).unwrap_or_else(|Problem(line)| Outcome {
            cases: vec![CaseOutcome {
                id: schema.to_owned(),
                differences: vec![line],
            }],
        }),
    )
}

/// Runs a check over the elements of a list in the file; what a check objects to fails its case.
pub(crate) fn each_case(
    file: &Value,
    list: &str,
    check: impl Fn(&Value) -> Result<Vec<String>, Problem>,
) -> Result<Outcome, Problem> {
    let cases = file[list]
        .as_array()
        .ok_or_else(|| Problem(format!("{list}: expected a list")))?;
    let outcome = |(place, case): (usize, &Value)| CaseOutcome {
        id: case["id"]
            .as_str()
            .map_or_else(|| format!("{list}[{place}]"), str::to_owned),
        differences: check(case).unwrap_or_else(|Problem(line)| vec![line]),
    };
    Ok(Outcome {
        cases: cases.iter().enumerate().map(outcome).collect(),
    })
}

/// A line for a value that is not the expected one.
pub(crate) fn differs<T: PartialEq + std::fmt::Debug>(
    field: &str,
    found: &T,
    expected: &T,
) -> Option<String> {
    (found != expected).then(|| format!("{field}: expected {expected:?}, found {found:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ill_formed_files_fail_with_a_reason() {
        for file in [
            json!({"schema": "separation/1"}),
            json!({"schema": "separation/1", "cases": [{}]}),
            json!({"schema": "separation/1", "cases": [{"graph": {"nodes": ["a", "a"]}}]}),
        ] {
            let outcome = run_file(&file, Path::new(".")).unwrap();
            assert_eq!((outcome.passed(), outcome.failed()), (0, 1), "{file}");
        }
    }
}
