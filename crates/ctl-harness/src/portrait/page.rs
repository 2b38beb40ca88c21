//! The page of a cohort's make-up.

use std::collections::BTreeMap;

use ctl_imaging::ImageStore;
use serde::Serialize;

use super::association::{Association, shown};
use super::levels::plain;
use super::look::{self, Window};
use super::sites::{Column, Range, Share, SiteStats};
use super::{CohortStats, SIDE};
use crate::Result;
use crate::report::{data_uri, render};

/// Thumbnails of a site.
const THUMBNAILS: usize = 10;
/// Levels of a column that are listed.
const MAX_LEVELS: usize = 8;
/// Sites that are shown, the largest of all.
const MAX_SITES: usize = 40;
/// Tables of one pair that are shown, those of the largest counts.
const MAX_TABLES: usize = 12;

#[derive(Serialize)]
struct Page<'a> {
    stats: &'a CohortStats,
    sites: Vec<Site>,
    /// Sites that are not shown.
    more_sites: usize,
    pairs: Vec<Pair>,
    side: usize,
    /// Whether the manifest divides images.
    divided: bool,
    /// The numbers that are black and white, where they are not 0 and 1.
    window: Option<[String; 2]>,
}

#[derive(Serialize)]
struct Site {
    name: String,
    images: usize,
    patients: usize,
    prevalence: String,
    splits: String,
    size: String,
    spacing: String,
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
    /// Tables that are not shown.
    more: usize,
}

#[derive(Serialize)]
struct Counts {
    title: String,
    columns: Vec<String>,
    rows: Vec<(String, Vec<String>)>,
}

pub(super) fn render(store: &ImageStore, stats: &CohortStats) -> Result<String> {
    let shown = largest(stats.sites.len(), MAX_SITES, |site| {
        stats.sites[site].images
    });
    let sites = shown.iter().map(|&site| {
        let pictures = thumbnails(store, site, stats.window)?;
        Ok(Site::of(&stats.sites[site], pictures))
    });
    let page = Page {
        stats,
        sites: sites.collect::<Result<_>>()?,
        more_sites: stats.sites.len() - shown.len(),
        pairs: stats.associations.iter().map(Pair::of).collect(),
        side: SIDE,
        divided: stats.sites.iter().any(|site| !site.splits.is_empty()),
        window: stats
            .window
            .map(|window| [window.low, window.high].map(short)),
    };
    render::portrait(&page)
}

/// Which of some things are the largest, at most so many, in their order.
fn largest(count: usize, most: usize, size: impl Fn(usize) -> usize) -> Vec<usize> {
    let mut all: Vec<usize> = (0..count).collect();
    all.sort_by_key(|&place| std::cmp::Reverse(size(place)));
    all.truncate(most);
    all.sort_unstable();
    all
}

/// Images of a site, label by label, evenly over the manifest; of many labels those of the most
/// images.
fn thumbnails(store: &ImageStore, site: usize, window: Option<Window>) -> Result<Vec<Picture>> {
    let cohort = store.cohort();
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (row, record) in cohort.records().iter().enumerate() {
        if record.site == site {
            // What has no label comes last.
            let label = record.label.unwrap_or(usize::MAX);
            groups.entry(label).or_default().push(row);
        }
    }
    let groups: Vec<(usize, Vec<usize>)> = groups.into_iter().collect();
    let chosen = largest(groups.len(), THUMBNAILS, |group| groups[group].1.len());
    let each = THUMBNAILS.div_ceil(chosen.len().max(1));
    let mut pictures = Vec::new();
    for group in chosen {
        let (label, rows) = &groups[group];
        let count = each.min(rows.len()).min(THUMBNAILS - pictures.len());
        let places: Vec<usize> = (0..count)
            .map(|picture| rows[(2 * picture + 1) * rows.len() / (2 * count)])
            .collect();
        let caption = match cohort.classes().get(*label) {
            Some(class) => class,
            None if cohort.classes().is_empty() => "",
            None => "no label",
        };
        for (image, &row) in store.load(&places)?.iter().zip(&places) {
            let shown = look::shown(image, store.source_size(row)?, window)?;
            pictures.push(Picture {
                data_uri: data_uri(&shown.to_png()?),
                caption: caption.to_owned(),
            });
        }
    }
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
        if let Some(quartiles) = site.label_quartiles {
            let quartiles = quartiles.map(plain).join(", ");
            prevalence.insert(0, format!("quartiles {quartiles}"));
        }
        let intensity = site.intensity.map_or("no number".to_owned(), |intensity| {
            format!(
                "{} ± {}, contrast {}",
                short(intensity.mean),
                short(intensity.spread),
                short(intensity.contrast)
            )
        });
        let holes = match site.not_finite {
            0 => String::new(),
            count => format!("; {count} with NaN or infinite pixels"),
        };
        Self {
            name: site.site.clone(),
            images: site.images,
            patients: site.patients,
            prevalence: prevalence.join("; "),
            splits: listed(&site.splits).join("; "),
            size: format!("{} × {}", sides(site.height), sides(site.width)),
            spacing: spacing(&site.spacing),
            intensity: format!("{intensity}{holes}"),
            attributes: site.attributes.iter().map(described).collect(),
            pictures,
        }
    }
}

/// Three decimals of small numbers, one of large.
fn short(number: f64) -> String {
    if number.abs() < 100.0 {
        format!("{number:.3}")
    } else {
        format!("{number:.1}")
    }
}

/// Millimetres along each axis, or once where all are equal.
fn spacing(axes: &[Range]) -> String {
    let Some(first) = axes.first() else {
        return "not known".to_owned();
    };
    if axes.iter().all(|axis| axis == first) {
        return sides(*first);
    }
    let axes: Vec<String> = axes.iter().copied().map(sides).collect();
    axes.join(" × ")
}

fn sides(range: Range) -> String {
    let [least, median, greatest] = [range.least, range.median, range.greatest].map(millimetres);
    if least == greatest {
        median
    } else {
        format!("{least}–{greatest} (median {median})")
    }
}

/// To a ten-thousandth: files hold lengths in single precision.
fn millimetres(length: f64) -> String {
    let rounded = (length * 1e4).round() / 1e4;
    // Of less nothing would be left.
    if rounded > 0.0 {
        rounded.to_string()
    } else {
        length.to_string()
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
            more: association.tables.len().saturating_sub(MAX_TABLES),
        }
    }
}

/// Shares of the first column in each level of the second, with the counts.
fn counts(association: &Association) -> Vec<Counts> {
    let size = |place: usize| {
        let counts = association.tables[place].counts.iter().flatten();
        counts.sum::<u32>() as usize
    };
    let places = largest(association.tables.len(), MAX_TABLES, size);
    let tables = places.iter().map(|&place| &association.tables[place]);
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
