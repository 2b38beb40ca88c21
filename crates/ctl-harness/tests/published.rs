//! Published figures that sweeps measure: the ledger fits the suites, and a sweep fills its table.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ctl_harness::reproduce::{DataSet, Ledger, ReproduceOptions, extent, reproduce};
use ctl_harness::suite::shipped;
use ctl_harness::vocabulary::Selector;
use ctl_harness::{Registry, Silent};

/// Every figure and claim of a sweep names a method of its suite, and a selector that it has runs
/// for.
#[test]
fn figures_are_of_methods_and_selectors_of_their_suites() {
    let registry = Registry::standard();
    let suites = shipped(&registry).unwrap();
    let ledger = Ledger::shipped().unwrap();
    let mut sweeps = 0;
    for experiment in &ledger.experiments {
        let Some(sweep) = &experiment.sweep else {
            let plain = |f: &ctl_harness::reproduce::Figure| f.selector.is_none();
            assert!(experiment.figures.iter().all(plain), "{}", experiment.id);
            continue;
        };
        sweeps += 1;
        let suite = suites.iter().find(|s| s.name == sweep.suite).unwrap();
        let has = |method: &str| suite.methods.iter().any(|m| m == method);
        let left_out = suite.selectors.contains(&Selector::LeaveOneDomainOut);
        for figure in &experiment.figures {
            assert!(has(&figure.row), "{}: {}", experiment.id, figure.row);
            let selector = figure.selector.unwrap();
            assert!(left_out || selector != Selector::LeaveOneDomainOut);
            assert!(figure.target.is_some() && figure.tolerance.is_none_or(|t| t > 0.0));
            assert!(figure.tolerance.is_none() || figure.value.is_some());
        }
        for claim in &experiment.claims {
            assert!(has(&claim.higher) && has(&claim.lower));
            assert!(suite.seeds >= 3, "a claim is tested over trials");
        }
    }
    assert!(sweeps >= 4);
}

#[test]
fn ids_are_unique_and_an_unknown_one_names_all() {
    let ledger = Ledger::shipped().unwrap();
    let ids: BTreeSet<&str> = ledger.experiments.iter().map(|e| e.id.as_str()).collect();
    assert_eq!(ids.len(), ledger.experiments.len());
    let text = ledger.experiment("no-such").unwrap_err().to_string();
    assert!(ids.iter().all(|id| text.contains(id)), "{text}");
}

fn options(data: &Path, out: &Path) -> ReproduceOptions {
    ReproduceOptions {
        data: data.to_path_buf(),
        restarts: 1,
        jobs: 1,
        out: out.to_path_buf(),
        records: None,
        provenance: BTreeMap::new(),
    }
}

/// Without its data an experiment says which file is missing, and leaves no cohort.
#[test]
fn missing_data_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    for experiment in &Ledger::shipped().unwrap().experiments {
        let file = match experiment.data {
            DataSet::Mnist => "train-images-idx3-ubyte",
            DataSet::Pneumoniamnist => "pneumoniamnist.npz",
            DataSet::Simulated => continue,
        };
        let options = options(folder.path(), &out);
        for error in [
            extent(&experiment.id, &options).unwrap_err(),
            reproduce(&experiment.id, &options, &Silent).unwrap_err(),
        ] {
            let text = format!("{error}: {:?}", std::error::Error::source(&error));
            assert!(text.contains(file), "{}: {text}", experiment.id);
        }
        assert!(!out.join(&experiment.id).join("cohort").exists());
    }
}

/// Data lie in the folder that is given or in one folder of it; of two with the same names one must
/// be named.
#[test]
fn data_of_two_sets_with_the_same_names_are_not_mixed_up() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["fashion-mnist", "mnist"] {
        let below = folder.path().join(name);
        std::fs::create_dir(&below).unwrap();
        std::fs::write(below.join("train-images-idx3-ubyte.gz"), "").unwrap();
    }
    let id = "domainbed-rotated-mnist";
    let fault = |data: &Path| {
        let out = folder.path().join("out");
        extent(id, &options(data, &out)).unwrap_err().to_string()
    };
    let both = fault(folder.path());
    assert!(both.contains("fashion-mnist and "), "{both}");
    let one = fault(&folder.path().join("mnist"));
    assert!(one.contains("train-labels-idx1-ubyte"), "{one}");
}

/// What a ledger cannot mean is named with experiment and row.
#[test]
fn faults_of_a_ledger_are_named() {
    let sweep = "[experiment.sweep]\nsuite = \"pneumonia\"\ncohort = \"medmnist\"\nbudget = \"b\"";
    let claim = "[[experiment.claim]]\nhigher = \"r\"\nlower = \"s\"\nquantity = \"q\"\n\
                 selector = \"target-oracle\"\ntarget = \"t\"";
    let of = |figure: &str, more: &str| {
        let text = format!(
            "schema = 2\n[[experiment]]\nid = \"e\"\ntitle = \"t\"\nsource = \"s\"\nprotocol = \"p\"\n\
             selector = \"s\"\ndata = \"mnist\"\n\
             figure = [{{ row = \"r\", quantity = \"q\"{figure} }}]\n{more}\n"
        );
        Ledger::parse(&text).map_err(|error| error.to_string())
    };
    let placed = ", selector = \"target-oracle\", target = \"t\"";
    assert!(of("", "").is_ok() && of(placed, sweep).is_ok());
    for (figure, more, said) in [
        ("", sweep, "needs selector and target"),
        (placed, "", "are of sweeps"),
        (", value = 1.0, tolerance = 1.0", "", "or neither"),
        (
            &format!("{placed}, tolerance = 1.0"),
            sweep,
            "needs a value",
        ),
        (
            &format!("{placed}, tolerance_few = 1.0"),
            sweep,
            "of recipes",
        ),
        ("", claim, "a claim is of a sweep"),
    ] {
        let error = of(figure, more).err().unwrap_or_default();
        assert!(
            error.contains("e.r") && error.contains(said),
            "{said}: {error}"
        );
    }
}
