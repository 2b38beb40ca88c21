//! Metrics for transfer across sites: discrimination, calibration, worst group, resampling.
