//! Chest-film-like images from an explicit structural causal model.

mod body;
mod film;

pub(crate) use body::Chest;
