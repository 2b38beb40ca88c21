//! Small environments for the methods' own tests.

use candle_core::{Device, Tensor};

use crate::{
    BuildContext, Configured, EnvironmentOutputs, Method, MethodConfig, MethodInfo, Objective,
    SoftmaxCrossEntropy, Step, Value,
};

/// An environment of two-class logits; the features are the logits themselves.
pub(crate) fn classification(
    index: usize,
    logits: &[[f64; 2]],
    labels: &[u32],
) -> EnvironmentOutputs {
    let outputs = Tensor::from_vec(logits.concat(), (logits.len(), 2), &Device::Cpu).unwrap();
    let target = Tensor::new(labels, &Device::Cpu).unwrap();
    EnvironmentOutputs::labelled(index, outputs.clone(), outputs, target)
}

/// The value of an objective at step 0 under cross-entropy.
pub(crate) fn evaluate(
    objective: &mut dyn Objective,
    environments: &[EnvironmentOutputs],
) -> Value {
    evaluate_at(objective, environments, 0)
}

/// The value of an objective at a given step under cross-entropy.
pub(crate) fn evaluate_at(
    objective: &mut dyn Objective,
    environments: &[EnvironmentOutputs],
    number: u64,
) -> Value {
    let loss = &SoftmaxCrossEntropy;
    objective
        .evaluate(&Step {
            number,
            environments,
            loss,
        })
        .unwrap()
}

/// What a run of so many steps over two environments gives the parts of a method.
pub(crate) fn context(steps: u64) -> BuildContext<'static> {
    BuildContext {
        environments: 2,
        features: 2,
        outputs: 2,
        steps,
        independences: &[],
        seed: 0,
        run: "tests",
    }
}

/// Checks the settings of a method: defaults are valid, every setting is described and has a value
/// that is refused by name, every draw of a search is valid.
///
/// # Arguments
/// - `ill`: setting, value as JSON, what the message says is allowed.
pub(crate) fn check_settings<C: MethodConfig>(info: MethodInfo, ill: &[(&str, &str, &str)]) {
    let method = Configured::<C>::new(info);
    let defaults = method.defaults();
    assert_eq!(method.resolve(&serde_json::json!({})).unwrap(), defaults);
    for key in defaults.as_object().unwrap().keys() {
        let described = &method.schema()["properties"][key]["description"];
        assert!(described.is_string(), "{key}");
        assert!(ill.iter().any(|(name, ..)| name == key), "{key}");
    }
    for (key, value, allowed) in ill {
        let settings = format!("{{\"{key}\": {value}}}");
        let settings = serde_json::from_str(&settings).unwrap();
        let message = method.resolve(&settings).unwrap_err().to_string();
        assert!(message.contains(info.id), "{message}");
        assert!(
            message.contains(key) && message.contains(allowed),
            "{message}"
        );
    }
    for draw in 0..100 {
        let drawn = method.search_space().into_iter().map(|dimension| {
            let value = dimension.sample(1, info.id, draw);
            (dimension.key.to_owned(), value)
        });
        let settings = serde_json::Value::Object(drawn.collect());
        method.resolve(&settings).unwrap();
    }
}
