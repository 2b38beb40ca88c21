//! From the axes of an NRRD file to those of a volume.

use super::header::{NrrdAxis, NrrdHeader, NrrdSpace};
use crate::Result;
use crate::error::ImagingError;
use crate::volume::{Affine, SampleType, SeriesStep, SeriesUnit};
use std::path::Path;

/// The shape that values get.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) kind: SampleType,
    pub(super) components: usize,
    pub(super) shape: Vec<usize>,
    pub(super) affine: Affine,
    pub(super) series: SeriesStep,
}

impl Layout {
    pub(super) fn new(header: &NrrdHeader, path: &Path, place: Option<Affine>) -> Result<Self> {
        let axes = &header.axes;
        let is_placed = axes.iter().any(|axis| axis.direction.is_some());
        let is_grid = |axis: &NrrdAxis| {
            if is_placed {
                header.space_part(axis).is_some()
            } else {
                axis.is_domain()
            }
        };
        let first = axes.iter().position(is_grid).unwrap_or(0);
        let (values, grid) = axes.split_at(first);
        let space = grid.iter().take_while(|axis| is_grid(axis)).count();
        let (kind, components) = header.components(values);
        if is_placed && (!(2..=3).contains(&space) || grid[space..].iter().any(is_grid)) {
            return Err(ImagingError::content(
                path,
                "two or three neighbouring axes with a direction in space",
                format!("{space}, with others before or after"),
            ));
        }
        let mut shape: Vec<usize> = grid.iter().map(|axis| axis.size).collect();
        if is_placed && space == 2 && shape.len() > 2 {
            shape.insert(2, 1);
        }
        Ok(Self {
            kind,
            components,
            shape,
            affine: match place {
                Some(affine) => affine,
                None => header.affine(&grid[..space], path)?,
            },
            series: grid
                .get(space)
                .map_or(SeriesStep::default(), |axis| header.series(axis)),
        })
    }
}

impl NrrdAxis {
    /// Whether it is an axis of the grid as far as its kind tells.
    fn is_domain(&self) -> bool {
        let kind = self.kind.as_deref();
        matches!(kind, None | Some("domain" | "space" | "time"))
    }
}

