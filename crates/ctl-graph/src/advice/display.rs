//! The advice as text.

use std::fmt;

use super::report::{Advice, Conditional, Constraint, ConstraintKind, Remedy, Verdict};
use super::words;
use crate::graph::ShiftKind;

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let relation = words::relation(self.relation, &self.image, &self.label);
        writeln!(f, "Study: {relation}.")?;
        self.write_shifts(f)?;
        writeln!(f)?;
        self.answer
            .iter()
            .try_for_each(|line| writeln!(f, "{line}"))?;
        if let Some(formula) = &self.prediction.formula {
            writeln!(f, "    {formula}")?;
        }
        self.write_conditionals(f)?;
        for (title, verdict) in [
            ("Licensed", Verdict::Licensed),
            ("Not needed", Verdict::Unneeded),
            ("Not licensed", Verdict::NotLicensed),
        ] {
            self.write_remedies(f, title, verdict)?;
        }
        self.write_constraints(f)?;
        let mut assumptions = self.assumptions.iter();
        assumptions.try_for_each(|assumption| writeln!(f, "\nAssumed: {assumption}."))
    }
}

impl Advice {
    fn write_shifts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = &self.label;
        for shift in &self.shifts {
            let nodes = shift.nodes.join(", ");
            let kind = shift.kind;
            if kind == ShiftKind::Selection {
                writeln!(f, "Selected: entering the sources depends on {nodes}.")?;
            } else if shift.implied {
                writeln!(
                    f,
                    "Differs in the target: how cases are spread over {nodes}."
                )?;
            } else {
                let meaning = words::meaning(kind);
                writeln!(f, "Differs in the target: {meaning} ({nodes}).")?;
            }
        }
        for site in &self.confounded_by {
            let image = &self.image;
            writeln!(
                f,
                "Confounded: {site} goes together with {label} and marks {image}."
            )?;
        }
        Ok(())
    }

    /// Mechanisms, and image and label given at most one variable.
    fn write_conditionals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |c: &&Conditional| {
            let central = c.variable == self.image || c.variable == self.label;
            c.is_mechanism || central && c.given.len() < 2
        };
        let brief = self.conditionals.iter().filter(shown);
        let (same, other): (Vec<_>, Vec<_>) = brief.partition(|c| c.invariant);
        writeln!(f, "\nThe same in sources and target: {}.", texts(&same))?;
        writeln!(
            f,
            "Not the same, as far as the diagram says: {}.",
            texts(&other)
        )
    }

    fn write_remedies(
        &self,
        f: &mut fmt::Formatter<'_>,
        title: &str,
        verdict: Verdict,
    ) -> fmt::Result {
        let chosen = |remedy: &&Remedy| remedy.verdict == verdict;
        let mut remedies = self.remedies.iter().filter(chosen).peekable();
        if remedies.peek().is_some() {
            writeln!(f, "\n{title}")?;
        }
        remedies.try_for_each(|remedy| write!(f, "{remedy}"))
    }

    fn write_constraints(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.constraints.is_empty() {
            writeln!(
                f,
                "\nFeatures (a representation of {}) must satisfy",
                self.image
            )?;
        }
        let mut constraints = self.constraints.iter();
        constraints.try_for_each(|constraint| writeln!(f, "- {constraint}"))
    }
}

fn texts(conditionals: &[&Conditional]) -> String {
    if conditionals.is_empty() {
        return "nothing".to_owned();
    }
    let texts = conditionals.iter().map(|conditional| conditional.text());
    texts.collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "- {} [{}]", self.title, self.id)?;
        writeln!(f, "    because {}", self.because)?;
        if let Some(provided) = &self.provided {
            writeln!(f, "    provided that {provided}")?;
        }
        if let Some(formula) = &self.formula {
            writeln!(f, "    {formula}")?;
        }
        writeln!(f, "    methods: {}", self.methods.join(", "))
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (variables, given) = (self.variables.join(", "), self.given.join(", "));
        let (of, carrier) = (&self.of, self.carrier.join(", "));
        match self.kind {
            ConstraintKind::Marginal => {
                write!(f, "they do not tell {variables}: {of} ⊥ {variables}")?;
            }
            ConstraintKind::ConditionalOnLabel => write!(
                f,
                "among cases with the same {given} they do not tell {variables}: \
                 {of} ⊥ {variables} | {given}"
            )?,
            ConstraintKind::SameRule => write!(
                f,
                "{of} follows from them by one rule in every {variables}: \
                 {of} ⊥ {variables} | {given}"
            )?,
        }
        write!(f, " (which {carrier} satisfies)")
    }
}
