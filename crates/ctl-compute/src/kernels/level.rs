//! Which vector instructions the kernels use.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::{ComputeError, Result};

/// A set of vector instructions, from the weakest to the strongest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Portable code, on every processor.
    Portable = 1,
    /// 128-bit vectors of 64-bit ARM.
    Neon = 2,
    /// 256-bit vectors with fused multiply-add.
    Avx2 = 3,
    /// 512-bit vectors.
    Avx512 = 4,
    /// Portable code with the tiles of [`Level::Avx512`], whose instructions memory checkers do not
    /// know.
    #[cfg(test)]
    Emulated = 5,
}

impl Level {
    const ALL: [Self; 4] = [Self::Portable, Self::Neon, Self::Avx2, Self::Avx512];

    /// Lower-case name, as [`Level::from_name`] reads it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Neon => "neon",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            #[cfg(test)]
            Self::Emulated => "emulated",
        }
    }

    /// The level of that name.
    ///
    /// # Errors
    /// When no level has that name, or this processor lacks it.
    pub fn from_name(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|level| level.name() == name && level.is_available())
            .ok_or_else(|| absent(name))
    }

    /// Whether this processor has the instructions.
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(test)]
            Self::Emulated => true,
            Self::Neon => cfg!(target_arch = "aarch64"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                std::arch::is_x86_feature_detected!("avx2")
                    && std::arch::is_x86_feature_detected!("fma")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                Self::Avx2.is_available()
                    && std::arch::is_x86_feature_detected!("avx512f")
                    && std::arch::is_x86_feature_detected!("avx512vl")
                    && std::arch::is_x86_feature_detected!("avx512dq")
                    && std::arch::is_x86_feature_detected!("avx512bw")
            }
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }

    /// The levels that this processor has, weakest first.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|level| level.is_available())
    }
}

/// 0 until the first use.
static SELECTED: AtomicU8 = AtomicU8::new(0);

/// The level that kernels use: the strongest available, or the one that was [`force`]d.
pub fn selected() -> Level {
    match SELECTED.load(Ordering::Relaxed) {
        1 => Level::Portable,
        2 => Level::Neon,
        3 => Level::Avx2,
        4 => Level::Avx512,
        #[cfg(test)]
        5 => Level::Emulated,
        _ => {
            let best = Level::available().last().unwrap_or(Level::Portable);
            SELECTED.store(best as u8, Ordering::Relaxed);
            best
        }
    }
}

/// Makes every kernel of this process use `level` from now on; for tests and measurements.
///
/// # Errors
/// When this processor lacks it.
pub fn force(level: Level) -> Result<()> {
    if !level.is_available() {
        return Err(absent(level.name()));
    }
    SELECTED.store(level as u8, Ordering::Relaxed);
    Ok(())
}

fn absent(name: &str) -> ComputeError {
    ComputeError::Option {
        op: "kernels",
        key: "level",
        expected: "the name of a level that this processor has",
        found: name.to_owned(),
    }
}

/// Compiles one portable body once per level and runs the copy of the selected level.
///
/// The body is an `#[inline(always)]` function; rustc never fuses a product with a sum by itself,
/// so that all copies of a body without `mul_add` give the same bits.
macro_rules! multiversion {
    (
        $(#[$meta:meta])*
        $vis:vis fn $name:ident $(<$generic:ident : $bound:path>)? ($($arg:ident : $ty:ty),* $(,)?)
            $(-> $ret:ty)? = $body:path;
    ) => {
        $(#[$meta])*
        $vis fn $name $(<$generic: $bound>)? ($($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
                fn avx512 $(<$generic: $bound>)? ($($arg: $ty),*) $(-> $ret)? {
                    $body($($arg),*)
                }
                #[target_feature(enable = "avx2,fma")]
                fn avx2 $(<$generic: $bound>)? ($($arg: $ty),*) $(-> $ret)? {
                    $body($($arg),*)
                }
                match $crate::kernels::level::selected() {
                    $crate::kernels::level::Level::Avx512 => {
                        // SAFETY: a level is selected only where the processor has it.
                        return unsafe { avx512($($arg),*) };
                    }
                    $crate::kernels::level::Level::Avx2 => {
                        // SAFETY: as above.
                        return unsafe { avx2($($arg),*) };
                    }
                    _ => {}
                }
            }
            $body($($arg),*)
        }
    };
}

pub(crate) use multiversion;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for level in Level::available() {
            assert_eq!(Level::from_name(level.name()).unwrap(), level);
        }
        let error = Level::from_name("avx1024").unwrap_err().to_string();
        assert!(error.contains("avx1024"), "{error}");
    }

    #[test]
    fn the_strongest_is_taken() {
        let best = Level::available().max().unwrap();
        assert_eq!(Level::available().last(), Some(best));
    }
}
