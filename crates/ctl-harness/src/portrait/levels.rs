//! Columns of a cohort as a few levels.

use ctl_imaging::{AttributeKind, AttributeValue, Cohort};

use super::look::Look;
use super::sites::quartiles;

/// Levels of a column that are told apart; of more the rarest are one.
const MOST: usize = 20;
/// Names of what is not a column of its own.
pub(super) const SITE: &str = "site";
pub(super) const LABEL: &str = "label";
pub(super) const BRIGHTNESS: &str = "mean brightness";

/// A column as levels, `None` where it is empty.
#[derive(Clone)]
pub(super) struct Levels {
    pub(super) name: String,
    pub(super) names: Vec<String>,
    pub(super) codes: Vec<Option<u32>>,
    /// The numbers that were cut, of a column of numbers.
    pub(super) numbers: Vec<Option<f64>>,
}

/// The columns that are looked at, each with a value for every image.
pub(super) struct Columns {
    /// Every site.
    pub(super) site: Levels,
    pub(super) label: Levels,
    /// Those that models may take.
    pub(super) inputs: Vec<Levels>,
    pub(super) brightness: Levels,
}

impl Columns {
    pub(super) fn of(cohort: &Cohort, looks: &[Look]) -> Self {
        let means = looks
            .iter()
            .map(|look| look.intensity.map(|(mean, _)| mean));
        Self {
            site: sites(cohort),
            label: labels(cohort),
            inputs: attributes(cohort),
            brightness: Levels::of_numbers(BRIGHTNESS, means.collect()),
        }
    }
}

impl Levels {
    /// Words, of which the most frequent keep their names.
    pub(super) fn of_words(name: &str, names: &[String], codes: Vec<Option<u32>>) -> Self {
        let whole = Self {
            name: name.to_owned(),
            names: names.to_vec(),
            codes,
            numbers: Vec::new(),
        };
        whole.bounded()
    }

    /// Numbers cut at the quartiles of the whole cohort.
    pub(super) fn of_numbers(name: &str, numbers: Vec<Option<f64>>) -> Self {
        let cuts = quartiles(numbers.iter().copied().flatten().collect()).unwrap_or_default();
        let [first, second, third] = cuts.map(plain);
        Self {
            name: name.to_owned(),
            names: vec![
                format!("up to {first}"),
                format!("up to {second}"),
                format!("up to {third}"),
                format!("above {third}"),
            ],
            codes: numbers
                .iter()
                .map(|number| number.map(|number| quarter(number, cuts)))
                .collect(),
            numbers,
        }
    }

    pub(super) fn are_numbers(&self) -> bool {
        !self.numbers.is_empty()
    }

    /// With the rarest levels as one, where there are many; of equally frequent ones the first
    /// keep their names. All stay in their order.
    pub(super) fn bounded(self) -> Self {
        if self.names.len() <= MOST {
            return self;
        }
        let mut counts = vec![0_usize; self.names.len()];
        for code in self.codes.iter().flatten() {
            counts[*code as usize] += 1;
        }
        let mut order: Vec<usize> = (0..counts.len()).collect();
        order.sort_by_key(|&level| std::cmp::Reverse(counts[level]));
        let mut kept = order[..MOST - 1].to_vec();
        kept.sort_unstable();
        let mut places = vec![kept.len() as u32; counts.len()];
        for (place, &level) in kept.iter().enumerate() {
            places[level] = place as u32;
        }
        let more = self.names.len() - kept.len();
        let names = kept.iter().map(|&level| self.names[level].clone());
        Self {
            names: names.chain([format!("{more} more")]).collect(),
            codes: (self.codes.iter())
                .map(|code| code.map(|code| places[code as usize]))
                .collect(),
            ..self
        }
    }

