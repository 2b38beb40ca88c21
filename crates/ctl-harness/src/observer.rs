//! How long work tells where it stands.

/// Something that happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The work is known.
    Planned {
        /// Name of a unit, plural.
        what: &'static str,
        /// Units in all.
        total: u64,
        /// Units that an earlier invocation finished.
        finished: u64,
    },
    /// A piece of work began.
    Started {
        /// Its name.
        name: &'a str,
    },
    /// Some units are done.
    Advanced {
        /// How many.
        units: u64,
        /// Their share of the work in any fixed measure, for an estimate of the time left.
        work: f64,
    },
    /// A piece of work ended well.
    Finished {
        /// Its name.
        name: &'a str,
        /// Its result in a few words.
        summary: &'a str,
    },
    /// Something a reader should know.
    Notice {
        /// One sentence.
        text: &'a str,
    },
}

/// Hears of events; called from any thread.
pub trait Observer: Sync {
    /// One event.
    fn event(&self, event: &Event<'_>);
}

/// Hears nothing.
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _event: &Event<'_>) {}
}
