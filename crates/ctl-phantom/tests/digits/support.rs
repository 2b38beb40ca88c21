//! Where the shared data are, and digits that need none.

use std::path::{Path, PathBuf};

use ctl_phantom::digits::Plane;

/// The folder of MNIST's four files, where it is present.
pub(crate) fn mnist() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/mnist");
    root.join("train-images-idx3-ubyte.gz")
        .exists()
        .then_some(root)
}

/// Says that a test did not run, and why.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub(crate) fn skipped(what: &str) {
    eprintln!("skipped: {what} is not present");
}

/// Pieces `(x0, y0, x1, y1, radius)` drawn at 28 × 28 pixels with an edge one pixel wide.
pub(crate) fn draw(pieces: &[[f64; 5]]) -> Plane<u8> {
    let pixel = |index: usize| {
        let (y, x) = ((index / 28) as f64, (index % 28) as f64);
        let covered = pieces.iter().map(|piece| cover(*piece, x, y));
        (255.0 * covered.fold(0.0, f64::max) + 0.5).floor() as u8
    };
    Plane::new([28, 28], (0..784).map(pixel).collect()).unwrap()
}

fn cover([x0, y0, x1, y1, radius]: [f64; 5], x: f64, y: f64) -> f64 {
    let (dx, dy) = (x1 - x0, y1 - y0);
    let along = ((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy);
    let along = along.clamp(0.0, 1.0);
    let (px, py) = (x - (x0 + along * dx), y - (y0 + along * dy));
    (0.5 + radius - (px * px + py * py).sqrt()).clamp(0.0, 1.0)
}
