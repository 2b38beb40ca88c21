//! Rewriting to a shorter formula of the same value.

use std::sync::Arc;

use super::{Estimand, Probability};
use crate::NodeSet;

/// Rewriting ends by itself, since every rule removes a symbol; the bound guards against a slip.
const MAX_PASSES: usize = 32;

impl Estimand {
    /// A shorter formula with the same value wherever this one is defined.
    ///
    /// Chains P(a | b, c) P(b | c) become P(a, b | c), sums over a variable in one outcome are
    /// marginalised, factors without a summed variable leave the sum, and what stands above and
    /// below a fraction's line cancels.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_graph::{Diagram, estimand::{Estimand, Probability}};
    ///
    /// let diagram = Diagram::parse("X -> Y; Z -> Y")?;
    /// let (x, y, z) = (diagram.set(&["X"])?, diagram.set(&["Y"])?, diagram.set(&["Z"])?);
    /// let factors = [Probability::of(&y).given(&x.union(&z)), Probability::of(&z).given(&x)];
    /// let long = Estimand::sum(&z, Estimand::product(factors.map(Estimand::from)));
    /// assert_eq!(long.simplified().display(&diagram).to_string(), "P(Y | X)");
    /// # Ok::<(), ctl_graph::GraphError>(())
    /// ```
    #[must_use]
    pub fn simplified(&self) -> Self {
        let mut current = self.clone();
        for _ in 0..MAX_PASSES {
            let next = current.pass();
            if next == current {
                break;
            }
            current = next;
        }
        current
    }

    fn pass(&self) -> Self {
        match self {
            Self::Zero | Self::One | Self::Probability(_) => self.clone(),
            Self::Product(factors) => product(factors.iter().map(|f| f.pass()).collect()),
            Self::Sum { over, term } => sum(over, &term.pass()),
            Self::Fraction {
                numerator,
                denominator,
            } => fraction(numerator.pass(), denominator.pass()),
        }
    }

    fn factors(self) -> Vec<Arc<Self>> {
        match self {
            Self::Product(factors) => factors,
            Self::One => Vec::new(),
            other => vec![Arc::new(other)],
        }
    }
}

/// Gathers fractions into one, which lets them cancel, and merges chains.
fn product(factors: Vec<Estimand>) -> Estimand {
    let (mut above, mut below) = (Vec::new(), Vec::new());
    for factor in factors {
        match factor {
            Estimand::Fraction {
                numerator,
                denominator,
            } => {
                above.push(numerator);
                below.push(denominator);
            }
            other => above.push(Arc::new(other)),
        }
    }
    let above = Estimand::product(merge_chains(Estimand::product(above).factors()));
    if below.is_empty() {
        return above;
    }
    fraction(above, Estimand::product(below))
}

/// Replaces P(a | b, c) P(b | c) by P(a, b | c) as long as there is such a pair.
fn merge_chains(mut factors: Vec<Arc<Estimand>>) -> Vec<Arc<Estimand>> {
    'search: loop {
        for i in 0..factors.len() {
            for j in 0..factors.len() {
                if i != j
                    && let Some(joint) = chain(&factors[i], &factors[j])
                {
                    factors[i.min(j)] = Arc::new(joint.into());
                    factors.remove(i.max(j));
                    continue 'search;
                }
            }
        }
        return factors;
    }
}

fn chain(first: &Estimand, second: &Estimand) -> Option<Probability> {
    let (Estimand::Probability(a), Estimand::Probability(b)) = (first, second) else {
        return None;
    };
    a.chain(b)
}

/// Marginalises through chains and moves factors without a summed variable out of the sum.
fn sum(over: &NodeSet, term: &Estimand) -> Estimand {
    if let Estimand::Fraction {
        numerator,
        denominator,
    } = term
        && over.iter().all(|node| !denominator.has_free(node))
    {
        return fraction(sum(over, numerator), (**denominator).clone());
    }
    let (inside, outside): (Vec<_>, Vec<_>) = term
        .clone()
        .factors()
        .into_iter()
        .partition(|factor| over.iter().any(|node| factor.has_free(node)));
    let inner = Estimand::sum(over, Estimand::product(inside));
    Estimand::product(outside.into_iter().chain([Arc::new(inner)]))
}

fn fraction(numerator: Estimand, denominator: Estimand) -> Estimand {
    let (above, mut below) = unnest(numerator, denominator);
    let mut above: Vec<_> = above
        .into_iter()
        .filter(
            |factor| match below.iter().position(|other| other == factor) {
                Some(place) => {
                    below.remove(place);
                    false
                }
                None => true,
            },
        )
        .collect();
    condition_pairs(&mut above, &mut below);
    if let ([sum], [divisor]) = (&above[..], &below[..])
        && let Some(inside) = divide_inside(sum, divisor)
    {
        return inside;
    }
    Estimand::fraction(Estimand::product(above), Estimand::product(below))
}

/// The factors above and below the line, fractions of fractions resolved.
fn unnest(numerator: Estimand, denominator: Estimand) -> (Vec<Arc<Estimand>>, Vec<Arc<Estimand>>) {
    let split = |side: Estimand| match side {
        Estimand::Fraction {
            numerator,
            denominator,
        } => {
            let part = |side: Arc<Estimand>| Arc::unwrap_or_clone(side).factors();
            (part(numerator), part(denominator))
        }
        other => (other.factors(), Vec::new()),
    };
    let (mut above, mut below) = split(numerator);
    let (turned_below, turned_above) = split(denominator);
    above.extend(turned_above);
    below.extend(turned_below);
    (above, below)
}

/// Divides single probabilities by single probabilities where that gives a conditional one.
fn condition_pairs(above: &mut [Arc<Estimand>], below: &mut Vec<Arc<Estimand>>) {
    for factor in above {
        below.retain(|divisor| {
            let ratio = Estimand::fraction(Arc::clone(factor), Arc::clone(divisor));
            let kept = matches!(ratio, Estimand::Fraction { .. });
            if !kept {
                *factor = Arc::new(ratio);
            }
            kept
        });
    }
}

/// Moves the divisor of a sum to a factor that it turns into a conditional probability.
fn divide_inside(sum: &Estimand, divisor: &Arc<Estimand>) -> Option<Estimand> {
    let Estimand::Sum { over, term } = sum else {
        return None;
    };
    if over.iter().any(|node| divisor.has_free(node)) {
        return None;
    }
    let mut factors = Estimand::clone(term).factors();
    for factor in &mut factors {
        let ratio = Estimand::fraction(Arc::clone(factor), Arc::clone(divisor));
        if !matches!(ratio, Estimand::Fraction { .. }) {
            *factor = Arc::new(ratio);
            return Some(Estimand::sum(over, Estimand::product(factors)));
        }
    }
    None
}
