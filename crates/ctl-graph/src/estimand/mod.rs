//! Estimands as expressions that simplify, print and evaluate.
