//! A new method of this workspace: a file that works, and the lines that name it.

mod name;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

pub(crate) use name::Name;

use crate::workspace;

const METHODS: &str = "crates/ctl-invariance/src/methods";
const MODULES: &str = "crates/ctl-invariance/src/methods/mod.rs";
const REGISTRY: &str = "crates/ctl-harness/src/registry.rs";
/// Crates whose files are changed.
const CHANGED: [&str; 2] = ["ctl-invariance", "ctl-harness"];
/// What a row of the registry begins with.
const ROW: &str = "of::<m::";
/// What stands before the number of methods in the registry's own test.
const COUNT: &str = "registry.iter().count(), ";

const NEXT: &str = "\
it minimises a soft maximum of the risks: put your settings, formula, description and tests in its place
then `cargo xtask generate` and `cargo xtask ci`; the table of every method on every task has it already";

/// Writes the method, or says why not; `false` where a method of that name exists.
///
/// # Errors
/// When a file cannot be read or written, or does not look as expected; nothing is written then.
pub(crate) fn run(name: &Name) -> anyhow::Result<bool> {
    let root = workspace::root();
    let methods = sources(&root.join(METHODS))?;
    if let Some(path) = taken(name, &methods) {
        eprintln!(
            "error: method {} exists already: {}",
            name.id(),
            path.display()
        );
        return Ok(false);
    }
    let file = root.join(METHODS).join(format!("{}.rs", name.module()));
    let modules = with_module(&read(&root.join(MODULES))?, name)?;
    let registry = with_row(&read(&root.join(REGISTRY))?, name)?;
    for (path, text) in [
        (file, method(name)),
        (root.join(MODULES), modules),
        (root.join(REGISTRY), registry),
    ] {
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        eprintln!("wrote {}", path.display());
    }
    // Lines are as long as the name makes them.
    let packages = CHANGED.iter().flat_map(|&package| ["--package", package]);
    let status = workspace::cargo()
        .arg("fmt")
        .args(packages)
        .current_dir(root)
        .status()
        .context("cannot run cargo fmt")?;
    ensure!(status.success(), "cargo fmt failed");
    eprintln!("{NEXT}");
    Ok(true)
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The files of the methods with their texts, by name.
fn sources(folder: &Path) -> anyhow::Result<Vec<(PathBuf, String)>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry
            .with_context(|| format!("cannot read {}", folder.display()))?
            .path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
    paths.sort();
    let texts = paths
        .into_iter()
        .map(|path| Ok((path.clone(), read(&path)?)));
    texts.collect()
}

/// The file that has the module, or declares a method of the id.
fn taken<'a>(name: &Name, methods: &'a [(PathBuf, String)]) -> Option<&'a Path> {
    let (id, module) = (name.id(), name.module());
    let declarations = [format!("id: \"{id}\","), format!("ID: &str = \"{id}\";")];
    let has = |(path, text): &&(PathBuf, String)| {
        path.file_stem().is_some_and(|stem| stem == module.as_str())
            || declarations
                .iter()
                .any(|declaration| text.contains(declaration))
    };
    methods.iter().find(has).map(|(path, _)| path.as_path())
}

/// The file of the method.
fn method(name: &Name) -> String {
    include_str!("method.template")
        .replace("{id}", name.id())
        .replace("{title}", &name.title())
        .replace("{type}", &name.type_name())
}

/// The list of modules with the method's; unchanged where it is there.
fn with_module(text: &str, name: &Name) -> anyhow::Result<String> {
    let module = name.module();
    let lines: Vec<&str> = text.lines().collect();
    let rows = lines.iter().enumerate().filter_map(|(at, line)| {
        let module = line.strip_prefix("pub mod ")?.strip_suffix(';')?;
        Some((at, module.to_owned()))
    });
    let rows: Vec<Row> = rows.collect();
    if is_there(&rows, &module) {
        return Ok(text.to_owned());
    }
    let at = place(&rows, &module, |last| last + 1);
    let at = at.with_context(|| format!("{MODULES}: no line `pub mod …;`"))?;
    Ok(inserted(&lines, at, &format!("pub mod {module};")))
}

/// The registry with the method's row, and one method more in its test; unchanged where the row is
/// there.
fn with_row(text: &str, name: &Name) -> anyhow::Result<String> {
    let (module, type_name) = (name.module(), name.type_name());
    let lines: Vec<&str> = text.lines().collect();
    let rows = (0..lines.len()).filter_map(|at| Some((at, module_of_row(&lines[at..])?)));
    let rows: Vec<Row> = rows.collect();
    if is_there(&rows, &module) {
        return Ok(text.to_owned());
    }
    let end = |last: usize| {
        let after = lines[last..].iter().position(|line| line.trim() == "];");
        last + after.unwrap_or(1)
    };
    let at = place(&rows, &module, end);
    let at = at.with_context(|| format!("{REGISTRY}: no row `{ROW}…`"))?;
    let row = format!("            {ROW}{module}::{type_name}Config>(m::{module}::INFO),");
    one_more(&inserted(&lines, at, &row))
}

/// The module whose description a row of the registry gives; the formatter breaks long rows before
/// it.
fn module_of_row(lines: &[&str]) -> Option<String> {
    let row = lines.first()?.trim_start().strip_prefix(ROW)?;
    let (_, rest) = row.split_once(">(")?;
    let description = if rest.is_empty() {
        lines.get(1)?.trim()
    } else {
        rest
    };
    let (module, _) = description.strip_prefix("m::")?.split_once("::")?;
    Some(module.to_owned())
}

