//! DICOM, beside dicom-object as an independent writer and pydicom as an independent reader.

mod conformance;
mod deidentify;
mod jpegls;
mod make;
mod pixels;
mod robustness;
mod series;
mod series_4d;
