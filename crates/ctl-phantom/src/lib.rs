//! Simulated imaging cohorts with a known structural causal model.
