//! Images with geometry: values and places derived by hand.

mod layout;
mod values;
