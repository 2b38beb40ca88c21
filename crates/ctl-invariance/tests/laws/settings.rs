//! Settings: ranges, unknown keys, defaults, search spaces.

use ctl_invariance::methods::{
    birm::{self, BirmConfig},
    cacm::{self, CacmConfig},
    causirl::{self, CausirlCoralConfig, CausirlMmdConfig},
    cdann::{self, CdannConfig},
    coral::{self, CoralConfig},
    counterfactual_invariance::{self, CounterfactualInvarianceConfig},
    dann::{self, DannConfig},
    deep_coral::{self, DeepCoralConfig},
    eqrm::{self, EqrmConfig},
    erm::{self, ErmConfig},
    group_dro::{self, GroupDroConfig},
    ib_erm::{self, IbErmConfig},
    ib_irm::{self, IbIrmConfig},
    importance_weighting::{self, ImportanceWeightingConfig},
    irm::{self, IrmConfig},
    mixup::{self, MixupConfig},
    mm_rex::{self, MmRexConfig},
    mmd::{self, MmdConfig},
    rdm::{self, RdmConfig},
    rlls::{self, RllsConfig},
    sd::{self, SdConfig},
    selfreg::{self, SelfRegConfig},
    trm::{self, TrmConfig},
    v_rex::{self, VRexConfig},
};
use ctl_invariance::{BuildContext, ConfigError, Configured, Method, MethodConfig};
use serde_json::{Map, Value, json};

use crate::ill_settings::ILL;
use crate::support::{CLASSES, FEATURES, environment, evaluate, scalar};

const DRAWS: u64 = 200;

fn methods() -> Vec<Box<dyn Method>> {
    vec![
        Box::new(Configured::<ErmConfig>::new(erm::INFO)),
        Box::new(Configured::<ErmConfig>::new(erm::ORACLE_INFO)),
        Box::new(Configured::<IrmConfig>::new(irm::INFO)),
        Box::new(Configured::<VRexConfig>::new(v_rex::INFO)),
        Box::new(Configured::<MmRexConfig>::new(mm_rex::INFO)),
        Box::new(Configured::<GroupDroConfig>::new(group_dro::INFO)),
        Box::new(Configured::<CoralConfig>::new(coral::INFO)),
        Box::new(Configured::<CoralConfig>::new(coral::TARGET_INFO)),
        Box::new(Configured::<MmdConfig>::new(mmd::INFO)),
        Box::new(Configured::<DannConfig>::new(dann::INFO)),
        Box::new(Configured::<DannConfig>::new(dann::TARGET_INFO)),
        Box::new(Configured::<MixupConfig>::new(mixup::INFO)),
        Box::new(Configured::<DeepCoralConfig>::new(deep_coral::INFO)),
        Box::new(Configured::<MmdConfig>::new(mmd::TARGET_INFO)),
        Box::new(Configured::<CdannConfig>::new(cdann::INFO)),
        Box::new(Configured::<SdConfig>::new(sd::INFO)),
        Box::new(Configured::<SelfRegConfig>::new(selfreg::INFO)),
        Box::new(Configured::<ImportanceWeightingConfig>::new(
            importance_weighting::INFO,
        )),
        Box::new(Configured::<RllsConfig>::new(rlls::INFO)),
        Box::new(Configured::<IbErmConfig>::new(ib_erm::INFO)),
        Box::new(Configured::<IbIrmConfig>::new(ib_irm::INFO)),
        Box::new(Configured::<CausirlCoralConfig>::new(causirl::CORAL_INFO)),
        Box::new(Configured::<CausirlMmdConfig>::new(causirl::MMD_INFO)),
        Box::new(Configured::<EqrmConfig>::new(eqrm::INFO)),
        Box::new(Configured::<RdmConfig>::new(rdm::INFO)),
        Box::new(Configured::<TrmConfig>::new(trm::INFO)),
        Box::new(Configured::<BirmConfig>::new(birm::INFO)),
        Box::new(Configured::<CounterfactualInvarianceConfig>::new(
            counterfactual_invariance::INFO,
        )),
        Box::new(Configured::<CacmConfig>::new(cacm::INFO)),
    ]
}

fn method(id: &str) -> Box<dyn Method> {
    let found = methods().into_iter().find(|m| m.info().id == id);
    found.unwrap()
}

#[test]
fn ill_values_are_named_with_what_is_allowed() {
    for (id, key, value, shown, allowed) in ILL {
        let value: Value = serde_json::from_str(value).unwrap();
        let settings = Value::from(Map::from_iter([((*key).to_owned(), value)]));
        let message = method(id).resolve(&settings).unwrap_err().to_string();
        for part in [*id, key, shown, allowed] {
            assert!(
                message.contains(part),
                "{id}.{key}: no {part:?} in: {message}"
            );
        }
    }
}

/// The table above leaves no setting out.
#[test]
fn every_setting_has_an_ill_value() {
    for method in methods() {
        let id = method.info().id;
        if id.ends_with("-target") || id.ends_with("-oracle") {
            continue;
        }
        for key in method.defaults().as_object().unwrap().keys() {
            let covered = ILL.iter().any(|(m, k, ..)| *m == id && k == key);
            assert!(covered, "{id}.{key}");
        }
    }
}

