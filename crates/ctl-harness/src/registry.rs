//! The registry of methods: one line each.

use std::collections::BTreeMap;

use ctl_invariance::methods::back_door::BackDoorConfig;
use ctl_invariance::methods::bbse::BbseConfig;
use ctl_invariance::methods::class_balanced::ClassBalancedConfig;
use ctl_invariance::methods::coral::CoralConfig;
use ctl_invariance::methods::dann::DannConfig;
use ctl_invariance::methods::em::EmConfig;
use ctl_invariance::methods::erm::ErmConfig;
use ctl_invariance::methods::front_door::FrontDoorConfig;
use ctl_invariance::methods::graph_penalty::GraphPenaltyConfig;
use ctl_invariance::methods::group_dro::GroupDroConfig;
use ctl_invariance::methods::irm::IrmConfig;
use ctl_invariance::methods::mixup::MixupConfig;
use ctl_invariance::methods::mm_rex::MmRexConfig;
use ctl_invariance::methods::mmd::MmdConfig;
use ctl_invariance::methods::transport_weighting::TransportWeightingConfig;
use ctl_invariance::methods::v_rex::VRexConfig;
use ctl_invariance::methods::{
    back_door, bbse, class_balanced, coral, dann, em, erm, front_door, graph_penalty, group_dro,
    irm, mixup, mm_rex, mmd, reference, transport_weighting, v_rex,
};
use ctl_invariance::{Configured, Method};
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
        let methods: Vec<Box<dyn Method>> = vec![
            Box::new(Configured::<ErmConfig>::new(erm::INFO)),
            Box::new(Configured::<ErmConfig>::new(erm::ORACLE_INFO)),
            Box::new(Configured::<ErmConfig>::new(reference::TARGET_INFO)),
            Box::new(Configured::<ErmConfig>::new(reference::UNCONFOUNDED_INFO)),
            Box::new(Configured::<ErmConfig>::new(reference::BAYES_INFO)),
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
            Box::new(Configured::<BbseConfig>::new(bbse::INFO)),
            Box::new(Configured::<EmConfig>::new(em::INFO)),
            Box::new(Configured::<ClassBalancedConfig>::new(class_balanced::INFO)),
            Box::new(Configured::<BackDoorConfig>::new(back_door::INFO)),
            Box::new(Configured::<TransportWeightingConfig>::new(
                transport_weighting::INFO,
            )),
            Box::new(Configured::<FrontDoorConfig>::new(front_door::INFO)),
            Box::new(Configured::<GraphPenaltyConfig>::new(graph_penalty::INFO)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_a_second_registration_is_refused() {
        let mut registry = Registry::standard();
        let again = Box::new(Configured::<ErmConfig>::new(erm::INFO));
        assert!(matches!(
            registry.register(again),
            Err(HarnessError::Duplicate { .. })
        ));
        assert_eq!(registry.iter().count(), 22);
    }
}
