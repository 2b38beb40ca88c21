//! The choice of kernels by the environment, for measurements and for looking at faults.

use std::ffi::OsStr;

use anyhow::{Context, bail};
use ctl_compute::kernels::conv::set_winograd;
use ctl_compute::kernels::level::{self, Level};

/// Names the vector instructions that kernels use.
pub(crate) const LEVEL: &str = "CTL_KERNELS";
/// Says whether wide 3×3 convolutions may use Winograd's scheme.
pub(crate) const WINOGRAD: &str = "CTL_WINOGRAD";

/// Follows the two variables; where they are absent everything stays as it is.
///
/// # Errors
/// When a value is not one of the allowed ones.
pub(crate) fn choose() -> anyhow::Result<()> {
    if let Some(name) = std::env::var_os(LEVEL) {
        let wanted = level_of(&name)?;
        level::force(wanted).context(LEVEL)?;
    }
    if let Some(state) = std::env::var_os(WINOGRAD) {
        set_winograd(switch_of(&state)?);
    }
    Ok(())
}

fn level_of(name: &OsStr) -> anyhow::Result<Level> {
    let found = Level::available().find(|level| name == level.name());
    let Some(level) = found else {
        let names: Vec<_> = Level::available().map(Level::name).collect();
        let names = names.join(", ");
        bail!(
            "{LEVEL} is `{}`; this processor allows {names}",
            name.display()
        );
    };
    Ok(level)
}

fn switch_of(state: &OsStr) -> anyhow::Result<bool> {
    match state.to_str() {
        Some("on") => Ok(true),
        Some("off") => Ok(false),
        _ => bail!("{WINOGRAD} is `{}`; it may be on or off", state.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_at_hand_is_understood() {
        for level in Level::available() {
            assert_eq!(level_of(OsStr::new(level.name())).unwrap(), level);
        }
    }

    #[test]
    fn other_values_are_refused_with_the_allowed_ones() {
        let error = level_of(OsStr::new("sse")).unwrap_err().to_string();
        assert!(
            error.contains("`sse`") && error.contains("portable"),
            "{error}"
        );
        let error = switch_of(OsStr::new("no")).unwrap_err().to_string();
        assert!(
            error.contains("`no`") && error.contains("on or off"),
            "{error}"
        );
        assert!(switch_of(OsStr::new("on")).unwrap());
        assert!(!switch_of(OsStr::new("off")).unwrap());
    }
}
