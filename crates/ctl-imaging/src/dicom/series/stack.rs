//! From planes in any order to a grid: order, spacing, tilt, gaps, times.

use super::keys::{Keys, SeriesAxis};
use super::plane::{Place, Plane, cross, dot};
use super::{Gaps, SeriesOptions};
use crate::Result;
use crate::error::ImagingError;
use crate::volume::Affine;
use std::path::Path;

/// Distance along the normal, in mm, up to which planes are taken to lie in one place.
const SAME_PLACE: f64 = 1e-3;

/// Least deviation from equal spacing that is minded, in mm: positions are written with few digits.
const ROUNDING: f64 = 0.01;

/// Angle in degrees from which a stack counts as tilted.
const TILTED: f64 = 0.1;

/// Planes in order, and the grid that they make.
pub(super) struct Stack {
    /// Indices of planes: for each time, for each place.
    pub(super) order: Vec<usize>,
    pub(super) places: usize,
    pub(super) times: usize,
    pub(super) axis: Option<SeriesAxis>,
    /// What the axis counts, by time.
    pub(super) axis_values: Vec<f64>,
    pub(super) affine: Affine,
    /// Angle between the normal of the planes and the way from one to the next, in degrees.
    pub(super) tilt: f64,
    pub(super) warnings: Vec<String>,
}

/// Planes of one place.
struct Location {
    distance: f64,
    planes: Vec<usize>,
}

/// Orders planes, which share their orientation and size.
///
/// `name` says how a plane is called in errors.
pub(super) fn stack(
    planes: &[&Plane],
    options: &SeriesOptions,
    name: &dyn Fn(usize) -> String,
    path: &Path,
) -> Result<Stack> {
    let builder = Builder {
        planes,
        options,
        name,
        path,
    };
    builder.stack()
}

struct Builder<'a> {
    planes: &'a [&'a Plane],
    options: &'a SeriesOptions,
    name: &'a dyn Fn(usize) -> String,
    path: &'a Path,
}

