//! Which mechanisms differ between two sites.

use super::error::{DiscoveryError, level};
use crate::graph::Mixed;
use crate::stats::distribution::{f_two_sided, f_upper};
use crate::stats::{
    Column, Contingency, CountStatistic, IndependenceTest, Kci, KciOptions, Moments, Multiplicity,
    StatsError, Table,
};
use crate::{Diagram, NodeId, NodeSet};

/// Name of the column that tells the sites apart; no node may have it.
const SITE: &str = "\u{0}site";

/// How the mechanisms of two sites are compared.
///
/// # Examples
///
/// ```
/// use ctl_graph::Diagram;
/// use ctl_graph::discovery::{MechanismTest, ShiftOptions, shifted_mechanisms};
/// use ctl_graph::stats::Table;
/// let diagram = Diagram::parse("x -> y")?;
/// let site = |a: &str, b: &str| Table::parse_csv(&format!("x,y\n{}", [a, b].concat().repeat(30)));
/// let options = ShiftOptions { test: MechanismTest::Counts, ..ShiftOptions::default() };
/// let (source, target) = (site("p,u\n", "q,v\n")?, site("p,v\n", "q,u\n")?);
/// let found = shifted_mechanisms(&diagram, &source, &target, &options)?;
/// assert_eq!(found.iter().map(|shift| shift.shifted).collect::<Vec<_>>(), [false, true]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MechanismTest {
    /// Chow's F test of the coefficients and the F test of the residual variances: for linear
    /// mechanisms with Gaussian noise.
    Linear,
    /// The likelihood-ratio test of counts: for categories.
    Counts,
    /// The kernel test of the site given the parents: for any real variables.
    Kernel(KciOptions),
}

/// Options of [`shifted_mechanisms`].
///
/// # Examples
///
/// ```
/// use ctl_graph::Diagram;
/// use ctl_graph::discovery::{ShiftOptions, shifted_mechanisms};
/// use ctl_graph::stats::Table;
/// let diagram = Diagram::parse("age -> image")?;
/// let site = |shift: f64| {
///     let age: Vec<f64> = (0..200).map(|i| f64::from(i % 20)).collect();
///     let image = (0..200u32).map(|i| f64::from(i % 20) + f64::from(i % 7) + shift).collect();
///     Table::from_columns([("age", age), ("image", image)])
/// };
/// let options = ShiftOptions { alpha: 2.0, ..ShiftOptions::default() };
/// assert!(shifted_mechanisms(&diagram, &site(0.0)?, &site(3.0)?, &options).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShiftOptions {
    /// Level of the adjusted p-values, between 0 and 1.
    pub alpha: f64,
    /// How mechanisms are compared.
    pub test: MechanismTest,
    /// How p-values are adjusted for the number of nodes.
    pub multiplicity: Multiplicity,
}

impl Default for ShiftOptions {
    fn default() -> Self {
        Self {
            alpha: 0.05,
            test: MechanismTest::Linear,
            multiplicity: Multiplicity::Holm,
        }
    }
}

/// The comparison of one node's mechanism.
///
/// # Examples
///
/// ```
/// use ctl_graph::Diagram;
/// use ctl_graph::discovery::{ShiftOptions, shifted_mechanisms};
/// use ctl_graph::stats::Table;
/// let diagram = Diagram::parse("age -> image")?;
/// let site = |shift: f64| {
///     let age: Vec<f64> = (0..200).map(|i| f64::from(i % 20)).collect();
///     let image = (0..200u32).map(|i| f64::from(i % 20) + f64::from(i % 7) + shift).collect();
///     Table::from_columns([("age", age), ("image", image)])
/// };
/// let found = shifted_mechanisms(&diagram, &site(0.0)?, &site(3.0)?, &ShiftOptions::default())?;
/// assert_eq!(diagram.names(&found[1].given), ["age"]);
/// assert!(found[1].shifted && found[1].p_value <= found[1].adjusted);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct MechanismShift {
    /// The node.
    pub node: NodeId,
    /// What its distribution was compared given: its parents and, with latent common causes,
    /// what else screens off all before it.
    pub given: NodeSet,
    /// p-value of the hypothesis that both sites share the mechanism.
    pub p_value: f64,
    /// The p-value adjusted for the number of nodes.
    pub adjusted: f64,
    /// Whether the adjusted p-value is at most `alpha`.
    pub shifted: bool,
}

