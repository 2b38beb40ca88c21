//! Mediation with numbers for levels: in closed form, and by sampling.

use super::scm::stream;
use super::{LinearGaussian, Mediation, MediationQuery, ModelError, Scm, validate};
use crate::graph::Diagram;

fn check(diagram: &Diagram, query: &MediationQuery<f64>) -> Result<(), ModelError> {
    for node in [query.treatment, query.outcome] {
        validate::node(diagram, node)?;
    }
    for &mediator in &query.mediators {
        validate::node(diagram, mediator)?;
        if mediator == query.treatment || mediator == query.outcome {
            let node = diagram.name(mediator).to_owned();
            let subject = "treatment, outcome and mediators";
            return Err(ModelError::Repeated { node, subject });
        }
    }
    validate::finite("level of the treatment", query.from)?;
    validate::finite("level of the treatment", query.to)
}

impl LinearGaussian {
    /// Total, natural direct and natural indirect effect.
    ///
    /// Without interactions the effects add up: `total = direct + indirect`.
    ///
    /// # Errors
    /// [`ModelError::Graph`], [`ModelError::Value`], and [`ModelError::Repeated`] for a mediator
    /// that is treatment or outcome.
    ///
    /// # Examples
    ///
    /// ```
    /// use ctl_graph::{Diagram, model::{LinearGaussian, MediationQuery}};
    ///
    /// let diagram = Diagram::parse("age -> atrophy -> score; age -> score")?;
    /// let [age, atrophy, score] = ["age", "atrophy", "score"].map(|name| diagram.node(name).unwrap());
    /// let model = LinearGaussian::builder(diagram)
    ///     .coefficient(age, atrophy, 2.0)
    ///     .coefficient(atrophy, score, 3.0)
    ///     .coefficient(age, score, -1.0)
    ///     .build()?;
    /// let query = MediationQuery {
    ///     treatment: age,
    ///     outcome: score,
    ///     mediators: vec![atrophy],
    ///     from: 0.0,
    ///     to: 2.0,
    /// };
    /// let effects = model.mediation(&query)?;
    /// assert_eq!(effects.natural_direct, -2.0);
    /// assert_eq!(effects.natural_indirect, 12.0);
    /// assert_eq!(effects.total, 10.0);
    /// # Ok::<(), ctl_graph::model::ModelError>(())
    /// ```
    pub fn mediation(&self, query: &MediationQuery<f64>) -> Result<Mediation, ModelError> {
        check(self.diagram(), query)?;
        let mean = |set: f64, mediated: f64| -> Result<f64, ModelError> {
            let inner = self.interventional(&[(query.treatment, mediated)])?;
            let mut fixed = vec![(query.treatment, set)];
            fixed.extend(query.mediators.iter().map(|&node| (node, inner.mean(node))));
            Ok(self.interventional(&fixed)?.mean(query.outcome))
        };
        Ok(Mediation::of_means(
            mean(query.from, query.from)?,
            mean(query.to, query.to)?,
            mean(query.to, query.from)?,
            mean(query.from, query.to)?,
        ))
    }
}