    /// The column as it is to be compared within sites: numbers are cut at each site's own
    /// quartiles, since those of the cohort may lie between the sites.
    pub(super) fn within(&self, site: &Self) -> Self {
        let mut within = Self {
            numbers: Vec::new(),
            ..self.clone()
        };
        if !self.are_numbers() {
            return within;
        }
        within.names = ["first", "second", "third", "last"]
            .map(|quarter| format!("{quarter} quarter of the site"))
            .to_vec();
        let mut rows_of = vec![Vec::new(); site.names.len()];
        for (row, code) in site.codes.iter().enumerate() {
            if let Some(code) = code {
                rows_of[*code as usize].push(row);
            }
        }
        for rows in rows_of {
            let numbers = rows.iter().filter_map(|&row| self.numbers[row]).collect();
            let cuts = quartiles(numbers).unwrap_or_default();
            for row in rows {
                within.codes[row] = self.numbers[row].map(|number| quarter(number, cuts));
            }
        }
        within
    }
}

/// Which quarter a number lies in, 0 to 3.
fn quarter(number: f64, cuts: [f64; 3]) -> u32 {
    cuts.iter().filter(|&&cut| number > cut).count() as u32
}

/// A number with at most four decimals.
pub(super) fn plain(number: f64) -> String {
    let text = format!("{number:.4}");
    let short = text.trim_end_matches('0').trim_end_matches('.');
    short.to_owned()
}

fn sites(cohort: &Cohort) -> Levels {
    let codes = cohort.records().iter().map(|r| Some(r.site as u32));
    Levels {
        name: SITE.into(),
        names: cohort.sites().to_vec(),
        codes: codes.collect(),
        numbers: Vec::new(),
    }
}

/// Classes, or numbers where there are many classes and each is called by one.
fn labels(cohort: &Cohort) -> Levels {
    let classes = cohort.classes();
    let codes = cohort.records().iter().map(|record| record.label);
    let number = |class: &String| class.parse().ok().filter(|number: &f64| number.is_finite());
    let numbers: Option<Vec<f64>> = classes.iter().map(number).collect();
    match numbers {
        Some(numbers) if numbers.len() > MOST => {
            let of = codes.map(|code| code.map(|code| numbers[code]));
            Levels::of_numbers(LABEL, of.collect())
        }
        _ => {
            let codes = codes.map(|code| code.map(|code| code as u32));
            Levels::of_words(LABEL, classes, codes.collect())
        }
    }
}

fn attributes(cohort: &Cohort) -> Vec<Levels> {
    let inputs = cohort.attribute_inputs().iter().enumerate();
    inputs
        .map(|(position, input)| {
            let values = cohort.records().iter().map(|r| r.attributes[position]);
            match &input.kind {
                AttributeKind::Categorical { levels } => {
                    Levels::of_words(&input.name, levels, values.map(level).collect())
                }
                _ => Levels::of_numbers(&input.name, values.map(number).collect()),
            }
        })
        .collect()
}

fn level(value: AttributeValue) -> Option<u32> {
    match value {
        AttributeValue::Level(level) => Some(level as u32),
        _ => None,
    }
}

fn number(value: AttributeValue) -> Option<f64> {
    match value {
        AttributeValue::Number(number) => Some(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_cut_at_their_quartiles() {
        let numbers = vec![Some(1.0), Some(2.0), None, Some(3.0), Some(4.0)];
        let cut = Levels::of_numbers("age", numbers);
        assert_eq!(cut.codes, [Some(0), Some(1), None, Some(2), Some(3)]);
        assert_eq!(cut.names[1], "up to 2.5");
    }

    #[test]
    fn of_many_levels_the_rarest_are_one() {
        let names: Vec<String> = (0..1000).map(|level| format!("level {level}")).collect();
        // Level 7 stands thrice, 500 twice, all others once.
        let codes = (0..1000).chain([7, 7, 500]).map(Some).chain([None]);
        let bounded = Levels::of_words("a", &names, codes.collect());
        assert_eq!(bounded.names.len(), MOST);
        assert_eq!(bounded.names[17..], ["level 17", "level 500", "981 more"]);
        let of = |level: u32| {
            bounded
                .codes
                .iter()
                .filter(|code| **code == Some(level))
                .count()
        };
        assert_eq!((of(7), of(18), of(19)), (3, 2, 981));
        assert_eq!(bounded.codes.last(), Some(&None));
    }

    #[test]
    fn few_levels_stay_as_they_are() {
        let names: Vec<String> = (0..MOST).map(|level| level.to_string()).collect();
        let kept = Levels::of_words("a", &names, vec![Some(3)]);
        assert_eq!((kept.names, kept.codes), (names, vec![Some(3)]));
    }
}
