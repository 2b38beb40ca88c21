//! Tables as comma-separated values.
#![no_main]

use ctl_graph::stats::Table;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    if let Ok(table) = Table::read_csv(text) {
        let table = table.all_categories();
        for index in 0..table.columns() {
            let (codes, levels) = table.category_at(index).expect("every column is one");
            assert_eq!(codes.len(), table.rows());
            assert!(codes.iter().all(|&code| (code as usize) < levels));
        }
    }
});
