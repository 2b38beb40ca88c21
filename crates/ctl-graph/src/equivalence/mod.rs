//! Markov equivalence: CPDAGs, ancestral graphs and what their members share.
