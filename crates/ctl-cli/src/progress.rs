//! Progress on stderr.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use ctl_harness::{Event, Observer};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::note;

/// Without a terminal one line is written after this many seconds at the least.
const PLAIN_INTERVAL: Duration = Duration::from_secs(20);

/// A bar where stderr is a terminal, a line now and then elsewhere.
pub(crate) struct Progress {
    bar: ProgressBar,
    terminal: bool,
    state: Mutex<State>,
}

struct State {
    begun: Instant,
    last_line: Instant,
    total: u64,
    /// Units finished before this invocation, or skipped without work.
    free: u64,
    done: u64,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let now = Instant::now();
        Self {
            bar: ProgressBar::with_draw_target(None, target),
            terminal,
            state: Mutex::new(State {
                begun: now,
                last_line: now,
                total: 0,
                free: 0,
                done: 0,
            }),
        }
    }

    fn planned(&self, what: &'static str, total: u64, finished: u64) {
        let Ok(mut state) = self.state.lock() else {
            return;
        };
        let now = Instant::now();
        *state = State {
            begun: now,
            last_line: now,
            total,
            free: finished,
            done: finished,
        };
        self.bar.set_length(total);
        self.bar.set_position(finished);
        let template = format!("{{bar:30}} {{pos}}/{{len}} {what}, {{msg}}");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            self.bar.set_style(style);
        }
        if finished > 0 {
            self.say(&format!("{finished} of {total} {what} were done before"));
        }
    }

    fn advanced(&self, units: u64, work: f64) {
        let Ok(mut state) = self.state.lock() else {
            return;
        };
        state.done += units;
        if work == 0.0 {
            state.free += units;
        }
        self.bar.set_position(state.done);
        let left = state.time_left();
        let text = left.map_or("estimating".to_owned(), |left| {
            format!("{} left", minutes(left))
        });
        self.bar.set_message(text.clone());
        if !self.terminal && state.last_line.elapsed() >= PLAIN_INTERVAL {
            state.last_line = Instant::now();
            note(format_args!("{}/{}, {text}", state.done, state.total));
        }
    }

    /// One line above the bar.
    pub(crate) fn say(&self, text: &str) {
        if self.terminal {
            self.bar.println(text);
        } else {
            note(text);
        }
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl State {
    /// From the speed of the units done here, once there are some.
    fn time_left(&self) -> Option<Duration> {
        let here = self.done.saturating_sub(self.free);
        let elapsed = self.begun.elapsed();
        if here == 0 || elapsed < Duration::from_secs(2) {
            return None;
        }
        let left = self.total.saturating_sub(self.done);
        Some(elapsed.mul_f64(left as f64 / here as f64))
    }
}

/// `75 s`, `12 min`, `3 h 05 min`
pub(crate) fn minutes(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..=89 => format!("{seconds} s"),
        90..=5399 => format!("{} min", (seconds + 30) / 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

impl Observer for Progress {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Planned {
                what,
                total,
                finished,
            } => self.planned(what, *total, *finished),
            Event::Advanced { units, work } => self.advanced(*units, *work),
            Event::Finished { name, summary } => self.say(&format!("{name}: {summary}")),
            Event::Notice { text } => self.say(text),
            _ => {}
        }
    }
}
