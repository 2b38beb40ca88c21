//! The registry of methods: one line each.

use std::collections::BTreeMap;

use ctl_counterfactual::methods as cf;
use ctl_invariance::methods as m;
use ctl_invariance::{Configured, Method, MethodConfig, MethodInfo};
use serde_json::json;

use crate::{HarnessError, Result};

/// Every method that suites can name.
///
/// # Examples
/// ```
/// use ctl_harness::Registry;
///
/// let registry = Registry::standard();
/// assert_eq!(registry.get("irm")?.info().name, "IRM");
/// let message = registry.get("irn").err().map(|error| error.to_string());
/// assert!(message.is_some_and(|text| text.contains("expected one of")));
/// # Ok::<(), ctl_harness::HarnessError>(())
/// ```
#[derive(Default)]
pub struct Registry {
    methods: BTreeMap<&'static str, Box<dyn Method>>,
}

impl Registry {
    /// A registry without methods.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The methods of this workspace.
    pub fn standard() -> Self {
        let methods = [
            of::<m::adabn::AdabnConfig>(m::adabn::INFO),
            of::<m::anchor_regression::AnchorRegressionConfig>(m::anchor_regression::INFO),
            of::<m::and_mask::AndMaskConfig>(m::and_mask::INFO),
            of::<m::arm::ArmConfig>(m::arm::INFO),
            of::<m::augment::AugmentConfig>(m::augment::INFO),
            of::<m::back_door::BackDoorConfig>(m::back_door::INFO),
            of::<m::bbse::BbseConfig>(m::bbse::INFO),
            of::<m::birm::BirmConfig>(m::birm::INFO),
            of::<m::cacm::CacmConfig>(m::cacm::INFO),
            of::<m::causirl::CausirlCoralConfig>(m::causirl::CORAL_INFO),
            of::<m::causirl::CausirlMmdConfig>(m::causirl::MMD_INFO),
            of::<m::cdann::CdannConfig>(m::cdann::INFO),
            of::<m::cirl::CirlConfig>(m::cirl::INFO),
            of::<m::class_balanced::ClassBalancedConfig>(m::class_balanced::INFO),
            of::<m::combat::CombatConfig>(m::combat::INFO),
            of::<m::coral::CoralConfig>(m::coral::INFO),
            of::<m::coral::CoralConfig>(m::coral::TARGET_INFO),
            of::<cf::augmentation::CounterfactualAugmentationConfig>(cf::augmentation::INFO),
            of::<cf::consistency::CounterfactualConsistencyConfig>(cf::consistency::INFO),
            of::<cf::contrastive::CounterfactualContrastiveConfig>(cf::contrastive::INFO),
            of::<m::counterfactual_invariance::CounterfactualInvarianceConfig>(
                m::counterfactual_invariance::INFO,
            ),
            of::<cf::scanner::CounterfactualScannerConfig>(cf::scanner::INFO),
            of::<m::dann::DannConfig>(m::dann::INFO),
            of::<m::dann::DannConfig>(m::dann::TARGET_INFO),
            of::<m::deep_coral::DeepCoralConfig>(m::deep_coral::INFO),
            of::<m::em::EmConfig>(m::em::INFO),
            of::<m::eqrm::EqrmConfig>(m::eqrm::INFO),
            of::<m::erm::ErmConfig>(m::erm::INFO),
            of::<m::erm::ErmConfig>(m::erm::ORACLE_INFO),
            of::<m::erm_plus_plus::ErmPlusPlusConfig>(m::erm_plus_plus::INFO),
            of::<m::fact::FactConfig>(m::fact::INFO),
            of::<m::fda::FdaConfig>(m::fda::INFO),
            of::<m::fish::FishConfig>(m::fish::INFO),
            of::<m::fishr::FishrConfig>(m::fishr::INFO),
            of::<m::front_door::FrontDoorConfig>(m::front_door::INFO),
            of::<m::gin_ipa::GinIpaConfig>(m::gin_ipa::INFO),
            of::<m::group_dro::GroupDroConfig>(m::group_dro::INFO),
            of::<m::histogram_matching::HistogramMatchingConfig>(m::histogram_matching::INFO),
            of::<m::ib_erm::IbErmConfig>(m::ib_erm::INFO),
            of::<m::ib_irm::IbIrmConfig>(m::ib_irm::INFO),
            of::<m::icp::IcpConfig>(m::icp::INFO),
            of::<m::iga::IgaConfig>(m::iga::INFO),
            of::<m::importance_weighting::ImportanceWeightingConfig>(m::importance_weighting::INFO),
            of::<m::invariant_subset::InvariantSubsetConfig>(m::invariant_subset::INFO),
            of::<m::irm::IrmConfig>(m::irm::INFO),
            of::<m::mcd::McdConfig>(m::mcd::INFO),
            of::<m::mixstyle::MixStyleConfig>(m::mixstyle::INFO),
            of::<m::mixup::MixupConfig>(m::mixup::INFO),
            of::<m::mldg::MldgConfig>(m::mldg::INFO),
            of::<m::mm_rex::MmRexConfig>(m::mm_rex::INFO),
            of::<m::mmd::MmdConfig>(m::mmd::INFO),
            of::<m::mmd::MmdConfig>(m::mmd::TARGET_INFO),
            of::<m::mtl::MtlConfig>(m::mtl::INFO),
            of::<m::nyul::NyulConfig>(m::nyul::INFO),
            of::<m::pseudo_label::PseudoLabelConfig>(m::pseudo_label::INFO),
            of::<m::rdm::RdmConfig>(m::rdm::INFO),
            of::<m::erm::ErmConfig>(m::reference::BAYES_INFO),
            of::<m::erm::ErmConfig>(m::reference::TARGET_INFO),
            of::<m::erm::ErmConfig>(m::reference::UNCONFOUNDED_INFO),
            of::<m::rlls::RllsConfig>(m::rlls::INFO),
            of::<m::rsc::RscConfig>(m::rsc::INFO),
            of::<m::sagnet::SagNetConfig>(m::sagnet::INFO),
            of::<m::sand_mask::SandMaskConfig>(m::sand_mask::INFO),
            of::<m::sd::SdConfig>(m::sd::INFO),
            of::<m::selfreg::SelfRegConfig>(m::selfreg::INFO),
            of::<m::swa::SwaConfig>(m::swa::INFO),
            of::<m::swad::SwadConfig>(m::swad::INFO),
            of::<m::tent::TentConfig>(m::tent::INFO),
            of::<m::transport_weighting::TransportWeightingConfig>(m::transport_weighting::INFO),
            of::<m::trm::TrmConfig>(m::trm::INFO),
            of::<m::v_rex::VRexConfig>(m::v_rex::INFO),
        ];
        let methods = methods.into_iter().map(|m| (m.info().id, m)).collect();
        Self { methods }
    }

