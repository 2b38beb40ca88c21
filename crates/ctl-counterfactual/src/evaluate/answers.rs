//! Whoever can be asked what facts would have been.

use crate::{Acts, Records, Result, Schema, StructuralModel};

/// Whatever says what facts would have been: a structural causal model, a generator without one, or
/// a simulator that knows.
///
/// Every [`StructuralModel`] is one. The measures of soundness ask nothing more.
///
/// # Examples
/// Whoever answers that nothing would be otherwise is perfectly composed, whatever was asked.
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use ctl_counterfactual::{Acts, Answers, Columns, Kind, Records, Result, Schema, composition};
/// use ctl_graph::Diagram;
///
/// struct Unmoved(Schema);
///
/// impl Answers for Unmoved {
///     fn variables(&self) -> &Schema {
///         &self.0
///     }
///
///     fn answer(&self, facts: &Records, _: &Acts, _: u64) -> Result<Records> {
///         Ok(facts.clone())
///     }
/// }
///
/// let kinds = [("age", Kind::REAL), ("image", Kind::Image { shape: [1, 2, 2] })];
/// let schema = Schema::new(Diagram::parse("age -> image").unwrap(), &kinds)?;
/// let images = Tensor::ones((1, 1, 2, 2), DType::F32, &Device::Cpu).unwrap();
/// let facts = Records::new(&schema, Columns::new(&schema, &[("age", vec![60.0])])?, Some(images))?;
/// assert_eq!(composition(&Unmoved(schema), &facts, 2, 0)?.l1, [0.0, 0.0]);
/// # Ok::<(), ctl_counterfactual::CounterfactualError>(())
/// ```
pub trait Answers {
    /// The diagram and what its nodes hold.
    fn variables(&self) -> &Schema;

    /// The facts under interventions; the same seed gives the same answer.
    ///
    /// # Errors
    /// When facts or interventions do not suit.
    fn answer(&self, facts: &Records, acts: &Acts, seed: u64) -> Result<Records>;
}

impl<M: StructuralModel + ?Sized> Answers for M {
    fn variables(&self) -> &Schema {
        self.schema()
    }

    fn answer(&self, facts: &Records, acts: &Acts, seed: u64) -> Result<Records> {
        self.counterfactual(facts, acts, seed)
    }
}
