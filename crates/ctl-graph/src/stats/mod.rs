//! Tables of data and conditional-independence tests.
