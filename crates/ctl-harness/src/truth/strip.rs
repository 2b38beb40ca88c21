//! Individuals, their counterfactuals and the true ones side by side.

use std::path::Path;

use candle_core::Tensor;
use ctl_counterfactual::Records;
use ctl_imaging::Raster;

use super::letters::{ADVANCE, HEIGHT, line, wrapped};
use super::{Questions, Rival};
use crate::{HarnessError, Result};

/// Pixels between two pictures.
const GAP: usize = 4;
/// Pixels between two lines of text.
const LEADING: usize = 2;
/// Grey levels, of 0 to 1, at which the colour of a difference is full.
const FULL: f32 = 0.35;
/// Letters of a label at the left, at most.
const LABEL: usize = 15;
/// Ink on paper.
const INK: [f32; 3] = [0.1, 0.1, 0.1];
const PAPER: f32 = 1.0;
/// Colours of what is too dark and of what is too bright.
const TOO_DARK: [f32; 3] = [0.13, 0.40, 0.67];
const TOO_BRIGHT: [f32; 3] = [0.70, 0.09, 0.17];

/// A picture of one channel, or a difference of two, row after row.
pub(crate) enum Picture {
    /// 0 is black, 1 white.
    Grey(Vec<f32>),
    Difference(Vec<f32>),
    Empty,
}

/// Pictures in labelled rows and columns.
pub struct Strip {
    side: usize,
    columns: Vec<String>,
    rows: Vec<(String, Vec<Picture>)>,
}

impl Strip {
    /// Square pictures with `side` pixels along each side, in rows that have a label each.
    pub(crate) fn of_rows(
        side: usize,
        columns: Vec<String>,
        rows: Vec<(String, Vec<Picture>)>,
    ) -> Self {
        Self {
            side,
            columns,
            rows,
        }
    }

    /// Shows some individuals, each under one of the interventions: the fact, what each rival says,
    /// the truth, and how far fact and answers are from it.
    ///
    /// # Arguments
    /// - `rows`: place of the intervention among the questions, and of the individual
    ///
    /// # Errors
    /// When a place does not exist, images are not square and of one channel, or a rival cannot
    /// answer.
    pub fn of(
        rivals: &[&Rival<'_>],
        questions: &Questions,
        rows: &[(usize, usize)],
        seed: u64,
    ) -> Result<Self> {
        let names = rivals.iter().map(|rival| rival.name.clone());
        let away = |name: String| format!("{name} - truth");
        let columns = std::iter::once("fact".to_owned())
            .chain(names.clone())
            .chain(["truth".to_owned(), away("fact".to_owned())])
            .chain(names.map(away));
        let mut strip = Self {
            side: side(&questions.facts)?,
            columns: columns.collect(),
            rows: Vec::new(),
        };
        for &(place, individual) in rows {
            strip.add(rivals, questions, (place, individual), seed)?;
        }
        Ok(strip)
    }

    fn add(
        &mut self,
        rivals: &[&Rival<'_>],
        questions: &Questions,
        (place, individual): (usize, usize),
        seed: u64,
    ) -> Result<()> {
        let question = questions.questions.get(place);
        let question = question.ok_or_else(|| HarnessError::Config {
            origin: "strip of counterfactuals".into(),
            key: "intervention".into(),
            message: format!("{place} must be below {}", questions.questions.len()),
        })?;
        let schema = rivals.first().map(|rival| rival.answers.variables());
        // Some answers depend on who the others are, so all up to this one are asked about.
        let fact = pixels(&questions.facts, individual)?;
        let truth = pixels(&question.truth, individual)?;
        let rows: Vec<usize> = (0..=individual).collect();
        let facts = questions.facts.select(&rows)?;
        let case = question.case.select(&rows);
        let mut answers = Vec::new();
        for rival in rivals {
            let known = rival.knows(&case) && individual < rival.most;
            let (true, Some(schema)) = (known, schema) else {
                answers.push(None);
                continue;
            };
            let after = rival.answers.answer(&facts, &case.acts(schema)?, seed)?;
            answers.push(Some(pixels(&after, individual)?));
        }
        let from_truth = |image: &Vec<f32>| {
            let pairs = image.iter().zip(&truth);
            Picture::Difference(pairs.map(|(a, b)| a - b).collect())
        };
        let cell = |image: &Option<Vec<f32>>, of: &dyn Fn(&Vec<f32>) -> Picture| {
            image.as_ref().map_or(Picture::Empty, of)
        };
        let mut cells = vec![Picture::Grey(fact.clone())];
        cells.extend(
            answers
                .iter()
                .map(|a| cell(a, &|i| Picture::Grey(i.clone()))),
        );
        cells.push(Picture::Grey(truth.clone()));
        cells.push(from_truth(&fact));
        cells.extend(answers.iter().map(|a| cell(a, &from_truth)));
        self.rows.push((question.case.name(), cells));
        Ok(())
    }

    /// The strip as a picture of three channels.
    ///
    /// # Arguments
    /// - `zoom`: pixels of the picture to a pixel of an image, along each side, at least 1
    ///
    /// # Errors
    /// When the picture cannot be made.
    pub fn raster(&self, zoom: usize) -> Result<Raster> {
        let cell = self.side * zoom.max(1);
        // One letter less than there is room for keeps heads apart.
        let letters = (cell / ADVANCE).saturating_sub(1);
        let heads: Vec<Vec<String>> = self.columns.iter().map(|c| wrapped(c, letters)).collect();
        let lines = heads.iter().map(Vec::len).max().unwrap_or(0);
        let (left, top) = (
            LABEL * ADVANCE + 2 * GAP,
            lines * (HEIGHT + LEADING) + 2 * GAP,
        );
        let mut page = Page::new(
            top + self.rows.len() * (cell + GAP),
            left + self.columns.len() * (cell + GAP),
        );
        for (place, head) in heads.iter().enumerate() {
            let x = left + place * (cell + GAP);
            // Short heads stand on their pictures, as long ones do.
            let y = GAP + (lines - head.len()) * (HEIGHT + LEADING);
            page.text(head, (y, x));
        }
        for (number, (label, cells)) in self.rows.iter().enumerate() {
            let y = top + number * (cell + GAP);
            page.text(
                &wrapped(label, LABEL),
                (y + (cell / 2).saturating_sub(HEIGHT), GAP),
            );
            for (place, picture) in cells.iter().enumerate() {
                let x = left + place * (cell + GAP);
                page.picture(picture, (self.side, zoom.max(1)), (y, x));
            }
        }
        page.raster()
    }

    /// Writes the strip as a PNG file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_png(&self, path: &Path, zoom: usize) -> Result<()> {
        Ok(self.raster(zoom)?.write_png(path)?)
    }
}

fn side(records: &Records) -> Result<usize> {
    let found = records.images.as_ref().map(Tensor::dims);
    match found {
        Some(&[_, 1, height, width]) if height == width => Ok(height),
        _ => Err(HarnessError::Config {
            origin: "strip of counterfactuals".into(),
            key: "images".into(),
            message: format!("{found:?} must be square and of one channel"),
        }),
    }
}

/// The image of an individual.
fn pixels(records: &Records, individual: usize) -> Result<Vec<f32>> {
    let one = records.select(&[individual])?;
    let image = one.images.map(|images| images.flatten_all()?.to_vec1());
    Ok(image.transpose()?.unwrap_or_default())
}

/// A sheet of paper, row by row.
struct Page {
    height: usize,
    width: usize,
    values: Vec<[f32; 3]>,
}

impl Page {
    fn new(height: usize, width: usize) -> Self {
        Self {
            height,
            width,
            values: vec![[PAPER; 3]; height * width],
        }
    }

