//! Inputs of the workloads, from files or drawn.

use std::collections::BTreeSet;
use std::path::Path;

use ctl_compute::random::stream;
use ctl_graph::Diagram;
use ctl_graph::stats::{Column, Table};
use rand::{Rng, RngExt};
use serde_json::{Value, json};

use super::{Failure, Input, Question, Workload};
use crate::SEED;

/// The column that tells environments apart, and the one that is predicted.
pub(super) const ENVIRONMENT: &str = "environment";
pub(super) const TARGET: &str = "V3";

/// Environments of the invariant prediction, their rows, and how the middle one is scaled.
const ENVIRONMENTS: usize = 3;
const ENVIRONMENT_ROWS: usize = 500;
const SCALE: f64 = 1.5;
const PREDICTION_COLUMNS: usize = 10;
/// The kernel test sees this part of its file.
const KERNEL_COLUMNS: usize = 4;
const KERNEL_ROWS: usize = 500;

/// Where a workload's data come from, and what is drawn where there is no folder.
enum Source {
    Questions {
        file: &'static str,
        nodes: usize,
        /// Share of the pairs that a latent common cause joins.
        confounded: f64,
        graphs: usize,
        questions: usize,
    },
    Columns {
        file: &'static str,
        columns: usize,
        rows: usize,
        gaussian: bool,
    },
}

fn source(workload: Workload) -> Source {
    let questions = |file, nodes, confounded, graphs, questions| Source::Questions {
        file,
        nodes,
        confounded,
        graphs,
        questions,
    };
    let columns = |file, columns, rows, gaussian| Source::Columns {
        file,
        columns,
        rows,
        gaussian,
    };
    match workload {
        Workload::DSeparation => questions("dsep1000.json", 1000, 0.0, 1, 400),
        Workload::MinimalAdjustment => questions("adj15.json", 15, 0.0, 20, 1),
        Workload::OneMinimalAdjustment => questions("adj200.json", 200, 0.0, 20, 1),
        Workload::Identify => questions("id15.json", 12, 0.05, 60, 1),
        Workload::Pc => columns("lin_d50_n10000.csv", 50, 10_000, true),
        Workload::Dagma => columns("lin_d50_n1000.csv", 50, 1000, true),
        Workload::DirectLingam => columns("ling_d20_n2000.csv", 20, 2000, false),
        Workload::Fci | Workload::Ges | Workload::Icp | Workload::Kci => {
            columns("lin_d20_n2000.csv", 20, 2000, true)
        }
    }
}

impl Source {
    fn file(&self) -> &'static str {
        match self {
            Self::Questions { file, .. } | Self::Columns { file, .. } => file,
        }
    }

    /// What is drawn, in the form of the file.
    fn drawn(&self) -> String {
        let rng = &mut stream(SEED, "graph", self.file());
        match *self {
            Self::Questions {
                nodes,
                confounded,
                graphs: 1,
                questions,
                ..
            } => {
                let graph = drawn_graph(nodes, confounded, rng);
                let asked: Vec<Value> = (0..questions)
                    .map(|_| in_lists(question_of(nodes, rng)))
                    .collect();
                json!({"graph": graph, "queries": asked}).to_string()
            }
            Self::Questions {
                nodes,
                confounded,
                graphs,
                ..
            } => {
                let case = |_| {
                    let graph = drawn_graph(nodes, confounded, rng);
                    let mut case = question_of(nodes, rng);
                    case["graph"] = graph;
                    case
                };
                Value::Array((0..graphs).map(case).collect()).to_string()
            }
            Self::Columns {
                columns,
                rows,
                gaussian,
                ..
            } => drawn_columns(columns, rows, gaussian, rng),
        }
    }
}