impl Builder<'_> {
    fn stack(&self) -> Result<Stack> {
        let mut locations = self.locations();
        let (axis, axis_values) = self.split(&mut locations)?;
        let times = locations
            .first()
            .map_or(0, |location| location.planes.len());
        let mut warnings = Vec::new();
        let (step, tilt) = self.step(&locations, &mut warnings)?;
        let order = (0..times)
            .flat_map(|time| locations.iter().map(move |location| location.planes[time]))
            .collect();
        let first = self.planes[locations[0].planes[0]].place;
        Ok(Stack {
            order,
            places: locations.len(),
            times,
            axis,
            axis_values,
            affine: affine(&first, step, self.path)?,
            tilt,
            warnings,
        })
    }

    /// Planes by distance along the normal.
    fn locations(&self) -> Vec<Location> {
        let normal = self.normal();
        let mut planes: Vec<(f64, usize)> = self
            .planes
            .iter()
            .enumerate()
            .map(|(index, plane)| (dot(normal, plane.place.position), index))
            .collect();
        planes.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut locations: Vec<Location> = Vec::new();
        for (distance, index) in planes {
            match locations.last_mut() {
                Some(last) if distance - last.distance <= SAME_PLACE => last.planes.push(index),
                _ => locations.push(Location {
                    distance,
                    planes: vec![index],
                }),
            }
        }
        locations
    }

    fn normal(&self) -> [f64; 3] {
        let place = &self.planes[0].place;
        cross(place.along_row, place.along_column)
    }

    /// Sorts the planes of each place by what tells them apart.
    fn split(&self, locations: &mut [Location]) -> Result<(Option<SeriesAxis>, Vec<f64>)> {
        let times = locations[0].planes.len();
        if let Some(other) = locations.iter().find(|other| other.planes.len() != times) {
            return Err(ImagingError::content(
                self.path,
                format!(
                    "{times} images in each place, as at {:.3} mm",
                    locations[0].distance
                ),
                format!(
                    "{} at {:.3} mm ({})",
                    other.planes.len(),
                    other.distance,
                    (self.name)(other.planes[0])
                ),
            ));
        }
        if times == 1 {
            return Ok((None, Vec::new()));
        }
        let axis = Keys::axes()
            .find(|&axis| self.tells_apart(locations, axis))
            .ok_or_else(|| {
                let pair = &locations[0].planes;
                let names = format!("{} and {}", (self.name)(pair[0]), (self.name)(pair[1]));
                ImagingError::content(
                    self.path,
                    "images of one place that time, trigger, b-value, echo or acquisition tells \
                     apart",
                    format!("{names} at {:.3} mm", locations[0].distance),
                )
            })?;
        for location in locations.iter_mut() {
            location.planes.sort_by(|&a, &b| {
                let key = |plane: usize| self.planes[plane].keys.along(axis).unwrap_or_default();
                compare(&key(a), &key(b))
            });
        }
        let values = locations[0]
            .planes
            .iter()
            .filter_map(|&plane| self.planes[plane].keys.along(axis)?.first().copied())
            .collect();
        let values = if axis == SeriesAxis::Several {
            Vec::new()
        } else {
            values
        };
        Ok((Some(axis), values))
    }

    /// Whether all places have images with the same keys, each once.
    ///
    /// Trigger times differ a little from place to place: for them only each place's own must
    /// differ.
    fn tells_apart(&self, locations: &[Location], axis: SeriesAxis) -> bool {
        let keys = |location: &Location| -> Option<Vec<Vec<f64>>> {
            let mut keys = location
                .planes
                .iter()
                .map(|&plane| self.planes[plane].keys.along(axis))
                .collect::<Option<Vec<_>>>()?;
            keys.sort_by(|a, b| compare(a, b));
            let repeated = keys.windows(2).any(|pair| pair[0] == pair[1]);
            (!repeated).then_some(keys)
        };
        let Some(first) = keys(&locations[0]) else {
            return false;
        };
        locations.iter().skip(1).all(|location| {
            keys(location).is_some_and(|keys| axis == SeriesAxis::TriggerTime || keys == first)
        })
    }

    /// The way from one place to the next, and its angle to the normal in degrees.
    fn step(&self, locations: &[Location], warnings: &mut Vec<String>) -> Result<([f64; 3], f64)> {
        let normal = self.normal();
        let [first, .., last] = locations else {
            return Ok((self.single_step(normal, warnings), 0.0));
        };
        let spacing = median_gap(locations);
        self.check_gaps(locations, spacing, warnings)?;
        let position = |location: &Location| self.planes[location.planes[0]].place.position;
        let way = [0, 1, 2].map(|axis| position(last)[axis] - position(first)[axis]);
        let along = last.distance - first.distance;
        let straight = way.map(|part| part / along);
        for location in locations {
            let distance = location.distance - first.distance;
            for &plane in &location.planes {
                let found = self.planes[plane].place.position;
                let off = [0, 1, 2]
                    .map(|axis| found[axis] - position(first)[axis] - straight[axis] * distance);
                if dot(off, off).sqrt() > self.tolerance(spacing) {
                    return Err(ImagingError::content(
                        self.path,
                        "positions on one line",
                        format!(
                            "{} which lies {:.3} mm beside it",
                            (self.name)(plane),
                            dot(off, off).sqrt()
                        ),
                    ));
                }
            }
        }
        let cosine = (1.0 / dot(straight, straight).sqrt()).min(1.0);
        let tilt = cosine.acos().to_degrees();
        if tilt > TILTED {
            warnings.push(format!(
                "the stack is tilted by {tilt:.2} degrees; the affine keeps the shear"
            ));
        }
        let mean = along / (locations.len() - 1) as f64;
        let even = (mean - spacing).abs() <= self.tolerance(spacing);
        let step = straight.map(|part| part * if even { mean } else { spacing });
        Ok((step, tilt))
    }

    fn single_step(&self, normal: [f64; 3], warnings: &mut Vec<String>) -> [f64; 3] {
        let depth = self.planes[0].depth.unwrap_or_else(|| {
            warnings.push("a single slice without thickness is taken to be 1 mm deep".to_owned());
            1.0
        });
        normal.map(|part| part * depth)
    }

    fn tolerance(&self, spacing: f64) -> f64 {
        (self.options.spacing_tolerance * spacing).max(ROUNDING)
    }

    fn check_gaps(
        &self,
        locations: &[Location],
        spacing: f64,
        warnings: &mut Vec<String>,
    ) -> Result<()> {
        for pair in locations.windows(2) {
            let gap = pair[1].distance - pair[0].distance;
            if (gap - spacing).abs() <= self.tolerance(spacing) {
                continue;
            }
            let steps = (gap / spacing).round();
            let missing = steps >= 2.0 && (gap / spacing - steps).abs() <= 0.1;
            let between = format!(
                "between {} and {}",
                (self.name)(pair[0].planes[0]),
                (self.name)(pair[1].planes[0])
            );
            let found = if missing {
                format!("{} missing slices {between} ({gap:.3} mm)", steps - 1.0)
            } else {
                format!("{gap:.3} mm {between}")
            };
            match self.options.gaps {
                Gaps::Refuse => {
                    let expected = format!("slices every {spacing:.3} mm");
                    return Err(ImagingError::content(self.path, expected, found));
                }
                Gaps::Report => {
                    warnings.push(format!("slices are not all {spacing:.3} mm apart: {found}"));
                }
            }
        }
        Ok(())
    }
}

fn median_gap(locations: &[Location]) -> f64 {
    let mut gaps: Vec<f64> = locations
        .windows(2)
        .map(|pair| pair[1].distance - pair[0].distance)
        .collect();
    gaps.sort_by(f64::total_cmp);
    gaps[gaps.len() / 2]
}

fn compare(a: &[f64], b: &[f64]) -> std::cmp::Ordering {
    let differing = a.iter().zip(b).map(|(a, b)| a.total_cmp(b));
    differing
        .into_iter()
        .find(|order| order.is_ne())
        .unwrap_or(a.len().cmp(&b.len()))
}

/// From column, row and slice to RAS+ mm (PS3.3 equation C.7.6.2.1-1, x and y negated).
fn affine(place: &Place, step: [f64; 3], path: &Path) -> Result<Affine> {
    let [row_distance, column_distance] = place.spacing;
    let rows = [0, 1, 2].map(|axis: usize| {
        let sign = if axis < 2 { -1.0 } else { 1.0 };
        [
            place.along_row[axis] * column_distance,
            place.along_column[axis] * row_distance,
            step[axis],
            place.position[axis],
        ]
        .map(|part| part * sign)
    });
    Affine::new(rows)
        .map_err(|_| ImagingError::content(path, "a grid that spans space", format!("{rows:?}")))
}
