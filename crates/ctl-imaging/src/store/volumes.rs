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
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

/// The volumes whose slices are a cohort's images.
#[derive(Debug)]
pub(super) struct Volumes {
    store: StudyStore,
    neighbours: usize,
    /// The study of each record.
    of_record: Vec<usize>,
    /// Held while the slices of a study are cut, so that nobody else cuts them meanwhile.
    cutting: Vec<Mutex<()>>,
}

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
            cutting: store.studies().iter().map(|_| Mutex::new(())).collect(),
            of_record,
            store,
        })
    }
}

impl ImageStore {
    /// A slice as an image; while its volume is at hand, the cohort's other slices of it are kept
    /// as well, as far as there is room.
    pub(super) fn slice_image(&self, index: usize, record: &Record) -> Result<Arc<Raster>> {
        if let Some(image) = self.images[index].get() {
            return Ok(Arc::clone(image));
        }
        self.with_study(index, |study, volumes| {
            if let Some(image) = self.images[index].get() {
                return Ok(Arc::clone(image));
            }
            self.keep_slices(study, volumes, index)?;
            self.cached(&self.images[index], || {
                self.cut_image(study, volumes, (index, record))
            })
        })
    }

    /// A slice of a mask; see [`slice_image`](Self::slice_image).
    pub(super) fn slice_mask(
        &self,
        index: usize,
        role: MaskRole,
        address: &ImageAddress,
    ) -> Result<Arc<Raster>> {
        let slot = &self.masks[role as usize][index];
        if let Some(mask) = slot.get() {
            return Ok(Arc::clone(mask));
        }
        self.with_study(index, |study, volumes| {
            if let Some(mask) = slot.get() {
                return Ok(Arc::clone(mask));
            }
            self.keep_slices(study, volumes, index)?;
            self.cached(slot, || self.cut_mask(study, role, address))
        })
    }

    /// Rows, columns and spacing of a slice, which is cut if it was not before.
    pub(super) fn slice_seen(&self, index: usize, record: &Record) -> Result<Seen> {
        if let Some(seen) = self.seen[index].get() {
            return Ok(*seen);
        }
        self.with_study(index, |study, volumes| {
            let (_, seen) = self.cut(study, volumes, record)?;
            Ok(*self.seen[index].get_or_init(|| seen))
        })
    }

    fn with_study<T>(
        &self,
        index: usize,
        cut: impl FnOnce(&Study, &Volumes) -> Result<T>,
    ) -> Result<T> {
        let volumes = self.volumes.as_ref().ok_or_else(no_volumes)?;
        let number = volumes.of_record[index];
        let lock = volumes.cutting[number].lock();
        let _alone = lock.unwrap_or_else(PoisonError::into_inner);
        cut(&*volumes.store.one(number)?, volumes)
    }

    /// Cuts the slices of a study, the wanted one first, until there is no room for more.
    fn keep_slices(&self, study: &Study, volumes: &Volumes, wanted: usize) -> Result<()> {
        let number = volumes.of_record[wanted];
        let others = volumes.store.studies()[number].records.iter().copied();
        let request = self.request;
        let channels = if request.colour == Colour::Grey { 1 } else { 3 };
        let needed = request
            .height
            .saturating_mul(request.width)
            .saturating_mul(channels);
        let needed = needed.saturating_mul(size_of::<f32>());
        for index in std::iter::once(wanted).chain(others) {
            if self.free_bytes.load(Ordering::Relaxed) < needed {
                break;
            }
            let record = &self.cohort.records()[index];
            self.cached(&self.images[index], || {
                self.cut_image(study, volumes, (index, record))
            })?;
            for role in MaskRole::ALL {
                if let Some(address) = record.mask_address(role)? {
                    let slot = &self.masks[role as usize][index];
                    self.cached(slot, || self.cut_mask(study, role, &address))?;
                }
            }
        }
        Ok(())
    }

    /// A slice as it is in its volume, with its neighbours where they are channels.
    fn cut(&self, study: &Study, volumes: &Volumes, record: &Record) -> Result<(Raster, Seen)> {
        let (plane, index) = place(&record.address()?)?;
        let is_grey = self.request.colour == Colour::Grey;
        let neighbours = if is_grey { 0 } else { volumes.neighbours };
        let slice = study.slice(plane, index, neighbours)?;
        let size = [slice.height(), slice.width()];
        if is_a_point(size) {
            let path = self.cohort.root().join(record.address()?.file());
            return Err(ImagingError::content(&path, MORE_THAN_A_POINT, "1x1"));
        }
        let pixel_mm = Some(plane.spacing(study.image.affine()));
        Ok((slice, Seen { size, pixel_mm }))
    }

    fn cut_image(
        &self,
        study: &Study,
        volumes: &Volumes,
        (index, record): (usize, &Record),
    ) -> Result<Raster> {
        let (slice, seen) = self.cut(study, volumes, record)?;
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
        let slice = study
            .mask_slice(role, plane, index)?
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
