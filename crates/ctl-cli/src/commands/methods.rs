//! `ctl methods`

use std::process::ExitCode;

use comfy_table::{ContentArrangement, Table, presets::UTF8_HORIZONTAL_ONLY};
use ctl_harness::Registry;
use ctl_harness::catalogue::{methods_markdown, methods_schema};

use crate::arguments::Methods;
use crate::output::{print, print_json, print_line};

pub(crate) fn run(options: &Methods) -> anyhow::Result<ExitCode> {
    let registry = Registry::standard();
    if options.json {
        print_json(&registry.to_json())?;
    } else if options.schema {
        print_json(&methods_schema(&registry))?;
    } else if options.markdown {
        print(methods_markdown(&registry))?;
    } else {
        let mut table = Table::new();
        table
            .load_style(UTF8_HORIZONTAL_ONLY)
            .set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(["id", "family", "summary", "paper"]);
        for method in registry.iter() {
            let info = method.info();
            table.add_row([info.id, info.family.as_str(), info.summary, info.paper]);
        }
        print_line(table)?;
    }
    Ok(ExitCode::SUCCESS)
}
