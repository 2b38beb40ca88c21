//! Shift diagrams and what they license.