pub(super) fn input(workload: Workload, folder: &Path) -> Result<Input, Failure> {
    let source = source(workload);
    let text = if folder.is_dir() {
        let path = folder.join(source.file());
        std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?
    } else {
        source.drawn()
    };
    Ok(match source {
        Source::Questions { .. } => questions(&serde_json::from_str(&text)?)?,
        Source::Columns { .. } => {
            Input::Columns(part(workload, Table::read_csv(text.as_bytes())?)?)
        }
    })
}

/// Writes what is drawn where there are no files, so that a peer can read it.
///
/// # Errors
/// When a file cannot be written.
pub fn write_drawn_inputs(folder: &Path) -> std::io::Result<()> {
    for workload in Workload::ALL {
        let source = source(workload);
        let path = folder.join(source.file());
        if !path.exists() {
            std::fs::write(path, source.drawn())?;
        }
    }
    Ok(())
}

/// What a workload uses of its file.
fn part(workload: Workload, table: Table) -> Result<Table, Failure> {
    Ok(match workload {
        Workload::Icp => {
            let rows = ENVIRONMENTS * ENVIRONMENT_ROWS;
            let table = first(&table, PREDICTION_COLUMNS, rows)?;
            let environment: Vec<usize> = (0..rows).map(|row| row / ENVIRONMENT_ROWS).collect();
            let mut columns = Vec::new();
            for name in table.names() {
                let values = table.real(name)?.iter().zip(&environment);
                let scaled = values.map(|(v, e)| if *e == 1 { v * SCALE } else { *v });
                columns.push((name.clone(), Column::Real(scaled.collect())));
            }
            let environment = environment.iter().map(|e| *e as f64).collect();
            columns.push((ENVIRONMENT.to_owned(), Column::Real(environment)));
            Table::new(columns)?
        }
        Workload::Kci => first(&table, KERNEL_COLUMNS, KERNEL_ROWS)?,
        _ => table,
    })
}

fn first(table: &Table, columns: usize, rows: usize) -> Result<Table, Failure> {
    let names: Vec<&str> = table.names().iter().map(String::as_str).collect();
    let columns = names.get(..columns).ok_or("too few columns")?;
    let rows: Vec<usize> = (0..rows).collect();
    Ok(table.select(columns)?.select_rows(&rows)?)
}

fn questions(content: &Value) -> Result<Input, Failure> {
    let Some(cases) = content.as_array() else {
        let diagram = diagram(&content["graph"])?;
        let asked = content["queries"].as_array().ok_or("no queries")?;
        let asked = asked.iter().map(|case| question(&diagram, case));
        let asked = asked.collect::<Result<_, _>>()?;
        return Ok(Input::Shared(Box::new(diagram), asked));
    };
    let cases = cases.iter().map(|case| {
        let diagram = diagram(&case["graph"])?;
        let question = question(&diagram, case)?;
        Ok((diagram, question))
    });
    Ok(Input::Each(cases.collect::<Result<_, Failure>>()?))
}

fn question(diagram: &Diagram, case: &Value) -> Result<Question, Failure> {
    Ok(Question {
        x: diagram.set(&names(&case["x"]))?,
        y: diagram.set(&names(&case["y"]))?,
        given: diagram.set(&names(&case["given"]))?,
    })
}

/// The names in a list, or the one name there is.
fn names(value: &Value) -> Vec<&str> {
    match value.as_array() {
        Some(list) => list.iter().filter_map(Value::as_str).collect(),
        None => value.as_str().into_iter().collect(),
    }
}

fn diagram(graph: &Value) -> Result<Diagram, Failure> {
    let mut builder = Diagram::builder();
    for name in names(&graph["nodes"]) {
        builder = builder.node(name)?;
    }
    for (kind, directed) in [("directed", true), ("bidirected", false)] {
        for edge in graph[kind].as_array().into_iter().flatten() {
            let [a, b] = names(edge)[..] else {
                return Err("an edge has two ends".into());
            };
            builder = if directed {
                builder.directed(a, b)?
            } else {
                builder.bidirected(a, b)?
            };
        }
    }
    Ok(builder.build()?)
}

