//! Medical images from disk: cohorts with a manifest, PNG, JPEG, TIFF, NPZ, IDX, resizing, patient-wise splits.
