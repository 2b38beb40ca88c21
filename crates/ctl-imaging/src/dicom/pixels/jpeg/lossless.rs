//! Lossless scans (T.81 annex H).

use super::Problem;
use super::huffman::{Bits, Table};
use super::segments::{Frame, Part, Scan, Tables};

/// A value takes a bit at least.
const VALUES_A_BYTE: usize = 8;

/// The values of all components, those of a pixel together.
pub(super) struct Rows {
    frame: Frame,
    values: Vec<u16>,
    done: Vec<bool>,
}

impl Rows {
    /// Room for a frame, if `available` bytes can hold it.
    pub(super) fn new(frame: Frame, available: usize) -> Result<Self, Problem> {
        let subsampled = |part: &super::segments::Component| {
            part.horizontal != frame.components[0].horizontal
                || part.vertical != frame.components[0].vertical
        };
        if frame.components.iter().any(subsampled) {
            return Err(Problem::new(
                "lossless JPEG with components of one resolution",
                "subsampled ones",
            ));
        }
        let values = frame.width * frame.height * frame.components.len();
        if values > available.saturating_mul(VALUES_A_BYTE) {
            let expected = format!("lossless JPEG data of {values} values");
            return Err(Problem::new(
                expected,
                format!("{available} bytes (truncated)"),
            ));
        }
        Ok(Self {
            values: vec![0; values],
            done: vec![false; frame.components.len()],
            frame,
        })
    }

    pub(super) fn is_complete(&self) -> bool {
        self.done.iter().all(|&done| done)
    }

    pub(super) fn finish(self) -> (Frame, Vec<u16>) {
        (self.frame, self.values)
    }

    /// Decodes a scan; returns how many bytes it took.
    pub(super) fn scan(
        &mut self,
        scan: &Scan,
        tables: &Tables,
        bytes: &[u8],
    ) -> Result<usize, Problem> {
        let shift = u32::from(scan.approximation & 15);
        if !(1..=7).contains(&scan.start) || shift >= self.frame.precision {
            let found = format!("predictor {}, point transform {shift}", scan.start);
            return Err(Problem::new(
                "predictor 1 to 7 and a point transform below the precision",
                found,
            ));
        }
        let parts = scan
            .parts
            .iter()
            .map(|part| self.part(part, tables))
            .collect::<Result<Vec<_>, _>>()?;
        let predictor = Predictor {
            selection: scan.start,
            start: 1 << (self.frame.precision - shift - 1),
            components: self.frame.components.len(),
            stride: self.frame.width * self.frame.components.len(),
        };
        let mut bits = Bits::new(bytes);
        self.decode(&parts, &predictor, tables.restart_interval, &mut bits)?;
        for (component, _) in parts {
            self.done[component] = true;
            let values = self.values.iter_mut().skip(component);
            for value in values.step_by(predictor.components) {
                *value <<= shift;
            }
        }
        Ok(bits.end())
    }

    fn decode(
        &mut self,
        parts: &[(usize, &Table)],
        predictor: &Predictor,
        restart_interval: usize,
        bits: &mut Bits<'_>,
    ) -> Result<(), Problem> {
        let width = self.frame.width;
        for pixel in 0..width * self.frame.height {
            // Prediction starts anew after a restart, which falls on the start of a row.
            let since_start = pixel.checked_rem(restart_interval).unwrap_or(pixel);
            if since_start == 0 && pixel > 0 {
                bits.restart(pixel / restart_interval - 1)?;
            }
            let surroundings = Surroundings {
                first_column: pixel % width == 0 || since_start == 0,
                first_row: since_start < width,
            };
            for &(component, table) in parts {
                let at = pixel * predictor.components + component;
                let predicted = predictor.predict(&self.values, at, surroundings);
                let size = bits.symbol(table)?;
                self.values[at] = (predicted + bits.difference(size)?) as u16;
            }
        }
        Ok(())
    }

    fn part<'t>(&self, part: &Part, tables: &'t Tables) -> Result<(usize, &'t Table), Problem> {
        let component = self
            .frame
            .components
            .iter()
            .position(|component| component.id == part.id);
        match (component, &tables.dc[part.dc]) {
            (Some(component), Some(table)) if !self.done[component] => Ok((component, table)),
            _ => Err(Problem::new(
                "a table and an undecoded component of each scan",
                "none",
            )),
        }
    }
}

/// What a value is predicted from (T.81 table H.1).
struct Predictor {
    selection: u8,
    /// The prediction of a first value.
    start: i32,
    components: usize,
    stride: usize,
}

/// Which neighbours there are not.
#[derive(Clone, Copy)]
struct Surroundings {
    first_column: bool,
    first_row: bool,
}

impl Predictor {
    fn predict(&self, values: &[u16], at: usize, surroundings: Surroundings) -> i32 {
        let value = |back: usize| i32::from(values[at - back]);
        match (surroundings.first_row, surroundings.first_column) {
            (true, true) => return self.start,
            (true, false) => return value(self.components),
            (false, true) => return value(self.stride),
            (false, false) => {}
        }
        let left = value(self.components);
        let above = value(self.stride);
        let corner = value(self.stride + self.components);
        match self.selection {
            1 => left,
            2 => above,
            3 => corner,
            4 => left + above - corner,
            5 => left + ((above - corner) >> 1),
            6 => above + ((left - corner) >> 1),
            _ => (left + above) >> 1,
        }
    }
}