/// Localises the mechanisms that differ between a source and a target.
///
/// In topological order, each observed node's distribution is compared between the sites given
/// its Markov pillow: the nodes before it in its district, and the parents of these and of
/// itself. In a DAG these are the parents, and a difference is a difference of
/// the node's own mechanism; in a district it may be that of the latent causes.
///
/// # Arguments
/// - `diagram`: without latent nodes; bidirected edges stand for latent common causes.
/// - `source`, `target`: tables with a column for each node, of the kind that the test needs.
/// - `options`: see [`ShiftOptions`].
///
/// # Returns
/// One comparison a node, in topological order. The nodes marked `shifted` are where a selection
/// node points in the selection diagram of the two sites.
///
/// # Errors
/// [`DiscoveryError::Stats`] for missing columns, too few rows or collinear parents;
/// [`DiscoveryError::Option`] for a level outside (0, 1).
///
/// # References
/// Chow (1960), *Tests of equality between sets of coefficients*; the Markov pillow: Bhattacharya,
/// Nabi and Shpitser (2022).
///
/// # Examples
///
/// ```
/// use ctl_graph::Diagram;
/// use ctl_graph::discovery::{ShiftOptions, shifted_mechanisms};
/// use ctl_graph::stats::Table;
/// let diagram = Diagram::parse("age -> image")?;
/// let site = |shift: f64| {
///     let age: Vec<f64> = (0..200).map(|i| f64::from(i % 20)).collect();
///     let image = (0..200u32).map(|i| f64::from(i % 20) + f64::from(i % 7) + shift).collect();
///     Table::from_columns([("age", age), ("image", image)])
/// };
/// let found = shifted_mechanisms(&diagram, &site(0.0)?, &site(3.0)?, &ShiftOptions::default())?;
/// let verdicts: Vec<(&str, bool)> =
///     found.iter().map(|shift| (diagram.name(shift.node), shift.shifted)).collect();
/// assert_eq!(verdicts, [("age", false), ("image", true)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn shifted_mechanisms(
    diagram: &Diagram,
    source: &Table,
    target: &Table,
    options: &ShiftOptions,
) -> Result<Vec<MechanismShift>, DiscoveryError> {
    level(options.alpha)?;
    let names: Vec<&str> = diagram.ids().map(|id| diagram.name(id)).collect();
    let sites = [source.select(&names)?, target.select(&names)?];
    let mut before = NodeSet::new();
    let mut found = Vec::new();
    for &node in diagram.topological_order() {
        let given = pillow(diagram, &before, node);
        let p_value = compare(&sites, node, &given, options.test)?;
        before.insert(node);
        found.push(MechanismShift {
            node,
            given,
            p_value,
            adjusted: p_value,
            shifted: false,
        });
    }
    let p_values: Vec<f64> = found.iter().map(|shift| shift.p_value).collect();
    for (shift, adjusted) in found.iter_mut().zip(options.multiplicity.adjust(&p_values)) {
        shift.adjusted = adjusted;
        shift.shifted = adjusted <= options.alpha;
    }
    Ok(found)
}

/// The district of a node among those up to it, with its parents, without the node.
fn pillow(diagram: &Diagram, before: &NodeSet, node: NodeId) -> NodeSet {
    let upto = before.union(&NodeSet::single(node));
    let view = diagram.view().induced(&upto);
    let district = view.district_of(node);
    let mut pillow = district.union(&view.parents_of(&district));
    pillow.remove(node);
    pillow
}

fn compare(
    sites: &[Table; 2],
    node: NodeId,
    given: &NodeSet,
    test: MechanismTest,
) -> Result<f64, StatsError> {
    let given: Vec<usize> = given.iter().map(NodeId::index).collect();
    match test {
        MechanismTest::Linear => chow(sites, node.index(), &given),
        MechanismTest::Counts => {
            let pooled = pooled(sites)?.all_categories();
            let test = Contingency::new(&pooled, CountStatistic::LikelihoodRatio)?;
            test.p_value(node.index(), pooled.columns() - 1, &given)
        }
        MechanismTest::Kernel(options) => {
            let pooled = pooled(sites)?;
            Kci::new(&pooled, options)?.p_value(node.index(), pooled.columns() - 1, &given)
        }
    }
}

/// Both sites' rows with a last column that tells them apart.
fn pooled(sites: &[Table; 2]) -> Result<Table, StatsError> {
    let [source, target] = sites;
    let mut columns = Vec::new();
    for (index, name) in source.names().iter().enumerate() {
        columns.push((name.clone(), joined(source, target, index)?));
    }
    let site = [(0.0, source.rows()), (1.0, target.rows())];
    let site = site
        .iter()
        .flat_map(|&(site, rows)| std::iter::repeat_n(site, rows));
    columns.push((SITE.to_owned(), Column::Real(site.collect())));
    Table::new(columns)
}

/// A column of both sites; categories are matched by the names of their levels.
fn joined(source: &Table, target: &Table, index: usize) -> Result<Column, StatsError> {
    match (source.column_at(index)?, target.column_at(index)?) {
        (Column::Real(a), Column::Real(b)) => Ok(Column::Real([a.as_slice(), b].concat())),
        (
            Column::Category { codes, levels },
            Column::Category {
                codes: more,
                levels: others,
            },
        ) => {
            let (mut codes, mut levels) = (codes.clone(), levels.clone());
            let mut places = Vec::with_capacity(others.len());
            for level in others {
                let known = levels.iter().position(|name| name == level);
                places.push(known.unwrap_or(levels.len()) as u32);
                if known.is_none() {
                    levels.push(level.clone());
                }
            }
            codes.extend(more.iter().map(|&code| places[code as usize]));
            Ok(Column::Category { codes, levels })
        }
        _ => Err(StatsError::ColumnKind {
            name: source.names()[index].clone(),
            expected: "the same kind at both sites",
        }),
    }
}

