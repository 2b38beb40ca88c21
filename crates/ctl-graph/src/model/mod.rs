//! Structural causal models: sampling, intervening, counterfactuals, fitting.
