//! Generators of changed images that need no deep model.

mod inpaint;
mod pixels;
mod region;

pub use inpaint::{InpaintConfig, Smoothness, Texture, filled, inpaint};