/// The smaller p-value, times two, of equal coefficients and of equal residual variances.
fn chow(sites: &[Table; 2], target: usize, given: &[usize]) -> Result<f64, StatsError> {
    let pooled = pooled(sites)?;
    let parameters = given.len() as f64 + 1.0;
    let mut squares = Vec::new();
    for table in [&sites[0], &sites[1], &pooled] {
        let expected = given.len() + 3;
        if table.rows() < expected {
            return Err(StatsError::TooFewRows {
                expected,
                found: table.rows(),
            });
        }
        let (_, residual) = Moments::of(table)?.regression(target, given)?;
        squares.push((
            residual * table.rows() as f64,
            table.rows() as f64 - parameters,
        ));
    }
    let [(a, free_a), (b, free_b), (both, _)] = [squares[0], squares[1], squares[2]];
    let within = a + b;
    if within <= 0.0 {
        return Ok(f64::from(u8::from(both <= 0.0)));
    }
    let freedom = free_a + free_b;
    let excess = (both - within).max(0.0) / parameters;
    let coefficients = f_upper(excess * freedom / within, parameters, freedom);
    let variances = f_two_sided((a / free_a) / (b / free_b), free_a, free_b);
    Ok((2.0 * coefficients.min(variances)).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    /// site -> … with z -> x -> y; the given mechanism changes.
    fn site(seed: u64, changed: Option<usize>) -> Table {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let mut columns = vec![Vec::new(); 3];
        for _ in 0..600 {
            let mut normal = || (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
            let factor = |index: usize| if changed == Some(index) { 2.0 } else { 1.0 };
            let z = normal() * factor(0);
            let x = z * factor(1) + normal();
            let y = x - 0.5 + normal() * factor(2);
            for (column, value) in columns.iter_mut().zip([z, x, y]) {
                column.push(value);
            }
        }
        Table::from_columns(["z", "x", "y"].into_iter().zip(columns)).unwrap()
    }

    #[test]
    fn only_the_changed_mechanism_is_named() {
        let diagram = Diagram::parse("z -> x; x -> y").unwrap();
        let options = ShiftOptions {
            alpha: 0.001,
            ..ShiftOptions::default()
        };
        for changed in 0..3 {
            let (a, b) = (site(7, None), site(8, Some(changed)));
            let found = shifted_mechanisms(&diagram, &a, &b, &options).unwrap();
            let shifted: Vec<usize> = found
                .iter()
                .filter(|shift| shift.shifted)
                .map(|shift| shift.node.index())
                .collect();
            assert_eq!(shifted, [changed]);
        }
    }

    #[test]
    fn the_kernel_test_sees_a_changed_scale() {
        let diagram = Diagram::parse("z -> x; x -> y").unwrap();
        let rows: Vec<usize> = (0..120).collect();
        let few = |table: Table| table.select_rows(&rows).unwrap();
        let options = ShiftOptions {
            alpha: 0.01,
            test: MechanismTest::Kernel(KciOptions::default()),
            multiplicity: Multiplicity::BenjaminiHochberg,
        };
        let (a, b) = (few(site(7, None)), few(site(8, Some(0))));
        let found = shifted_mechanisms(&diagram, &a, &b, &options).unwrap();
        assert!(found[0].shifted && !found[2].shifted);
    }

    #[test]
    fn counts_are_compared_by_the_names_of_levels() {
        let diagram = Diagram::parse("x -> y").unwrap();
        let text = |rows: &[(&str, &str, usize)]| {
            let lines = rows.iter().map(|(x, y, n)| format!("{x},{y}\n").repeat(*n));
            Table::parse_csv(&format!("x,y\n{}", lines.collect::<String>())).unwrap()
        };
        let a = text(&[
            ("p", "u", 60),
            ("p", "v", 40),
            ("q", "u", 30),
            ("q", "v", 70),
        ]);
        let b = text(&[
            ("q", "v", 71),
            ("q", "u", 29),
            ("p", "v", 90),
            ("p", "u", 10),
        ]);
        let options = ShiftOptions {
            test: MechanismTest::Counts,
            ..ShiftOptions::default()
        };
        let found = shifted_mechanisms(&diagram, &a, &b, &options).unwrap();
        assert_eq!((found[0].shifted, found[1].shifted), (false, true));
    }

    #[test]
    fn districts_condition_on_their_pillow() {
        let diagram = Diagram::parse("a -> b; b -> c; b <-> c; d -> b").unwrap();
        let all = NodeSet::all(4);
        let c = diagram.node("c").unwrap();
        let found = pillow(&diagram, &all.difference(&NodeSet::single(c)), c);
        assert_eq!(diagram.names(&found), ["a", "b", "d"]);
    }
}
