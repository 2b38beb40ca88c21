//! Laws that objectives, losses, discriminators and settings keep for all inputs.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod discriminator;
mod gradients;
mod ill_settings;
mod losses;
mod objectives;
mod settings;
mod state;
mod support;
