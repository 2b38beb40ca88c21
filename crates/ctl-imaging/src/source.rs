//! Reading pictures by address, with array files opened once.

use crate::Result;
use crate::address::ImageAddress;
use crate::array::{self, Slice};
use crate::decode::{self, Decoded};
use crate::error::ImagingError;
use crate::header::{RasterSize, raster_size};
use crate::idx::{self, IdxArray};
use crate::npy::{self, NpyArray, NpyData};
use crate::npz;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// File and array name: what one loaded array is known by.
type ArrayKey = (String, Option<String>);

/// The pictures of one folder.
#[derive(Debug)]
pub(crate) struct Source {
    root: PathBuf,
    array_limit: usize,
    /// Arrays in the order in which they were loaded. Loading happens under the lock, so that
    /// threads that want pictures of one array do not each inflate it.
    arrays: Mutex<Vec<(ArrayKey, Arc<LoadedArray>)>>,
    shapes: Mutex<BTreeMap<ArrayKey, Vec<usize>>>,
}

#[derive(Debug)]
enum LoadedArray {
    Npy(NpyArray),
    Idx(IdxArray),
}

impl Source {
    /// Pictures below `root`, keeping array files of up to `array_limit` bytes in memory (the
    /// latest is always kept).
    pub(crate) fn new(root: &Path, array_limit: usize) -> Self {
        Self {
            root: root.to_owned(),
            array_limit,
            arrays: Mutex::new(Vec::new()),
            shapes: Mutex::new(BTreeMap::new()),
        }
    }

    /// The folder that addresses are relative to.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The size of a picture, from headers only.
    pub(crate) fn size(&self, address: &ImageAddress) -> Result<RasterSize> {
        let path = address.file_in(&self.root);
        refuse_slice(address)?;
        if !is_in_array(address) {
            return raster_size(&path);
        }
        let shape = self.shape(address, &path)?;
        Ok(Slice::new(&shape, address.index(), &path)?.size)
    }

    /// A picture with the colours that it is stored in; a palette is applied.
    pub(crate) fn picture(&self, address: &ImageAddress) -> Result<Decoded> {
        refuse_slice(address)?;
        if is_in_array(address) {
            self.array_picture(address)
        } else {
            decode::read_decoded(&address.file_in(&self.root))
        }
    }

    /// A mask; of a palette picture, the indices.
    pub(crate) fn mask(&self, address: &ImageAddress) -> Result<Decoded> {
        refuse_slice(address)?;
        if is_in_array(address) {
            self.array_picture(address)
        } else {
            decode::read_indexed(&address.file_in(&self.root))
        }
    }

    fn array_picture(&self, address: &ImageAddress) -> Result<Decoded> {
        let path = address.file_in(&self.root);
        match (self.array(address, &path)?.as_ref(), address.index()) {
            (LoadedArray::Npy(loaded), index) => array::npy_picture(loaded, index, &path),
            (LoadedArray::Idx(loaded), index) => {
                array::idx_picture(loaded, index.unwrap_or(0), &path)
            }
        }
    }

    fn shape(&self, address: &ImageAddress, path: &Path) -> Result<Vec<usize>> {
        let key = key_of(address);
        if let Some(shape) = locked(&self.shapes).get(&key) {
            return Ok(shape.clone());
        }
        let shape = match address.array() {
            Some(name) => npz::npz_shape(path, name)?,
            None if address.is_npy() => npy::npy_shape(path)?,
            None => idx::idx_shape(path)?,
        };
        // A cohort with one array file a picture is not worth remembering.
        if address.index().is_some() {
            locked(&self.shapes).insert(key, shape.clone());
        }
        Ok(shape)
    }

    fn array(&self, address: &ImageAddress, path: &Path) -> Result<Arc<LoadedArray>> {
        if address.index().is_none() {
            return Ok(Arc::new(load(address, path)?));
        }
        let key = key_of(address);
        let mut arrays = locked(&self.arrays);
        if let Some((_, array)) = arrays.iter().find(|(known, _)| *known == key) {
            return Ok(Arc::clone(array));
        }
        let array = Arc::new(load(address, path)?);
        let mut room = self.array_limit.saturating_sub(array.bytes());
        let kept = arrays.iter().rev().take_while(|(_, older)| {
            let fits = older.bytes() <= room;
            room = room.saturating_sub(older.bytes());
            fits
        });
        let dropped = arrays.len() - kept.count();
        arrays.drain(..dropped);
        arrays.push((key, Arc::clone(&array)));
        Ok(array)
    }
}

impl LoadedArray {
    fn bytes(&self) -> usize {
        match self {
            Self::Idx(array) => array.bytes.len(),
            Self::Npy(array) => match &array.data {
                NpyData::Bool(data) | NpyData::U8(data) => data.len(),
                NpyData::I8(data) => data.len(),
                NpyData::U16(data) => data.len() * 2,
                NpyData::I16(data) => data.len() * 2,
                NpyData::U32(data) => data.len() * 4,
                NpyData::I32(data) => data.len() * 4,
                NpyData::F32(data) => data.len() * 4,
                NpyData::U64(data) => data.len() * 8,
                NpyData::I64(data) => data.len() * 8,
                NpyData::F64(data) => data.len() * 8,
            },
        }
    }
}

/// Slices are cut by who prepares their volumes.
fn refuse_slice(address: &ImageAddress) -> Result<()> {
    if address.plane().is_none() {
        return Ok(());
    }
    let expected = "a picture, or a section `[volumes]` in cohort.toml for slices of volumes";
    Err(ImagingError::argument(
        "image address",
        expected,
        format!("`{address}`"),
    ))
}

fn is_in_array(address: &ImageAddress) -> bool {
    address.index().is_some() || address.is_npy()
}

fn key_of(address: &ImageAddress) -> ArrayKey {
    (
        address.file().to_owned(),
        address.array().map(str::to_owned),
    )
}

fn load(address: &ImageAddress, path: &Path) -> Result<LoadedArray> {
    Ok(match address.array() {
        Some(name) => LoadedArray::Npy(npz::read_npz(path, name)?),
        None if address.is_npy() => LoadedArray::Npy(npy::read_npy(path)?),
        None => LoadedArray::Idx(idx::read_idx(path)?),
    })
}

/// The data behind these locks is whole at every moment, so a panic elsewhere does not spoil it.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