/// A line that names a module, and the module.
type Row = (usize, String);

fn is_there(rows: &[Row], name: &str) -> bool {
    rows.iter().any(|(_, other)| other == name)
}

/// The line before which a name goes among sorted ones: the first that is greater, else the end;
/// none where there are no rows.
///
/// # Arguments
/// - `end`: the line after the last row, from the line of that row.
fn place(rows: &[Row], name: &str, end: impl Fn(usize) -> usize) -> Option<usize> {
    let next = rows.iter().find(|(_, other)| other.as_str() > name);
    let last = rows.last().map(|&(at, _)| end(at));
    next.map(|&(at, _)| at).or(last)
}

fn inserted(lines: &[&str], at: usize, line: &str) -> String {
    let mut lines = lines.to_vec();
    lines.insert(at, line);
    lines.join("\n") + "\n"
}

/// One method more in the registry's own test.
fn one_more(text: &str) -> anyhow::Result<String> {
    let Some((before, after)) = text.split_once(COUNT) else {
        bail!("{REGISTRY}: no test of the number of methods, `{COUNT}…`");
    };
    let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (count, rest) = after.split_at(digits);
    let count: usize = count
        .parse()
        .with_context(|| format!("{REGISTRY}: `{COUNT}` is followed by no number"))?;
    Ok(format!("{before}{COUNT}{}{rest}", count + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE_LINES: &str =
        "//! Methods.\n\npub mod bbse;\npub mod irm;\n\n#[cfg(test)]\npub(crate) mod testing;\n";
    const REGISTRY_LINES: &str = "\
        let methods = [
            of::<m::bbse::BbseConfig>(m::bbse::INFO),
            of::<m::counterfactual_invariance::CounterfactualInvarianceConfig>(
                m::counterfactual_invariance::INFO,
            ),
            of::<m::erm::ErmConfig>(m::reference::BAYES_INFO),
        ];
        assert_eq!(registry.iter().count(), 9);
";

    fn name(id: &str) -> Name {
        Name::parse(id).unwrap()
    }

    /// The lines that name methods, in their order.
    fn named<'a>(text: &'a str, prefix: &str) -> Vec<&'a str> {
        let lines = text.lines().map(str::trim_start);
        lines.filter(|line| line.starts_with(prefix)).collect()
    }

    #[test]
    fn a_module_goes_where_its_name_belongs_and_only_once() {
        for (id, place) in [("a", 0), ("coral", 1), ("worst-case", 2)] {
            let text = with_module(MODULE_LINES, &name(id)).unwrap();
            let lines = named(&text, "pub mod ");
            assert_eq!(lines[place], format!("pub mod {};", name(id).module()));
            assert!(lines.is_sorted() && lines.len() == 3, "{text}");
            assert!(text.ends_with("\n\n#[cfg(test)]\npub(crate) mod testing;\n"));
            assert_eq!(with_module(&text, &name(id)).unwrap(), text);
        }
        assert!(with_module("//! Empty.\n", &name("a")).is_err());
    }

    /// Rows are sorted by the module of their description; the formatter has broken one.
    #[test]
    fn a_row_goes_where_its_module_belongs_and_only_once() {
        for (id, row, place) in [
            ("a", "of::<m::a::AConfig>(m::a::INFO),", 0),
            ("coral", "of::<m::coral::CoralConfig>(m::coral::INFO),", 1),
            ("irm", "of::<m::irm::IrmConfig>(m::irm::INFO),", 2),
            ("v-rex", "of::<m::v_rex::VRexConfig>(m::v_rex::INFO),", 3),
        ] {
            let text = with_row(REGISTRY_LINES, &name(id)).unwrap();
            let rows = named(&text, ROW);
            assert_eq!((rows[place], rows.len()), (row, 4), "{text}");
            assert!(text.contains("INFO,\n            ),\n"), "{text}");
            assert!(text.contains("count(), 10);"), "{text}");
            assert_eq!(with_row(&text, &name(id)).unwrap(), text);
        }
        assert!(with_row("", &name("a")).is_err());
        let without_count = REGISTRY_LINES.replace("count(), 9", "len()");
        assert!(with_row(&without_count, &name("a")).is_err());
    }

    /// The files of this repository are what the insertions expect, and every method of theirs is
    /// found to be taken.
    #[test]
    fn the_files_of_the_workspace_take_a_new_method() {
        let root = workspace::root();
        let new = name("zz-never-a-method");
        let modules = read(&root.join(MODULES)).unwrap();
        let more = with_module(&modules, &new).unwrap();
        assert_eq!(more.lines().count(), modules.lines().count() + 1);
        assert!(named(&more, "pub mod ").is_sorted());
        let registry = read(&root.join(REGISTRY)).unwrap();
        let more = with_row(&registry, &new).unwrap();
        assert_eq!(more.lines().count(), registry.lines().count() + 1);
        let methods = sources(&root.join(METHODS)).unwrap();
        assert_eq!(taken(&new, &methods), None);
        for id in ["erm", "coral-target", "erm-oracle", "v-rex", "bayes"] {
            assert!(taken(&name(id), &methods).is_some(), "{id}");
        }
    }

    #[test]
    fn a_file_is_filled_in() {
        let text = method(&name("worst-case"));
        for part in [
            "id: \"worst-case\",",
            "name: \"Worst case\",",
            "pub struct WorstCaseConfig {",
            "impl Objective for WorstCase {",
        ] {
            assert!(text.contains(part), "{part}");
        }
        for blank in ["{id}", "{title}", "{type}"] {
            assert!(!text.contains(blank), "{blank}");
        }
    }
}
