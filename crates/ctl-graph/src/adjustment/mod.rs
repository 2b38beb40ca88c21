//! Covariate adjustment, front-door sets and conditional instruments.
