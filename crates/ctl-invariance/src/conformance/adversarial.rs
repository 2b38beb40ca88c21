//! Objectives with a discriminator.

use candle_core::Tensor;
use serde_json::{Map, Value};

use super::case::{Case, Problem, elements, tensor, written};
use super::environments::{Inputs, evaluate, risks, term};
use crate::methods::cdann::{Cdann, CdannConfig};
use crate::methods::dann::{Dann, DannConfig};
use crate::methods::erm::Aggregation;
use crate::{Discriminator, MethodConfig, Objective};

type Fields = Result<Map<String, Value>, Problem>;

pub(super) fn dann(case: &Case<'_>) -> Fields {
    case.expect_variant(&["", "unlabelled-target"])?;
    let config = DannConfig {
        lambda: case.number("lambda")?,
        grad_penalty: case.number("grad_penalty")?,
        ..DannConfig::default()
    };
    config.validate("dann")?;
    fields(case, &mut Dann::new(config, given_discriminator(case)?))
}

/// The discriminator sees the features alone; its classes weigh the same.
pub(super) fn cdann(case: &Case<'_>) -> Fields {
    case.expect_variant(&[""])?;
    let config = CdannConfig {
        lambda: case.number("lambda")?,
        grad_penalty: case.number("grad_penalty")?,
        ..CdannConfig::default()
    };
    config.validate("cdann")?;
    fields(
        case,
        &mut Cdann::new(config, given_discriminator(case)?, None),
    )
}

fn fields(case: &Case<'_>, objective: &mut dyn Objective) -> Fields {
    case.expect_aggregation(Aggregation::Pooled)?;
    let inputs = Inputs::read(case, case.part("envs"))?;
    inputs.features()?;
    let outputs = inputs.outputs()?;
    let value = evaluate(case.loss, &outputs, objective)?;
    let mut fields = inputs.differentiate(&value.total)?;
    fields.insert("risks".to_owned(), risks(case.loss, &outputs)?);
    for (field, name) in [
        ("class_loss", "risk"),
        ("disc_loss", "discriminator-loss"),
        ("disc_loss_no_penalty", "discriminator-cross-entropy"),
        ("grad_penalty", "discriminator-gradient-penalty"),
    ] {
        fields.insert(field.to_owned(), term(&value, name)?);
    }
    let reversed = value
        .terms
        .iter()
        .find(|(name, _)| *name == "discriminator-loss");
    if let Some((_, loss)) = reversed {
        let gradients = inputs.feature_gradients(loss)?;
        fields.insert("grad_features_disc_loss".to_owned(), gradients);
    }
    fields.insert(
        "disc_logits".to_owned(),
        discriminator_logits(case, &inputs)?,
    );
    Ok(fields)
}

/// One linear layer, or a list of `layers` with `ReLU` between them, with the case's weights.
fn given_discriminator(case: &Case<'_>) -> Result<Discriminator, Problem> {
    let given = case.part("discriminator");
    let layers = match &given["layers"] {
        Value::Null => std::slice::from_ref(given),
        layers => elements("discriminator.layers", layers)?,
    };
    let weights = layers.iter().map(|layer| {
        let weight = tensor("discriminator.weight", &layer["weight"])?;
        Ok((weight, tensor("discriminator.bias", &layer["bias"])?))
    });
    let weights = weights.collect::<Result<Vec<(Tensor, Tensor)>, Problem>>()?;
    Ok(Discriminator::from_weights(&weights)?)
}

fn discriminator_logits(case: &Case<'_>, inputs: &Inputs) -> Result<Value, Problem> {
    let discriminator = given_discriminator(case)?;
    let features = inputs.features()?.into_iter();
    let logits = features.map(|features| written(&discriminator.logits(features)?));
    logits.collect()
}