impl NrrdHeader {
    /// An axis' direction in space; `None` for axes without one and for one along time.
    fn space_part<'a>(&self, axis: &'a NrrdAxis) -> Option<&'a [f64]> {
        let direction = axis.direction.as_deref()?;
        if !self.has_time {
            return Some(direction);
        }
        let (_, space) = direction.split_last()?;
        space.iter().any(|&part| part != 0.0).then_some(space)
    }

    /// Type and number of the values of a voxel, from the axes before those of the grid.
    fn components(&self, axes: &[NrrdAxis]) -> (SampleType, usize) {
        let product = |axes: &[NrrdAxis]| axes.iter().map(|axis| axis.size).product();
        let complex = match self.kind {
            SampleType::Float32 => Some(SampleType::Complex64),
            SampleType::Float64 => Some(SampleType::Complex128),
            _ => None,
        };
        match (axes, complex) {
            ([first, rest @ ..], Some(kind))
                if first.size == 2 && first.kind.as_deref() == Some("complex") =>
            {
                (kind, product(rest))
            }
            _ => (self.kind, product(axes)),
        }
    }

    /// The affine in mm, RAS+.
    fn affine(&self, axes: &[NrrdAxis], path: &Path) -> Result<Affine> {
        let signs = match self.space {
            Some(NrrdSpace::Ras) => [1.0, 1.0, 1.0],
            Some(NrrdSpace::Las) => [-1.0, 1.0, 1.0],
            Some(NrrdSpace::Lps | NrrdSpace::ScannerXyz) => [-1.0, -1.0, 1.0],
            Some(NrrdSpace::RightHanded | NrrdSpace::LeftHanded | NrrdSpace::Unnamed(_)) | None => {
                return Err(no_place(path, "none with anatomical axes"));
            }
        };
        let origin = self.origin.as_deref();
        let origin = origin.ok_or_else(|| no_place(path, "no `space origin`"))?;
        let units = self.millimetres(path)?;
        let world = |vector: &[f64]| {
            [0, 1, 2].map(|axis| signs[axis] * units[axis] * vector.get(axis).unwrap_or(&0.0))
        };
        let directions: Vec<[f64; 3]> = axes
            .iter()
            .filter_map(|axis| self.space_part(axis))
            .map(world)
            .collect();
        self.check_time_apart(axes, path)?;
        let columns = match *directions.as_slice() {
            [x, y, z] => [x, y, z],
            [x, y] => [x, y, unit_normal(x, y)],
            _ => return Err(no_place(path, "no `space directions`")),
        };
        let origin = world(origin);
        let rows = [0, 1, 2].map(|row: usize| {
            let [x, y, z] = columns.map(|column| column[row]);
            [x, y, z, origin[row]]
        });
        Affine::new(rows).map_err(|error| error.in_file(path))
    }

    /// A step in space must not be one in time as well.
    fn check_time_apart(&self, axes: &[NrrdAxis], path: &Path) -> Result<()> {
        let moves = |axis: &NrrdAxis| {
            let time = axis.direction.as_deref().and_then(|all| all.get(3));
            time.is_some_and(|&time| time != 0.0)
        };
        if self.has_time && axes.iter().any(moves) {
            let expected = "axes of space that do not run along time";
            return Err(ImagingError::content(path, expected, "one that does"));
        }
        Ok(())
    }

    /// How many mm the unit of each axis of space is; mm where none is named.
    fn millimetres(&self, path: &Path) -> Result<[f64; 3]> {
        let mut units = [1.0; 3];
        for (millimetres, unit) in units.iter_mut().zip(&self.space_units) {
            *millimetres = match unit.trim().to_ascii_lowercase().as_str() {
                "" | "mm" | "millimeter" | "millimeters" | "millimetre" | "millimetres" => 1.0,
                "cm" | "centimeter" | "centimeters" | "centimetre" | "centimetres" => 10.0,
                "m" | "meter" | "meters" | "metre" | "metres" => 1000.0,
                "um" | "µm" | "μm" | "micron" | "microns" | "micrometer" | "micrometers" => 1e-3,
                _ => {
                    let expected = "`space units` of mm, cm, m or um";
                    return Err(ImagingError::content(path, expected, format!("{unit:?}")));
                }
            };
        }
        Ok(units)
    }

    /// The step along the axis after those of space.
    fn series(&self, axis: &NrrdAxis) -> SeriesStep {
        let in_space = axis.direction.as_deref().filter(|_| self.has_time);
        let (step, unit) = match in_space.and_then(|direction| direction.last()) {
            Some(&step) => (Some(step), self.space_units.get(3)),
            None => (axis.spacing, axis.unit.as_ref()),
        };
        let usable = step.filter(|step| step.is_finite() && *step >= 0.0);
        usable.map_or(SeriesStep::default(), |step| SeriesStep {
            step,
            unit: unit.map_or(SeriesUnit::Unknown, |unit| series_unit(unit)),
        })
    }
}

fn series_unit(unit: &str) -> SeriesUnit {
    match unit.trim() {
        "s" | "sec" | "second" | "seconds" => SeriesUnit::Second,
        "ms" | "msec" | "millisecond" | "milliseconds" => SeriesUnit::Millisecond,
        "us" | "µs" | "μs" | "microsecond" | "microseconds" => SeriesUnit::Microsecond,
        "Hz" | "hz" | "hertz" => SeriesUnit::Hertz,
        "ppm" => SeriesUnit::PartsPerMillion,
        "rad/s" => SeriesUnit::RadiansPerSecond,
        _ => SeriesUnit::Unknown,
    }
}

/// The vector of length 1 across two others; not a number where they are parallel, which
/// [`Affine::new`] refuses.
fn unit_normal(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    let [ax, ay, az] = a;
    let [bx, by, bz] = b;
    let normal = [ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx];
    let length = normal.iter().map(|part| part * part).sum::<f64>().sqrt();
    normal.map(|part| part / length)
}

fn no_place(path: &Path, found: &str) -> ImagingError {
    let expected = "a space of anatomical axes with directions and origin (or an affine given: \
                    read_nrrd_placed)";
    ImagingError::content(path, expected, found)
}