fn name(node: usize) -> String {
    format!("V{node}")
}

/// Parents for each node of a random diagram in topological order, about 1.5 each.
fn parents(nodes: usize, rng: &mut impl Rng) -> Vec<Vec<usize>> {
    const MOST: usize = 3;
    let choose = |node: usize, rng: &mut dyn Rng| -> Vec<usize> {
        let count = rng.random_range(0..=MOST).min(node);
        let mut chosen: Vec<usize> = (0..count).map(|_| rng.random_range(0..node)).collect();
        chosen.sort_unstable();
        chosen.dedup();
        chosen
    };
    (0..nodes).map(|node| choose(node, rng)).collect()
}

/// A random diagram with about one and a half directed edges a node, the same for one size.
///
/// # Errors
/// Never: names are unique and edges follow the order of the nodes.
pub fn sparse_diagram(nodes: usize) -> Result<Diagram, Failure> {
    let rng = &mut stream(SEED, "graph", &format!("sparse-{nodes}"));
    diagram(&drawn_graph(nodes, 0.0, rng))
}

fn drawn_graph(nodes: usize, confounded: f64, rng: &mut impl Rng) -> Value {
    let (mut directed, mut bidirected) = (Vec::new(), Vec::new());
    for (node, parents) in parents(nodes, rng).into_iter().enumerate() {
        let edge = |other: usize| [name(other), name(node)];
        directed.extend(parents.into_iter().map(edge));
        if confounded > 0.0 {
            let joined = (0..node).filter(|_| rng.random::<f64>() < confounded);
            bidirected.extend(joined.map(edge));
        }
    }
    let nodes: Vec<String> = (0..nodes).map(name).collect();
    json!({"nodes": nodes, "directed": directed, "bidirected": bidirected})
}

/// An early and a late node, and some between them.
fn question_of(nodes: usize, rng: &mut impl Rng) -> Value {
    const GIVEN: usize = 10;
    let (early, late) = (nodes / 3, nodes - nodes / 3);
    let between = (0..GIVEN).map(|_| rng.random_range(early..late));
    let between: BTreeSet<usize> = between.collect();
    json!({
        "x": name(rng.random_range(0..early)),
        "y": name(rng.random_range(late..nodes)),
        "given": between.into_iter().map(name).collect::<Vec<_>>(),
    })
}

/// The form of questions that share a diagram.
fn in_lists(mut question: Value) -> Value {
    for key in ["x", "y"] {
        question[key] = json!([question[key]]);
    }
    question
}

/// Data of a linear model as CSV; noises are sums of twelve uniform numbers, or one.
fn drawn_columns(columns: usize, rows: usize, gaussian: bool, rng: &mut impl Rng) -> String {
    const SUMMANDS: usize = 12;
    let summands = if gaussian { SUMMANDS } else { 1 };
    let scale = (SUMMANDS as f64 / summands as f64).sqrt();
    let mut drawn: Vec<Vec<f64>> = Vec::new();
    for parents in parents(columns, rng) {
        let mut noise = || {
            let sum: f64 = (0..summands).map(|_| rng.random::<f64>() - 0.5).sum();
            sum * scale
        };
        let mut values: Vec<f64> = (0..rows).map(|_| noise()).collect();
        for parent in parents {
            let sign = if rng.random::<f64>() < 0.5 { -1.0 } else { 1.0 };
            let weight = sign * (0.5 + rng.random::<f64>());
            for (value, cause) in values.iter_mut().zip(&drawn[parent]) {
                *value += weight * cause;
            }
        }
        drawn.push(values);
    }
    let header: Vec<String> = (0..columns).map(name).collect();
    let line = |row: usize| drawn.iter().map(move |column| column[row].to_string());
    let lines = (0..rows).map(|row| line(row).collect::<Vec<_>>());
    let lines = std::iter::once(header).chain(lines);
    lines.map(|cells| cells.join(",") + "\n").collect()
}
