//! The settings of a draw.

use ctl_invariance::{Method, SearchDimension};

use crate::Result;
use crate::spec::Training;
use crate::suite::Suite;

/// Settings of a draw: the suite's for draw 0; for later ones whatever the method's search space
/// varies and the suite does not fix, and what the suite searches of training, each from a stream
/// of its own.
pub(super) fn drawn(
    suite: &Suite,
    base: &Training,
    method: &dyn Method,
    (seed, draw): (u64, u64),
) -> Result<(serde_json::Value, Training)> {
    let id = method.info().id;
    let mut settings = suite.settings_of(id);
    let mut training = base.clone();
    if draw > 0 {
        for dimension in method.search_space() {
            let value = dimension.sample(seed, id, draw);
            if let Some(map) = settings.as_object_mut() {
                map.entry(dimension.key).or_insert(value);
            }
        }
        for (searched, distribution) in &suite.search {
            let dimension = SearchDimension {
                key: searched.as_str(),
                distribution: distribution.clone(),
            };
            searched.set(&mut training, &dimension.sample(seed, id, draw))?;
        }
    }
    Ok((method.resolve(&settings)?, training))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Registry;
    use crate::vocabulary::Task;

    const SUITE: &str = r#"
schema = 1
name = "search"
title = "Search"
methods = ["irm"]
draws = 20
SEARCH
[[simulated]]
tasks = ["classification"]
shifts = ["combined"]
patients_per_site = 24
"#;

    fn suite(search: &str) -> Result<Suite> {
        let text = SUITE.replace("SEARCH", search);
        Suite::parse(&text, "search.toml", &Registry::standard())
    }

    fn all(search: &str) -> Vec<(serde_json::Value, Training)> {
        let (suite, registry) = (suite(search).unwrap(), Registry::standard());
        let base = suite.training_of(Task::Classification);
        let method = registry.get("irm").unwrap();
        let draws = 0..suite.draws;
        draws
            .map(|draw| drawn(&suite, &base, method, (3, draw)).unwrap())
            .collect()
    }

    /// The distributions of `DomainBed`'s default hyperparameters.
    const DOMAINBED: &str = "[search]\n\
        learning_rate = { log-uniform = { low = -5.0, high = -3.5 } }\n\
        batch_size = { log2-uniform-integer = { low = 3.0, high = 5.5 } }\n\
        weight_decay = { log-uniform = { low = -6.0, high = -2.0 } }";

    #[test]
    fn training_is_searched_as_the_suite_says_and_the_first_draw_is_the_default() {
        let draws = all(DOMAINBED);
        assert_eq!(
            draws[0].1,
            suite(DOMAINBED).unwrap().training_of(Task::Classification)
        );
        for (_, training) in &draws[1..] {
            assert!((1e-5..10f64.powf(-3.5)).contains(&training.learning_rate));
            assert!((8..=45).contains(&training.batch_size));
            assert!((1e-6..1e-2).contains(&training.weight_decay));
        }
        let mut sizes: Vec<usize> = draws.iter().map(|(_, t)| t.batch_size).collect();
        sizes.sort_unstable();
        sizes.dedup();
        assert!(sizes.len() > 8, "{sizes:?}");
    }

    #[test]
    fn a_setting_that_is_searched_more_moves_no_other() {
        let (more, usual, none) = (all(DOMAINBED), all(""), all("search = {}"));
        let rate = "[search]\nlearning_rate = { log-uniform = { low = -5.0, high = -3.5 } }";
        for (draw, (one, three)) in all(rate).iter().zip(&more).enumerate() {
            assert_eq!(one.0, three.0, "the method's settings");
            let rates = [one.1.learning_rate, three.1.learning_rate];
            assert_eq!(rates[0].to_bits(), rates[1].to_bits());
            assert_eq!((&usual[draw].0, &none[draw].0), (&one.0, &one.0));
            if draw > 0 {
                // The same number between 0 and 1 on either scale.
                let exponent = usual[draw].1.learning_rate.log10();
                let expected = -5.0 + (exponent + 4.0);
                assert!((rates[0].log10() - expected).abs() < 1e-9);
                assert_ne!(one.0, usual[0].0);
            }
            assert_eq!(none[draw].1, usual[0].1);
        }
    }

    #[test]
    fn a_choice_takes_its_values_and_a_range_its_ends() {
        let draws = all("[search]\nbatch_size = { choice = [4, 16] }\n\
                         weight_decay = { uniform = { low = 0.0, high = 0.5 } }");
        let small = draws[1..].iter().filter(|(_, t)| t.batch_size == 4).count();
        assert!(
            draws[1..]
                .iter()
                .all(|(_, t)| [4, 16].contains(&t.batch_size))
        );
        assert!((1..19).contains(&small), "{small} of 19");
        assert!(
            draws
                .iter()
                .all(|(_, t)| (0.0..0.5).contains(&t.weight_decay))
        );
        let rates = draws.iter().map(|(_, t)| t.learning_rate.to_bits());
        assert!(rates.clone().all(|rate| Some(rate) == rates.clone().next()));
    }

    #[test]
    fn what_cannot_be_drawn_is_named() {
        for (search, says) in [
            ("momentum = { choice = [0.9] }", "momentum"),
            (
                "learning_rate = { log-uniform = { low = -3.0, high = -5.0 } }",
                "smallest first",
            ),
            (
                "learning_rate = { uniform = { low = 0.0, high = 1.0 } }",
                "search.learning_rate",
            ),
            ("batch_size = { choice = [] }", "at least one value"),
            ("batch_size = { choice = [8, 2.5] }", "a whole number"),
            (
                "batch_size = { log2-uniform-integer = { low = 3.0, high = 13.0 } }",
                "4096",
            ),
            (
                "weight_decay = { gamma = { low = 0.0, high = 1.0 } }",
                "gamma",
            ),
        ] {
            let text = suite(&format!("[search]\n{search}"))
                .unwrap_err()
                .to_string();
            assert!(
                text.starts_with("search.toml") || text.starts_with("suite"),
                "{text}"
            );
            assert!(text.contains(says), "{says} in {text}");
        }
    }

    #[test]
    fn selectors_are_the_two_of_every_run_and_one_that_may_be_added() {
        for (line, ok) in [
            ("selectors = [\"target-oracle\", \"training-domain\"]", true),
            (
                "selectors = [\"training-domain\", \"leave-one-domain-out\", \"target-oracle\"]",
                true,
            ),
            ("selectors = [\"training-domain\"]", false),
            (
                "selectors = [\"training-domain\", \"target-oracle\", \"target-oracle\"]",
                false,
            ),
            ("selectors = [\"training-domain\", \"last\"]", false),
            ("oracle_checkpoint = \"last\"", true),
            ("oracle_checkpoint = \"first\"", false),
        ] {
            assert_eq!(suite(line).is_ok(), ok, "{line}");
        }
    }
}
