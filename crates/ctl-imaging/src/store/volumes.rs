//! Slices of volumes as the images of a store.

use super::{ImageStore, MORE_THAN_A_POINT, Seen, is_a_point, resized};
use crate::Result;
use crate::address::ImageAddress;
use crate::cohort::{Cohort, Record};
use crate::error::ImagingError;
use crate::mask::MaskRole;
use crate::raster::{Colour, Raster};
use crate::resize::Filter;
use crate::study::{Study, StudyStore};
use crate::volume::Plane;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The volumes whose slices are a cohort's images.
#[derive(Debug)]
pub(super) struct Volumes {
    store: StudyStore,
    neighbours: usize,
    /// The study of each record.
    of_record: Vec<usize>,
}

/// What comes of a study: for positions among those asked for.
type Cut<T> = Vec<(usize, Result<T>)>;

impl Volumes {
    /// The volumes of a cohort that has some; the latest stay in memory up to a bound.
    pub(super) fn of(cohort: &Arc<Cohort>, memory_bytes: usize) -> Option<Self> {
        let spec = cohort.volumes()?;
        let preparation = spec.preparation.clone();
        // An opened cohort has been checked; one that is faulty has no slices to ask for.
        let store = StudyStore::new(Arc::clone(cohort), preparation, memory_bytes).ok()?;
        let mut of_record = vec![0; cohort.len()];
        for (number, study) in store.studies().iter().enumerate() {
            for &record in &study.records {
                of_record[record] = number;
            }
        }
        Some(Self {
            neighbours: spec.slices.neighbours,
            of_record,
            store,
        })
    }
}

impl ImageStore {
    /// Slices as images.
    pub(super) fn slice_images(&self, indices: &[usize]) -> Result<Vec<Arc<Raster>>> {
        let held = |index: usize| self.images[index].get().map(Arc::clone);
        self.slices(indices, held, |study, index| self.slice_image(study, index))
    }

    /// Slices of masks, where records have one.
    pub(super) fn slice_masks(
        &self,
        role: MaskRole,
        indices: &[usize],
    ) -> Result<Vec<Option<Arc<Raster>>>> {
        let held = |index: usize| {
            self.masks[role as usize][index]
                .get()
                .map(|m| Some(Arc::clone(m)))
        };
        self.slices(indices, held, |study, index| {
            self.slice_mask(study, role, index)
        })
    }

    /// Rows, columns and spacing of a slice, which is cut if it was not before.
    pub(super) fn slice_seen(&self, index: usize) -> Result<Seen> {
        let held = |index: usize| self.seen[index].get().copied();
        let cut = |study: &Study, index: usize| {
            let (_, seen) = self.cut(study, self.record(index)?)?;
            Ok(*self.seen[index].get_or_init(|| seen))
        };
        let seen = self.slices(&[index], held, cut)?;
        seen.into_iter().next().ok_or_else(no_volumes)
    }

    /// What is held of every index, or what is cut of its volume; volumes in parallel, each once.
    ///
    /// While a volume is at hand, the cohort's other slices of it are kept as well, as far as there
    /// is room.
    fn slices<T: Send>(
        &self,
        indices: &[usize],
        held: impl Fn(usize) -> Option<T> + Sync,
        cut: impl Fn(&Study, usize) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        let volumes = self.volumes.as_ref().ok_or_else(no_volumes)?;
        let mut by_study: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (position, &index) in indices.iter().enumerate() {
            self.record(index)?;
            let study = volumes.of_record[index];
            by_study.entry(study).or_default().push(position);
        }
        let groups: Vec<(usize, Vec<usize>)> = by_study.into_iter().collect();
        let of_group = |(number, positions): &(usize, Vec<usize>)| -> Cut<T> {
            let all = positions
                .iter()
                .map(|&at| Some((at, Ok(held(indices[at])?))));
            if let Some(all) = all.collect::<Option<Cut<T>>>() {
                return all;
            }
            match volumes.store.one(*number) {
                // Of a group the first position stands for all.
                Err(error) => positions
                    .first()
                    .map(|&at| (at, Err(error)))
                    .into_iter()
                    .collect(),
                Ok(study) => {
                    self.keep_slices(&study, volumes, *number);
                    positions
                        .iter()
                        .map(|&at| (at, cut(&study, indices[at])))
                        .collect()
                }
            }
        };
        let mut done: Cut<T> = groups.par_iter().flat_map_iter(of_group).collect();
        done.sort_by_key(|(position, _)| *position);
        done.into_iter().map(|(_, result)| result).collect()
    }

