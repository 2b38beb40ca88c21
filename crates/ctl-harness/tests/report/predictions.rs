//! Damaged and older files of predictions.

use ctl_harness::record::Record;
use ctl_harness::report::Format;
use ctl_harness::store::write_atomically;
use ctl_harness::sweep::Layout;

use crate::made::*;

#[test]
fn damaged_predictions_are_named_and_the_rest_is_reported() {
    let made = winner();
    let broken = spec("irm", "films", "c", 0).folder();
    let path = Layout::new(made.root())
        .run(&broken)
        .join("predictions.csv");
    write_atomically(
        &path,
        b"selector,part,id,site,target,output_0\ntraining-domain,target,a,b,x,1\n",
    )
    .unwrap();
    let html = made.write(Format::Html);
    assert!(html.contains(&format!(
        "predictions.csv of run {broken} (irm) is not used"
    )));
    assert!(html.contains(">film-35</td>"));
}

#[test]
fn predictions_that_were_cut_short_are_named_and_not_used() {
    let made = winner();
    let cut = spec("irm", "films", "c", 0).folder();
    let path = Layout::new(made.root()).run(&cut).join("predictions.csv");
    let text = std::fs::read_to_string(&path).unwrap();
    let kept: Vec<&str> = text.lines().take(1 + 40 + 33).collect();
    write_atomically(&path, kept.join("\n").as_bytes()).unwrap();
    let html = made.write(Format::Html);
    assert!(html.contains(&format!(
        "predictions.csv of run {cut} (irm) is not used: expected 40 rows of part target under \
         training-domain selection, as the record counts, found 33"
    )));
}

#[test]
fn predictions_that_were_changed_are_named_and_not_used() {
    let mut made = winner();
    let run = spec("irm", "films", "c", 0);
    let folder = Layout::new(made.root()).run(&run.folder());
    let bytes = std::fs::read(folder.join("predictions.csv")).unwrap();
    let mut record = Record::read(&folder.join("record.json")).unwrap();
    record.predictions = Some(blake3::hash(&bytes).to_hex().to_string());
    made.info.runs.retain(|name| *name != run.folder());
    made.keep(&record);
    assert!(!made.write(Format::Html).contains("is not used"));
    let text = String::from_utf8(bytes).unwrap().replacen(",0,", ",1,", 1);
    write_atomically(&folder.join("predictions.csv"), text.as_bytes()).unwrap();
    let html = made.write(Format::Html);
    assert!(html.contains("(irm) is not used: its hash is not the one in the record"));
}

#[test]
fn predictions_of_an_earlier_version_are_read_and_say_that_patients_are_unknown() {
    let made = winner();
    assert!(
        !made
            .write(Format::Html)
            .contains("images taken as independent")
    );
    let folder = spec("irm", "films", "c", 0).folder();
    let path = Layout::new(made.root())
        .run(&folder)
        .join("predictions.csv");
    let text = std::fs::read_to_string(&path).unwrap();
    let without: Vec<String> = text
        .lines()
        .map(|line| {
            let mut cells: Vec<&str> = line.split(',').collect();
            cells.remove(4);
            cells.join(",")
        })
        .collect();
    write_atomically(&path, without.join("\n").as_bytes()).unwrap();
    let html = made.write(Format::Html);
    assert_eq!(
        html.matches("unknown, images taken as independent").count(),
        1
    );
    assert!(!html.contains("is not used"));
}