    /// Adds a method, from this workspace or from any other crate.
    ///
    /// # Errors
    /// When a method of that id is registered already.
    pub fn register(&mut self, method: Box<dyn Method>) -> Result<()> {
        let id = method.info().id;
        if self.methods.contains_key(id) {
            return Err(HarnessError::Duplicate { id: id.to_owned() });
        }
        self.methods.insert(id, method);
        Ok(())
    }

    /// A method by id.
    ///
    /// # Errors
    /// When there is none of that id; the message lists those there are.
    pub fn get(&self, id: &str) -> Result<&dyn Method> {
        self.methods
            .get(id)
            .map(AsRef::as_ref)
            .ok_or_else(|| HarnessError::Unknown {
                what: "method",
                name: id.to_owned(),
                known: self.methods.keys().map(|&id| id.to_owned()).collect(),
            })
    }

    /// All methods, by id.
    pub fn iter(&self) -> impl Iterator<Item = &dyn Method> {
        self.methods.values().map(AsRef::as_ref)
    }

    /// The methods as a JSON array: description, defaults, schema and search space of each.
    pub fn to_json(&self) -> serde_json::Value {
        let entries = self.iter().map(|method| {
            json!({
                "id": method.info().id,
                "info": method.info(),
                "defaults": method.defaults(),
                "schema": method.schema(),
                "search_space": method.search_space(),
            })
        });
        entries.collect::<Vec<_>>().into()
    }
}

/// The method that settings and a description make.
fn of<C: MethodConfig>(info: MethodInfo) -> Box<dyn Method> {
    Box::new(Configured::<C>::new(info))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_a_second_registration_is_refused() {
        let mut registry = Registry::standard();
        let again = of::<m::erm::ErmConfig>(m::erm::INFO);
        assert!(matches!(
            registry.register(again),
            Err(HarnessError::Duplicate { .. })
        ));
        assert_eq!(registry.iter().count(), 71);
    }
}
