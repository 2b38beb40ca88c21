//! Simulates a chest-film cohort and writes it to a folder.
//!
//! ```text
//! cargo run --release -p ctl-phantom --example write_chest -- DIR [SPEC.json]
//! ```
//!
//! The specification holds any of `ctl_phantom::ChestSpec`'s fields, as in `{"confounding": 1}`.

use std::error::Error;
use std::path::Path;

use ctl_phantom::{ChestSpec, simulate_chest};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().ok_or("name the folder to write")?;
    let spec = match arguments.next() {
        Some(file) => serde_json::from_str(&std::fs::read_to_string(file)?)?,
        None => ChestSpec::default(),
    };
    simulate_chest(&spec)?.write(Path::new(&dir))?;
    Ok(())
}
