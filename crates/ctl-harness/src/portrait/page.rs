//! The page of a cohort's make-up.

use ctl_imaging::{Cohort, ImageStore};
use serde::Serialize;

use super::association::{Association, plain, shown};
use super::sites::{Column, Range, Share, SiteStats};
use super::{CohortStats, SIDE};
use crate::Result;
use crate::report::{data_uri, render};

/// Thumbnails of a site.
const THUMBNAILS: usize = 10;
/// Levels of a column that are listed.
const MAX_LEVELS: usize = 8;

#[derive(Serialize)]
struct Page<'a> {
    stats: &'a CohortStats,
    sites: Vec<Site>,
    pairs: Vec<Pair>,
    side: usize,
    /// Whether the manifest divides images.
    divided: bool,
}

#[derive(Serialize)]
struct Site {
    name: String,
    images: usize,
    patients: usize,
    prevalence: String,
    splits: String,
    size: String,
    intensity: String,
    attributes: Vec<(String, String)>,
    pictures: Vec<Picture>,
}

#[derive(Serialize)]
struct Picture {
    data_uri: String,
    caption: String,
}

#[derive(Serialize)]
struct Pair {
    title: String,
    within: &'static str,
    v: String,
    p: String,
    flagged: bool,
    tables: Vec<Counts>,
}

#[derive(Serialize)]
struct Counts {
    title: String,
    columns: Vec<String>,
    rows: Vec<(String, Vec<String>)>,
}

pub(super) fn render(store: &ImageStore, stats: &CohortStats) -> Result<String> {
    let cohort = store.cohort();
    let sites = stats.sites.iter().enumerate();
    let page = Page {
        stats,
        sites: sites
            .map(|(index, site)| Ok(Site::of(site, thumbnails(store, cohort, index)?)))
            .collect::<Result<_>>()?,
        pairs: stats.associations.iter().map(Pair::of).collect(),
        side: SIDE,
        divided: stats.sites.iter().any(|site| !site.splits.is_empty()),
    };
    render::portrait(&page)
}

/// Images of a site, label by label, evenly over the manifest.
fn thumbnails(store: &ImageStore, cohort: &Cohort, site: usize) -> Result<Vec<Picture>> {
    let of_site = |label: Option<usize>| {
        let records = cohort.records().iter().enumerate();
        let rows: Vec<usize> = records
            .filter(|(_, record)| record.site == site && record.label == label)
            .map(|(index, _)| index)
            .collect();
        rows
    };
    let labels = (0..cohort.classes().len()).map(Some).chain([None]);
    let groups: Vec<(Option<usize>, Vec<usize>)> = labels
        .map(|label| (label, of_site(label)))
        .filter(|(_, rows)| !rows.is_empty())
        .collect();
    let each = THUMBNAILS.div_ceil(groups.len().max(1));
    let mut pictures = Vec::new();
    for (label, rows) in groups {
        let count = each.min(rows.len());
        let chosen: Vec<usize> = (0..count)
            .map(|picture| rows[(2 * picture + 1) * rows.len() / (2 * count)])
            .collect();
        let caption = match label {
            Some(label) => &cohort.classes()[label],
            None if cohort.classes().is_empty() => "",
            None => "no label",
        };
        for image in store.load(&chosen)? {
            pictures.push(Picture {
                data_uri: data_uri(&image.to_png()?),
                caption: caption.to_owned(),
            });
        }
    }
    pictures.truncate(THUMBNAILS);
    Ok(pictures)
}

impl Site {
    fn of(site: &SiteStats, pictures: Vec<Picture>) -> Self {
        let unlabelled = match site.unlabelled {
            0 => String::new(),
            count => format!("{count} without"),
        };
        let mut prevalence = listed(&site.prevalence);
        if !unlabelled.is_empty() {
            prevalence.push(unlabelled);
        }
        let spacing = site
            .pixel_mm
            .map_or(String::new(), |mm| format!(", {mm} mm a pixel"));
        let intensity = site.intensity;
        Self {
            name: site.site.clone(),
            images: site.images,
            patients: site.patients,
            prevalence: prevalence.join("; "),
            splits: listed(&site.splits).join("; "),
            size: format!("{} × {}{spacing}", sides(site.height), sides(site.width)),
            intensity: format!(
                "{:.3} ± {:.3}, contrast {:.3}",
                intensity.mean, intensity.spread, intensity.contrast
            ),
            attributes: site.attributes.iter().map(described).collect(),
            pictures,
        }
    }
}

fn sides(range: Range) -> String {
    if range.least < range.greatest {
        format!(
            "{}–{} (median {})",
            range.least, range.greatest, range.median
        )
    } else {
        range.median.to_string()
    }
}

fn listed(shares: &[Share]) -> Vec<String> {
    let [low, high] = [0, 1].map(|end| move |share: &Share| share.interval[end]);
    shares
        .iter()
        .map(|share| {
            format!(
                "{} {} ({:.2}, {:.2} to {:.2})",
                share.name,
                share.count,
                share.share,
                low(share),
                high(share)
            )
        })
        .collect()
}

fn described(column: &Column) -> (String, String) {
    let mut parts = Vec::new();
    if let Some(quartiles) = column.quartiles {
        parts.push(format!("quartiles {}", quartiles.map(plain).join(", ")));
    }
    let levels = column.levels.iter().filter(|level| level.count > 0);
    let levels: Vec<String> = levels
        .map(|level| format!("{} {:.2}", level.name, level.share))
        .collect();
    let more = levels.len().saturating_sub(MAX_LEVELS);
    parts.extend(levels.into_iter().take(MAX_LEVELS));
    if more > 0 {
        parts.push(format!("{more} more levels"));
    }
    if column.missing > 0 {
        parts.push(format!("missing in {}", column.missing));
    }
    (column.name.clone(), parts.join(", "))
}

impl Pair {
    fn of(association: &Association) -> Self {
        Self {
            title: format!("{} and {}", association.first, association.second),
            within: if association.within_sites {
                "within sites"
            } else {
                "over all sites"
            },
            v: format!("{:.2}", association.cramers_v),
            p: shown(association.p_adjusted),
            flagged: association.flagged,
            tables: counts(association),
        }
    }
}

/// Shares of the first column in each level of the second, with the counts.
fn counts(association: &Association) -> Vec<Counts> {
    let tables = association.tables.iter();
    tables
        .map(|table| {
            let columns = 0..association.second_levels.len();
            let sum = |column: usize| table.counts.iter().map(|row| row[column]).sum::<u32>();
            let cell = |count: u32, column: usize| match sum(column) {
                0 => "–".to_owned(),
                sum => format!("{count} ({:.2})", f64::from(count) / f64::from(sum)),
            };
            let rows = association.first_levels.iter().zip(&table.counts);
            Counts {
                title: format!(
                    "{}V {:.2}, p {}",
                    table
                        .site
                        .as_ref()
                        .map_or(String::new(), |site| format!("{site}: ")),
                    table.cramers_v,
                    shown(table.p_value)
                ),
                columns: association.second_levels.clone(),
                rows: rows
                    .filter(|(_, counts)| counts.iter().any(|&count| count > 0))
                    .map(|(level, counts)| {
                        let cells = columns.clone().map(|column| cell(counts[column], column));
                        (level.clone(), cells.collect())
                    })
                    .collect(),
            }
        })
        .collect()
}
