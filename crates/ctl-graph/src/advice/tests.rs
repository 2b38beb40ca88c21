//! One test per row of what the diagrams should say.

use super::*;
use crate::graph::{CausalDirection, Facts};

fn study(template: &Template) -> Advice {
    advise(&template.build().unwrap()).unwrap()
}
