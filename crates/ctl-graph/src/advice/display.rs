//! The advice as text.

use std::fmt;

use super::report::{Advice, Constraint, ConstraintKind, Remedy, Verdict};
use super::words;

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}.",
            words::relation(self.relation, &self.image, &self.label)
        )?;
        self.write_shifts(f)?;
        self.write_conditionals(f)?;
        for (title, verdict) in [
            ("Licensed", Verdict::Licensed),
            ("Not needed", Verdict::Unneeded),
            ("Not licensed", Verdict::NotLicensed),
        ] {
            self.write_remedies(f, title, verdict)?;
        }
        self.write_constraints(f)?;
        for assumption in &self.assumptions {
            writeln!(f, "\nAssumed: {assumption}.")?;
        }
        Ok(())
    }
}

impl Advice {
    fn write_shifts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.shifts.is_empty() {
            writeln!(f, "No shift is stated.")?;
        }
        for shift in &self.shifts {
            let (kind, nodes) = (words::kind(shift.kind), shift.nodes.join(", "));
            if shift.implied {
                writeln!(
                    f,
                    "Shift: which {nodes}, and how it goes together with {}.",
                    self.label
                )?;
            } else {
                writeln!(f, "Shift: {kind} at {nodes}.")?;
            }
        }
        for site in &self.confounded_by {
            let (label, image) = (&self.label, &self.image);
            writeln!(
                f,
                "Confounded: {site} goes together with {label} and marks {image}."
            )?;
        }
        Ok(())
    }

    /// Mechanisms, and image and label given at most one variable.
    fn write_conditionals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |c: &&super::Conditional| {
            let central = c.variable == self.image || c.variable == self.label;
            c.is_mechanism || central && c.given.len() < 2
        };
        let brief = self.conditionals.iter().filter(shown);
        let (same, other): (Vec<_>, Vec<_>) = brief.partition(|c| c.invariant);
        let line = |list: Vec<&super::Conditional>| {
            let texts: Vec<String> = list.into_iter().map(super::Conditional::text).collect();
            if texts.is_empty() {
                "nothing".to_owned()
            } else {
                texts.join(", ")
            }
        };
        writeln!(f, "\nThe same in sources and target: {}.", line(same))?;
        writeln!(
            f,
            "Not the same, as far as the diagram says: {}.",
            line(other)
        )
    }

    fn write_remedies(
        &self,
        f: &mut fmt::Formatter<'_>,
        title: &str,
        verdict: Verdict,
    ) -> fmt::Result {
        let mut remedies = self
            .remedies
            .iter()
            .filter(|r| r.verdict == verdict)
            .peekable();
        if remedies.peek().is_some() {
            writeln!(f, "\n{title}:")?;
        }
        remedies.try_for_each(|remedy| writeln!(f, "- {remedy}"))
    }

    fn write_constraints(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.constraints.is_empty() {
            writeln!(f, "\nA representation of {} must satisfy:", self.image)?;
        }
        let mut constraints = self.constraints.iter();
        constraints.try_for_each(|constraint| writeln!(f, "- {constraint}"))
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({}): {}",
            self.id,
            self.methods.join(", "),
            self.because
        )?;
        if let Some(provided) = &self.provided {
            write!(f, "; provided that {provided}")?;
        }
        if let Some(formula) = &self.formula {
            write!(f, "; {formula}")?;
        }
        write!(f, ".")
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (variables, carrier) = (self.variables.join(", "), self.carrier.join(", "));
        match self.kind {
            ConstraintKind::Marginal => write!(f, "representation ⊥ {variables}")?,
            ConstraintKind::ConditionalOnLabel => {
                write!(
                    f,
                    "representation ⊥ {variables} | {}",
                    self.given.join(", ")
                )?;
            }
            ConstraintKind::SameRule => write!(f, "label ⊥ {variables} | representation")?,
        }
        write!(f, " (it carries {carrier})")
    }
}