    fn set(&mut self, (y, x): (usize, usize), colour: [f32; 3]) {
        if y < self.height && x < self.width {
            self.values[y * self.width + x] = colour;
        }
    }

    fn text(&mut self, lines: &[String], (top, left): (usize, usize)) {
        for (number, text) in lines.iter().enumerate() {
            let top = top + number * (HEIGHT + LEADING);
            for (y, x) in line(text) {
                self.set((top + y, left + x), INK);
            }
        }
    }

    fn picture(
        &mut self,
        cell: &Picture,
        (side, zoom): (usize, usize),
        (top, left): (usize, usize),
    ) {
        let (values, colour): (_, fn(f32) -> [f32; 3]) = match cell {
            Picture::Grey(values) => (values, |value| [value.clamp(0.0, 1.0); 3]),
            Picture::Difference(values) => (values, shade),
            Picture::Empty => return,
        };
        for (place, &value) in values.iter().enumerate() {
            let (y, x) = (place / side * zoom, place % side * zoom);
            for (dy, dx) in (0..zoom).flat_map(|dy| (0..zoom).map(move |dx| (dy, dx))) {
                self.set((top + y + dy, left + x + dx), colour(value));
            }
        }
    }

    fn raster(self) -> Result<Raster> {
        let planes = (0..3).flat_map(|c| self.values.iter().map(move |v| v[c]));
        let planes: Vec<f32> = planes.collect();
        Ok(Raster::new(3, self.height, self.width, planes)?)
    }
}

/// White where nothing differs, blue where too dark, red where too bright.
fn shade(difference: f32) -> [f32; 3] {
    let share = (difference.abs() / FULL).min(1.0);
    let full = if difference < 0.0 {
        TOO_DARK
    } else {
        TOO_BRIGHT
    };
    full.map(|channel| 1.0 + share * (channel - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "these values are exact")]
    fn differences_are_white_blue_and_red() {
        assert_eq!(shade(0.0), [1.0; 3]);
        for (found, full) in [(shade(-1.0), TOO_DARK), (shade(1.0), TOO_BRIGHT)] {
            let near = found.iter().zip(full).all(|(a, b)| (a - b).abs() < 1e-6);
            assert!(near, "{found:?} {full:?}");
        }
        let faint = shade(0.1);
        assert!(faint[0] > faint[1] && faint[1] > TOO_BRIGHT[1]);
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "these values are exact")]
    fn pictures_lie_beside_their_labels() {
        let strip = Strip {
            side: 2,
            columns: vec!["fact".into(), "difference".into()],
            rows: vec![(
                "do(age)".into(),
                vec![
                    Picture::Grey(vec![0.0, 0.25, 0.5, 0.75]),
                    Picture::Difference(vec![0.0, 0.0, 1.0, -1.0]),
                ],
            )],
        };
        let raster = strip.raster(10).unwrap();
        // Two columns and the label; the longer head has one line of ten letters, which is wider than
        // a cell and still has a line of its own.
        let (left, top) = (LABEL * ADVANCE + 2 * GAP, HEIGHT + LEADING + 2 * GAP);
        assert_eq!(raster.shape(), [3, top + 24, left + 48]);
        let at = |channel: usize, y: usize, x: usize| {
            raster.samples()[(channel * raster.height() + y) * raster.width() + x]
        };
        assert_eq!(at(0, top, left), 0.0);
        assert_eq!(at(1, top + 19, left + 19), 0.75);
        assert_eq!(at(0, top + 15, left + 24), TOO_BRIGHT[0]);
        assert_eq!(at(2, top + 15, left + 24 + 15), TOO_DARK[2]);
        assert_eq!(at(0, top + 22, left), PAPER);
    }
}
