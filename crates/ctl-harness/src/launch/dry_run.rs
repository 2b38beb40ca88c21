//! Running nothing.

use super::{LaunchOptions, Launcher, Outcome, Sweep, missing};
use crate::archive;
use crate::sweep::Layout;
use crate::{Observer, Result};

/// Executes and writes nothing: says how many runs the folder has and how many it lacks.
#[derive(Clone, Copy, Debug)]
pub struct DryRun;

impl Launcher for DryRun {
    fn launch(
        &self,
        sweep: &Sweep<'_>,
        options: &LaunchOptions<'_>,
        _observer: &dyn Observer,
    ) -> Result<Outcome> {
        let layout = Layout::new(options.out);
        let open = missing(&layout, sweep.plan, options.save_models)?;
        let elsewhere = match options.records {
            Some(path) if !options.save_models => archive::holds(path, &open)?,
            _ => 0,
        };
        let open = open.len() - elsewhere;
        Ok(Outcome {
            reused: sweep.plan.runs.len() - open,
            open,
            ..Outcome::default()
        })
    }
}
