//! A back-door set in ten lines: which variables to adjust for when hospitals choose scanners by
//! severity.

use ctl_graph::{Diagram, adjustment::Adjustment};

fn main() -> Result<(), ctl_graph::GraphError> {
    let diagram = Diagram::parse(
        "severity -> scanner -> reading; severity -> disease -> reading; age -> disease",
    )?;
    let (treatment, outcome) = (diagram.set(&["scanner"])?, diagram.set(&["reading"])?);
    let adjustment = Adjustment::back_door(&diagram, &treatment, &outcome)?;
    let sets: Vec<String> = adjustment
        .minimal()
        .map(|set| diagram.names(&set).join(", "))
        .collect();
    assert_eq!(sets, ["severity", "disease"]);
    assert_eq!(adjustment.optimal()?, Some(diagram.set(&["disease"])?));
    Ok(())
}
