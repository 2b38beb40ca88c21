//! Identification of interventional and counterfactual queries.
