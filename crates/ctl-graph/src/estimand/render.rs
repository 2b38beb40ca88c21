//! Estimands as text and as LaTeX.

use std::fmt::{self, Write};
use std::sync::Arc;

use super::{Domain, Estimand, Probability};
use crate::{Diagram, NodeId, NodeSet};

/// An estimand with the names it is printed with; made by [`Estimand::display`] and
/// [`Estimand::latex`].
///
/// A summed variable that has the name of another one in scope gets a prime.
///
/// # Examples
///
/// ```
/// use ctl_graph::{Diagram, estimand::{Domain, Estimand, Probability}};
///
/// let diagram = Diagram::parse("age -> scan")?;
/// let (age, scan) = (diagram.set(&["age"])?, diagram.set(&["scan"])?);
/// let at_source = Probability::of(&scan).given(&age).in_domain(Domain::Source(0));
/// let estimand = Estimand::from(at_source);
/// assert_eq!(estimand.display(&diagram).with_sources(&["oslo"]).to_string(), "P^oslo(scan | age)");
/// assert_eq!(
///     estimand.latex(&diagram).with_sources(&["oslo"]).to_string(),
///     r"P^{\mathrm{oslo}}(\mathrm{scan} \mid \mathrm{age})"
/// );
/// # Ok::<(), ctl_graph::GraphError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Rendered<'a> {
    estimand: &'a Estimand,
    diagram: &'a Diagram,
    sources: Vec<String>,
    latex: bool,
}

impl Estimand {
    /// The formula as text, `sum_{Z} P(Y | X, Z) P(Z)`.
    pub fn display<'a>(&'a self, diagram: &'a Diagram) -> Rendered<'a> {
        Rendered {
            estimand: self,
            diagram,
            sources: Vec::new(),
            latex: false,
        }
    }

    /// The formula as LaTeX for math mode, `\sum_{Z} P(Y \mid X, Z)\, P(Z)`.
    pub fn latex<'a>(&'a self, diagram: &'a Diagram) -> Rendered<'a> {
        Rendered {
            estimand: self,
            diagram,
            sources: Vec::new(),
            latex: true,
        }
    }
}

impl Rendered<'_> {
    /// Names the source populations and marks the target's distributions with a star.
    #[must_use]
    pub fn with_sources<S: AsRef<str>>(mut self, names: &[S]) -> Self {
        self.sources = names.iter().map(|name| name.as_ref().to_owned()).collect();
        self
    }

    fn name(&self, node: NodeId) -> String {
        self.text(self.diagram.name(node))
    }

    fn text(&self, name: &str) -> String {
        if !self.latex {
            return name.to_owned();
        }
        let mut escaped = String::new();
        for letter in name.chars() {
            match letter {
                '\\' => escaped.push_str(r"\backslash "),
                '~' | '^' => escaped.push_str(r"\,"),
                '_' | '%' | '&' | '#' | '$' | '{' | '}' => {
                    escaped.push('\\');
                    escaped.push(letter);
                }
                _ => escaped.push(letter),
            }
        }
        if name.chars().count() > 1 {
            format!(r"\mathrm{{{escaped}}}")
        } else {
            escaped
        }
    }

    fn domain(&self, domain: Domain) -> String {
        match (domain, self.latex) {
            (Domain::Target, _) if self.sources.is_empty() => String::new(),
            (Domain::Target, false) => "*".to_owned(),
            (Domain::Target, true) => "^{*}".to_owned(),
            (Domain::Source(index), latex) => {
                let name = self.sources.get(index).cloned();
                let name = self.text(&name.unwrap_or_else(|| (index + 1).to_string()));
                if latex {
                    format!("^{{{name}}}")
                } else {
                    format!("^{name}")
                }
            }
        }
    }
}

impl fmt::Display for Rendered<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut scope = Scope {
            primes: vec![None; self.diagram.len()],
        };
        for node in &self.estimand.free_variables() {
            scope.enter(node);
        }
        Writer {
            names: self,
            scope,
            out: formatter,
        }
        .estimand(self.estimand)
    }
}

/// The symbols in use: for each node the number of primes of its innermost one.
struct Scope {
    primes: Vec<Option<usize>>,
}

impl Scope {
    /// Binds a new symbol; returns the one it hides.
    fn enter(&mut self, node: NodeId) -> Option<usize> {
        let hidden = self.primes.get(node.index()).copied().flatten();
        self.set(node, Some(hidden.map_or(0, |primes| primes + 1)));
        hidden
    }

    fn set(&mut self, node: NodeId, primes: Option<usize>) {
        if let Some(place) = self.primes.get_mut(node.index()) {
            *place = primes;
        }
    }

