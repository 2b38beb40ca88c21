//! Which planes belong to one grid.

use super::plane::{Header, Plane};
use std::collections::BTreeMap;

/// Part of a direction, or mm, up to which orientations and pixel sizes are taken to be equal.
const ALIKE: f64 = 1e-3;

/// Planes of one series that have orientation, size and type in common.
pub(super) struct Group<'a> {
    pub(super) first: &'a Header,
    pub(super) planes: Vec<&'a Plane>,
}

/// Takes the planes of all files apart by series, then by what they must have in common.
///
/// Groups are in the order of their series' UIDs and, within one, of the files.
pub(super) fn groups(headers: &[Header]) -> Vec<Group<'_>> {
    let mut series: BTreeMap<&str, Vec<Group<'_>>> = BTreeMap::new();
    for header in headers {
        let groups = series.entry(&header.series).or_default();
        for plane in &header.planes {
            let matching = groups
                .iter_mut()
                .find(|group| belongs(group, header, plane));
            match matching {
                Some(group) => group.planes.push(plane),
                None => groups.push(Group {
                    first: header,
                    planes: vec![plane],
                }),
            }
        }
    }
    series.into_values().flatten().collect()
}

fn belongs(group: &Group<'_>, header: &Header, plane: &Plane) -> bool {
    let (ours, theirs) = (&group.first.layout, &header.layout);
    let first = group.planes[0];
    let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < ALIKE);
    (ours.rows, ours.columns, ours.samples) == (theirs.rows, theirs.columns, theirs.samples)
        && ours.sample_type() == theirs.sample_type()
        && first.stack == plane.stack
        && near(&first.place.along_row, &plane.place.along_row)
        && near(&first.place.along_column, &plane.place.along_column)
        && near(&first.place.spacing, &plane.place.spacing)
}

impl<'a> Group<'a> {
    /// The same planes by acquisition; `None` where there is but one or one does not say.
    pub(super) fn by_acquisition(&self) -> Option<Vec<Group<'a>>> {
        let mut parts: Vec<(f64, Group<'a>)> = Vec::new();
        for &plane in &self.planes {
            let number = plane.keys.along(super::SeriesAxis::Acquisition)?[0];
            match parts
                .iter_mut()
                .find(|(other, _)| other.total_cmp(&number).is_eq())
            {
                Some((_, part)) => part.planes.push(plane),
                None => parts.push((
                    number,
                    Group {
                        first: self.first,
                        planes: vec![plane],
                    },
                )),
            }
        }
        parts.sort_by(|a, b| a.0.total_cmp(&b.0));
        (parts.len() > 1).then(|| parts.into_iter().map(|(_, part)| part).collect())
    }
}