impl Scm {
    /// Total, natural direct and natural indirect effect, by sampling.
    ///
    /// Every draw of the noise is played in all four worlds, so that what does not depend on the
    /// treatment cancels; the error falls with the square root of the number of samples.
    ///
    /// # Arguments
    /// - `samples`: how many draws.
    /// - `seed`: equal seeds give equal answers.
    ///
    /// # Errors
    /// Those of [`LinearGaussian::mediation`], and of [`Scm::sample`].
    ///
    /// # Examples
    ///
    /// An interaction `y = x · m` with `m = x + u`: on neither way alone does the effect pass.
    ///
    /// ```
    /// use ctl_graph::Diagram;
    /// use ctl_graph::model::{CustomMechanism, Mechanism, MediationQuery, Noise, Scm};
    ///
    /// let diagram = Diagram::parse("x -> m; x -> y; m -> y")?;
    /// let [x, m, y] = ["x", "m", "y"].map(|name| diagram.node(name).unwrap());
    /// let product = CustomMechanism::new(|parents, noise| parents[0] * parents[1] + noise);
    /// let model = Scm::builder(diagram)
    ///     .node(x, Mechanism::linear(0.0, &[]), Noise::STANDARD)
    ///     .node(m, Mechanism::linear(0.0, &[(x, 1.0)]), Noise::STANDARD)
    ///     .node(y, Mechanism::Custom(product), Noise::STANDARD)
    ///     .build()?;
    /// let query = MediationQuery { treatment: x, outcome: y, mediators: vec![m], from: 0.0, to: 1.0 };
    /// let effects = model.mediation(&query, 10_000, 1)?;
    /// assert!((effects.total - 1.0).abs() < 0.05);
    /// assert!(effects.natural_direct.abs() < 0.05 && effects.natural_indirect.abs() < 1e-12);
    /// # Ok::<(), ctl_graph::model::ModelError>(())
    /// ```
    pub fn mediation(
        &self,
        query: &MediationQuery<f64>,
        samples: usize,
        seed: u64,
    ) -> Result<Mediation, ModelError> {
        check(self.diagram(), query)?;
        validate::positive("samples", samples as f64)?;
        let size = self.diagram().len();
        let mut streams: Vec<_> = (0..size).map(|node| stream(seed, node)).collect();
        let levels = [query.from, query.to];
        let mut sums = [[0.0; 2]; 2];
        for _ in 0..samples {
            let draw = self.diagram().ids().zip(&mut streams);
            let noises: Vec<f64> = draw
                .map(|(node, stream)| self.assignment(node).noise.sample(stream))
                .collect();
            for (mediated, row) in levels.iter().zip(&mut sums) {
                let mut fixed = vec![None; size];
                fixed[query.treatment.index()] = Some(*mediated);
                let inner = self.play(&noises, &fixed)?;
                for &node in &query.mediators {
                    fixed[node.index()] = Some(inner[node.index()]);
                }
                for (set, sum) in levels.iter().zip(row) {
                    fixed[query.treatment.index()] = Some(*set);
                    *sum += self.play(&noises, &fixed)?[query.outcome.index()];
                }
            }
        }
        let mean = |mediated: usize, set: usize| sums[mediated][set] / samples as f64;
        Ok(Mediation::of_means(
            mean(0, 0),
            mean(1, 1),
            mean(0, 1),
            mean(1, 0),
        ))
    }

    /// Every node's value for given noises, where some values are fixed.
    fn play(&self, noises: &[f64], fixed: &[Option<f64>]) -> Result<Vec<f64>, ModelError> {
        let mut values = vec![0.0; noises.len()];
        for &node in self.diagram().topological_order() {
            let i = node.index();
            values[i] = match fixed[i] {
                Some(value) => value,
                None => self.evaluate(node, &values, noises[i])?,
            };
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Mechanism, Noise};

    #[test]
    fn sampling_agrees_with_the_closed_form() {
        let diagram = Diagram::parse("x -> m -> n -> y; x -> y; m -> y").unwrap();
        let [x, m, n, y] = ["x", "m", "n", "y"].map(|name| diagram.node(name).unwrap());
        let edges = [
            (x, m, 1.5),
            (m, n, -2.0),
            (n, y, 0.5),
            (x, y, 1.0),
            (m, y, 0.25),
        ];
        let exact = edges
            .iter()
            .fold(
                LinearGaussian::builder(diagram.clone()),
                |builder, &(from, to, value)| builder.coefficient(from, to, value),
            )
            .build()
            .unwrap();
        let builder = diagram
            .ids()
            .fold(Scm::builder(diagram.clone()), |builder, node| {
                let into = edges.iter().filter(|(_, to, _)| *to == node);
                let parents: Vec<_> = into.map(|&(from, _, value)| (from, value)).collect();
                builder.node(node, Mechanism::linear(0.0, &parents), Noise::STANDARD)
            });
        let sampled = builder.build().unwrap();
        let query = |mediators| MediationQuery {
            treatment: x,
            outcome: y,
            mediators,
            from: -1.0,
            to: 1.0,
        };
        for mediators in [vec![m], vec![n], vec![m, n], vec![]] {
            let query = query(mediators);
            let (exact, sampled) = (
                exact.mediation(&query).unwrap(),
                sampled.mediation(&query, 50, 3).unwrap(),
            );
            // The noises cancel in every contrast of a linear model.
            assert!((exact.total - sampled.total).abs() < 1e-9);
            assert!((exact.natural_direct - sampled.natural_direct).abs() < 1e-9);
            assert!((exact.natural_indirect - sampled.natural_indirect).abs() < 1e-9);
        }
        // Past n: x -> y and x -> m -> y, by hand 2 · (1 + 1.5 · 0.25).
        let past_n = exact.mediation(&query(vec![n])).unwrap();
        assert!((past_n.natural_direct - 2.75).abs() < 1e-12);
        let own = exact.mediation(&query(vec![x]));
        assert!(matches!(own, Err(ModelError::Repeated { .. })));
        assert!(matches!(
            sampled.mediation(&query(vec![m]), 0, 1),
            Err(ModelError::Value { .. })
        ));
    }
}