    /// Keeps the slices of a study until there is no room for more. What is wrong with one is said
    /// to who asks for it.
    fn keep_slices(&self, study: &Study, volumes: &Volumes, number: usize) {
        let request = self.request;
        let channels = if request.colour == Colour::Grey { 1 } else { 3 };
        let needed = [request.width, channels, size_of::<f32>()]
            .into_iter()
            .fold(request.height, usize::saturating_mul);
        for &index in &volumes.store.studies()[number].records {
            if self.free_bytes.load(Ordering::Relaxed) < needed {
                break;
            }
            let _ = self.slice_image(study, index);
            for role in MaskRole::ALL {
                let _ = self.slice_mask(study, role, index);
            }
        }
    }

    fn slice_image(&self, study: &Study, index: usize) -> Result<Arc<Raster>> {
        let record = self.record(index)?;
        let image = self.cached(&self.images[index], || {
            self.cut_image(study, (index, record))
        });
        image.map_err(|error| self.at_row(record, error))
    }

    fn slice_mask(
        &self,
        study: &Study,
        role: MaskRole,
        index: usize,
    ) -> Result<Option<Arc<Raster>>> {
        let record = self.record(index)?;
        let Some(address) = record.mask_address(role)? else {
            return Ok(None);
        };
        let slot = &self.masks[role as usize][index];
        let mask = self.cached(slot, || self.cut_mask(study, role, &address));
        mask.map(Some).map_err(|error| self.at_row(record, error))
    }

    /// A slice as it is in its volume, with its neighbours where they are channels.
    fn cut(&self, study: &Study, record: &Record) -> Result<(Raster, Seen)> {
        let address = record.address()?;
        let (plane, index) = place(&address)?;
        let neighbours = match (&self.volumes, self.request.colour) {
            (Some(volumes), Colour::Rgb) => volumes.neighbours,
            _ => 0,
        };
        let file = self.cohort.root().join(address.file());
        let slice = study.slice(plane, index, neighbours);
        let slice = slice.map_err(|error| error.in_file(&file))?;
        let size = [slice.height(), slice.width()];
        if is_a_point(size) {
            return Err(ImagingError::content(&file, MORE_THAN_A_POINT, "1x1"));
        }
        let pixel_mm = Some(plane.spacing(study.image.affine()));
        Ok((slice, Seen { size, pixel_mm }))
    }

    fn cut_image(&self, study: &Study, (index, record): (usize, &Record)) -> Result<Raster> {
        let (slice, seen) = self.cut(study, record)?;
        self.seen[index].get_or_init(|| seen);
        let slice = if slice.has(self.request.colour) {
            slice
        } else {
            slice.to_colour(self.request.colour)?
        };
        let (height, width) = (self.request.height, self.request.width);
        resized(slice, height, width, Filter::AreaOrBilinear)
    }

    fn cut_mask(&self, study: &Study, role: MaskRole, address: &ImageAddress) -> Result<Raster> {
        let (plane, index) = place(address)?;
        let file = self.cohort.root().join(address.file());
        let slice = study
            .mask_slice(role, plane, index)
            .map_err(|error| error.in_file(&file))?
            .ok_or_else(no_volumes)?;
        let (height, width) = (self.request.height, self.request.width);
        resized(slice, height, width, Filter::Nearest)
    }
}

fn place(address: &ImageAddress) -> Result<(Plane, usize)> {
    let place = address.plane().zip(address.index());
    place.ok_or_else(|| {
        let expected = "a slice of a volume, such as `ct.nii.gz#axial/12`";
        ImagingError::argument("image address", expected, format!("`{address}`"))
    })
}

/// Why a slice cannot be cut.
fn no_volumes() -> ImagingError {
    let expected = "a section `[volumes]` in cohort.toml, for slices of volumes";
    ImagingError::argument("cohort", expected, "none")
}
