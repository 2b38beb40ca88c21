//! The lines of a scan.

use super::bits::Bits;
use super::header::{Coding, Frame, Interleaving, Scan};
use super::model::{Model, Neighbours};
use super::run::{RunIndex, Runs};
use super::{JpegLsError, Result};

/// A line of a component with a value before and behind it (T.87 section A.2.1).
type Line = Vec<i32>;

/// The state of a scan.
struct Decoder<'a> {
    model: Model,
    runs: Runs,
    bits: Bits<'a>,
    /// One for each component where lines are interleaved, else one for all.
    indices: Vec<RunIndex>,
    width: usize,
    previous: Vec<Line>,
    current: Vec<Line>,
}

/// Decodes a scan: its values by rows, those of a pixel together, and the bytes that it took.
pub(super) fn decode(
    frame: &Frame,
    scan: &Scan,
    coding: &Coding,
    bytes: &[u8],
) -> Result<(Vec<u16>, usize)> {
    let components = scan.ids.len();
    let blank = vec![vec![0; frame.width + 2]; components];
    let model = Model::new(*coding);
    let mut decoder = Decoder {
        runs: Runs::new(model.range),
        model,
        bits: Bits::new(bytes),
        indices: vec![RunIndex::default(); components],
        width: frame.width,
        previous: blank.clone(),
        current: blank,
    };
    let mut values = Vec::new();
    for line in 0..frame.height {
        if coding.restart_interval > 0 && line > 0 && line % coding.restart_interval == 0 {
            decoder.restart(line / coding.restart_interval - 1)?;
        }
        decoder.frame_lines();
        if scan.interleaving == Interleaving::Sample && components > 1 {
            decoder.pixels()?;
        } else {
            for component in 0..components {
                decoder.line(component)?;
            }
        }
        let current = &decoder.current;
        values.extend(
            (1..=frame.width).flat_map(|at| current.iter().map(move |line| line[at] as u16)),
        );
        std::mem::swap(&mut decoder.previous, &mut decoder.current);
    }
    Ok((values, decoder.bits.end()))
}

impl Decoder<'_> {
    fn restart(&mut self, count: usize) -> Result<()> {
        self.bits.restart(count)?;
        self.model = Model::new(self.model.coding);
        self.runs = Runs::new(self.model.range);
        self.indices.fill(RunIndex::default());
        for line in self.previous.iter_mut().chain(&mut self.current) {
            line.fill(0);
        }
        Ok(())
    }

    /// Sets the values before and behind lines: the one behind the previous line repeats its last,
    /// the one before the current line the first of the previous.
    fn frame_lines(&mut self) {
        for (previous, current) in self.previous.iter_mut().zip(&mut self.current) {
            previous[self.width + 1] = previous[self.width];
            current[0] = previous[1];
        }
    }

    fn neighbours(&self, component: usize, at: usize) -> Neighbours {
        let above = &self.previous[component];
        Neighbours {
            a: self.current[component][at - 1],
            b: above[at],
            c: above[at - 1],
            d: above[at + 1],
        }
    }

    /// A line of a component.
    fn line(&mut self, component: usize) -> Result<()> {
        let mut at = 1;
        while at <= self.width {
            let near = self.neighbours(component, at);
            if let Some(context) = self.model.context(near) {
                self.current[component][at] = self.model.value(&mut self.bits, near, context)?;
                at += 1;
                continue;
            }
            let index = &mut self.indices[component];
            let run = run_length(index, &mut self.bits, self.width + 1 - at)?;
            self.current[component][at..at + run].fill(near.a);
            at += run;
            if at <= self.width {
                let above = self.previous[component][at];
                let alike = (near.a - above).abs() <= self.model.coding.near;
                self.current[component][at] = self.runs.interruption(
                    &self.model,
                    &mut self.bits,
                    (near.a, above),
                    alike,
                    self.indices[component],
                )?;
                self.indices[component].interrupted();
                at += 1;
            }
        }
        Ok(())
    }

    /// A line of all components, value by value.
    fn pixels(&mut self) -> Result<()> {
        let components = self.current.len();
        let mut at = 1;
        while at <= self.width {
            let in_run = (0..components)
                .all(|component| self.model.context(self.neighbours(component, at)).is_none());
            if in_run {
                at += self.pixel_run(at)?;
                continue;
            }
            for component in 0..components {
                let near = self.neighbours(component, at);
                // A flat neighbourhood beside a component that is not has a context of its own.
                let context = self.model.context(near).unwrap_or((0, false));
                self.current[component][at] = self.model.value(&mut self.bits, near, context)?;
            }
            at += 1;
        }
        Ok(())
    }

    /// A run of pixels and the one after it; returns how many there were.
    fn pixel_run(&mut self, at: usize) -> Result<usize> {
        let left = self.width + 1 - at;
        let run = run_length(&mut self.indices[0], &mut self.bits, left)?;
        for line in &mut self.current {
            let value = line[at - 1];
            line[at..at + run].fill(value);
        }
        if run == left {
            return Ok(run);
        }
        let place = at + run;
        for component in 0..self.current.len() {
            let around = (
                self.current[component][place - 1],
                self.previous[component][place],
            );
            self.current[component][place] = self.runs.interruption(
                &self.model,
                &mut self.bits,
                around,
                false,
                self.indices[0],
            )?;
        }
        self.indices[0].interrupted();
        Ok(run + 1)
    }
}

fn run_length(index: &mut RunIndex, bits: &mut Bits<'_>, left: usize) -> Result<usize> {
    let length = index.length(bits, left)?;
    if length > left {
        let expected = format!("a run of at most {left} values");
        return Err(JpegLsError::new(expected, length.to_string()));
    }
    Ok(length)
}
