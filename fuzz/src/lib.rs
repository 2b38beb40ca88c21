//! What the targets share: a bound on the memory that a reader takes, and what inputs claim to be.

use peak_alloc::PeakAlloc;

pub mod claims;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Times the bytes of the input and of what it declares that a reader may hold at once.
const FACTOR: usize = 4;

/// Bytes that are no business of the input's size: windows of inflaters, read buffers, and tables
/// and threads that are made once, for the first input.
const WORKSPACE: usize = 8 << 20;

/// Most bytes that deflate makes of one (RFC 1951, section 3.2.5: 258 bytes of two bits).
pub const DEFLATE: usize = 1032;

/// Reads an input and panics if that took more memory at once than four times its own bytes and
/// those that it declares.
///
/// # Arguments
/// * `input`: bytes of the input.
/// * `read`: what is watched.
/// * `declared`: bytes of what was read; where nothing was, the most that a reader may believe of
///   an input so long.
///
/// # Returns
/// What `read` does.
pub fn bounded<T>(input: usize, read: impl FnOnce() -> T, declared: impl FnOnce(&T) -> usize) -> T {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let result = read();
    let taken = MEMORY.peak_usage().saturating_sub(before);
    let declared = declared(&result);
    let allowed = FACTOR
        .saturating_mul(input.saturating_add(declared))
        .saturating_add(WORKSPACE);
    assert!(
        taken <= allowed,
        "{taken} bytes of memory for an input of {input} that declares {declared}"
    );
    result
}