/// Numbers that no settings file can hold, but a caller can.
#[test]
fn numbers_that_are_not_finite_are_errors() {
    fn key(result: Result<(), ConfigError>) -> &'static str {
        match result {
            Err(ConfigError::Range { key, .. }) => key,
            other => panic!("expected a range error, found {other:?}"),
        }
    }
    for ill in [f64::NAN, f64::INFINITY] {
        let irm = IrmConfig {
            penalty_weight: ill,
            ..IrmConfig::default()
        };
        assert_eq!(key(irm.validate("irm")), "penalty_weight");
        let v_rex = VRexConfig {
            penalty_weight_before: ill,
            ..VRexConfig::default()
        };
        assert_eq!(key(v_rex.validate("v-rex")), "penalty_weight_before");
        let mm_rex = MmRexConfig {
            lambda_min: -ill,
            ..MmRexConfig::default()
        };
        assert_eq!(key(mm_rex.validate("mm-rex")), "lambda_min");
        assert_eq!(
            key(GroupDroConfig { eta: ill }.validate("group-dro")),
            "eta"
        );
        let coral = CoralConfig {
            penalty_weight: ill,
        };
        assert_eq!(key(coral.validate("coral")), "penalty_weight");
        let mmd = MmdConfig {
            gammas: vec![1.0, ill],
            ..MmdConfig::default()
        };
        assert_eq!(key(mmd.validate("mmd")), "gammas");
        let dann = DannConfig {
            discriminator_learning_rate: ill,
            ..DannConfig::default()
        };
        assert_eq!(key(dann.validate("dann")), "discriminator_learning_rate");
        let dann = DannConfig {
            discriminator_beta1: ill,
            ..DannConfig::default()
        };
        assert_eq!(key(dann.validate("dann")), "discriminator_beta1");
        assert_eq!(key(MixupConfig { alpha: ill }.validate("mixup")), "alpha");
        let eqrm = EqrmConfig {
            quantile: ill,
            ..EqrmConfig::default()
        };
        assert_eq!(key(eqrm.validate("eqrm")), "quantile");
        let rdm = RdmConfig {
            variance_weight: ill,
            ..RdmConfig::default()
        };
        assert_eq!(key(rdm.validate("rdm")), "variance_weight");
        let birm = BirmConfig {
            standard_deviation: ill,
            ..BirmConfig::default()
        };
        assert_eq!(key(birm.validate("birm")), "standard_deviation");
        let trm = TrmConfig {
            hessian_scale: ill,
            ..TrmConfig::default()
        };
        assert_eq!(key(trm.validate("trm")), "hessian_scale");
        let weighting = ImportanceWeightingConfig {
            clip: Some(ill),
            ..ImportanceWeightingConfig::default()
        };
        assert_eq!(key(weighting.validate("importance-weighting")), "clip");
        let selfreg = SelfRegConfig {
            alpha: ill,
            ..SelfRegConfig::default()
        };
        assert_eq!(key(selfreg.validate("selfreg")), "alpha");
        let rlls = RllsConfig {
            shrinkage: ill,
            ..RllsConfig::default()
        };
        assert_eq!(key(rlls.validate("rlls")), "shrinkage");
    }
}

#[test]
fn unknown_keys_and_other_forms_are_errors() {
    for method in methods() {
        let id = method.info().id;
        let error = method.resolve(&json!({"penalty_wieght": 1.0})).unwrap_err();
        let ConfigError::Shape { key, .. } = &error else {
            panic!("{id}: {error}");
        };
        assert_eq!(key, "penalty_wieght", "{id}");
        let message = error.to_string();
        assert!(
            message.contains(id) && message.contains("unknown field"),
            "{message}"
        );
        for ill in [
            json!([]),
            json!([1.0]),
            json!(null),
            json!(3),
            json!("fast"),
        ] {
            assert!(method.resolve(&ill).is_err(), "{id}: {ill}");
        }
    }
}

#[test]
fn defaults_are_valid_and_fill_in_what_is_missing() {
    for method in methods() {
        let id = method.info().id;
        let defaults = method.defaults();
        assert_eq!(method.resolve(&defaults).unwrap(), defaults, "{id}");
        assert_eq!(method.resolve(&json!({})).unwrap(), defaults, "{id}");
        let described = method.schema()["properties"].clone();
        for key in defaults.as_object().unwrap().keys() {
            assert!(described[key]["description"].is_string(), "{id}.{key}");
        }
    }
}

#[test]
fn every_draw_of_a_search_is_valid() {
    for method in methods() {
        let id = method.info().id;
        for draw in 0..DRAWS {
            let drawn = method.search_space().into_iter().map(|dimension| {
                let value = dimension.sample(3, id, draw);
                (dimension.key.to_owned(), value)
            });
            let settings = Value::from(drawn.collect::<Map<_, _>>());
            let resolved = method.resolve(&settings).unwrap();
            for (key, value) in settings.as_object().unwrap() {
                assert_eq!(&resolved[key], value, "{id}.{key}");
            }
        }
    }
}

#[test]
fn every_default_builds_an_objective_that_evaluates() {
    let context = BuildContext {
        environments: 2,
        features: FEATURES,
        outputs: CLASSES,
        steps: 100,
        independences: &[],
        seed: 0,
        run: "laws",
    };
    for method in methods() {
        let id = method.info().id;
        let mut parts = method.build(&method.defaults(), &context).unwrap();
        let mut environments = [environment(0, 4, 1), environment(1, 3, 2)];
        for environment in &mut environments {
            environment.features = environment
                .features
                .to_dtype(candle_core::DType::F32)
                .unwrap();
            environment.outputs = environment
                .outputs
                .to_dtype(candle_core::DType::F32)
                .unwrap();
        }
        if method.info().needs.target_images {
            environments[1].targets.clear();
        }
        // Before and after penalties set in.
        for step in [0, 5000] {
            let value = evaluate(parts.objective.as_mut(), &environments, step);
            assert!(scalar(&value.total).is_finite(), "{id} at {step}");
        }
        assert_eq!(
            parts.augmentations.len(),
            usize::from(id == "mixup"),
            "{id}"
        );
    }
}