    fn primes(&self, node: NodeId) -> usize {
        self.primes
            .get(node.index())
            .copied()
            .flatten()
            .unwrap_or(0)
    }
}

struct Writer<'a, 'b, 'c> {
    names: &'a Rendered<'a>,
    scope: Scope,
    out: &'b mut fmt::Formatter<'c>,
}

impl Writer<'_, '_, '_> {
    fn estimand(&mut self, estimand: &Estimand) -> fmt::Result {
        match estimand {
            Estimand::Zero => self.out.write_char('0'),
            Estimand::One => self.out.write_char('1'),
            Estimand::Probability(probability) => self.probability(probability),
            Estimand::Product(factors) => self.product(factors),
            Estimand::Sum { over, term } => self.sum(over, term),
            Estimand::Fraction {
                numerator,
                denominator,
            } => self.fraction(numerator, denominator),
        }
    }

    /// Sums come last. A sum reaches as far right as it can, so one before it gets brackets; so
    /// does a fraction that has no line of its own.
    fn product(&mut self, factors: &[Arc<Estimand>]) -> fmt::Result {
        let mut factors: Vec<&Estimand> = factors.iter().map(AsRef::as_ref).collect();
        factors.sort_by_key(|factor| matches!(factor, Estimand::Sum { .. }));
        for (place, factor) in factors.iter().enumerate() {
            let last = place + 1 == factors.len();
            let ambiguous = match factor {
                Estimand::Sum { .. } => !last,
                Estimand::Fraction { .. } => !self.names.latex,
                _ => false,
            };
            if ambiguous {
                self.bracketed(factor)?;
            } else {
                self.estimand(factor)?;
            }
            if !last {
                self.out
                    .write_str(if self.names.latex { r"\, " } else { " " })?;
            }
        }
        Ok(())
    }

    fn bracketed(&mut self, estimand: &Estimand) -> fmt::Result {
        let latex = self.names.latex;
        self.out.write_str(if latex { r"\left[" } else { "[" })?;
        self.estimand(estimand)?;
        self.out.write_str(if latex { r"\right]" } else { "]" })
    }

    fn sum(&mut self, over: &NodeSet, term: &Estimand) -> fmt::Result {
        let hidden: Vec<_> = over
            .iter()
            .map(|node| (node, self.scope.enter(node)))
            .collect();
        let symbols: Vec<String> = over.iter().map(|node| self.symbol(node, &[])).collect();
        let sign = if self.names.latex { r"\sum" } else { "sum" };
        write!(self.out, "{sign}_{{{}}} ", symbols.join(", "))?;
        self.estimand(term)?;
        for (node, primes) in hidden {
            self.scope.set(node, primes);
        }
        Ok(())
    }

    fn fraction(&mut self, numerator: &Estimand, denominator: &Estimand) -> fmt::Result {
        if self.names.latex {
            self.out.write_str(r"\frac{")?;
            self.estimand(numerator)?;
            self.out.write_str("}{")?;
            self.estimand(denominator)?;
            return self.out.write_char('}');
        }
        self.bracketed(numerator)?;
        self.out.write_str(" / ")?;
        self.bracketed(denominator)
    }

    fn probability(&mut self, probability: &Probability) -> fmt::Result {
        let (open, bar) = if self.names.latex {
            (r"\mathrm{do}(", r" \mid ")
        } else {
            ("do(", " | ")
        };
        let fixed = probability.fixed();
        let mut conditions = Vec::new();
        if !probability.intervention().is_empty() {
            let set = self.symbols(probability.intervention(), fixed).join(", ");
            conditions.push(format!("{open}{set})"));
        }
        conditions.extend(self.symbols(probability.condition(), fixed));
        let domain = self.names.domain(probability.domain());
        let outcome = self.symbols(probability.outcome(), fixed).join(", ");
        write!(self.out, "P{domain}({outcome}")?;
        if !conditions.is_empty() {
            write!(self.out, "{bar}{}", conditions.join(", "))?;
        }
        self.out.write_char(')')
    }

    fn symbols(&self, nodes: &NodeSet, fixed: &[(NodeId, usize)]) -> Vec<String> {
        nodes.iter().map(|node| self.symbol(node, fixed)).collect()
    }

    fn symbol(&self, node: NodeId, fixed: &[(NodeId, usize)]) -> String {
        let name = self.names.name(node);
        match fixed.iter().find(|pair| pair.0 == node) {
            Some((_, state)) => format!("{name}={state}"),
            None => format!("{name}{}", "'".repeat(self.scope.primes(node))),
        }
    }
}
