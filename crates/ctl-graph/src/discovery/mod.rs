//! Discovery of structure from data.
