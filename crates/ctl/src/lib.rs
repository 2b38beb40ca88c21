//! Facade: every crate of the toolkit behind a feature.
