//! Dividing patients, not images, among parts.

use crate::Result;
use crate::error::ImagingError;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use std::collections::{BTreeMap, HashMap};

/// Keeps this use of a seed apart from every other.
const PURPOSE: &str = "ctl-imaging split_patients v1";

/// How far the fractions may be from a sum of 1.
const SUM_TOLERANCE: f64 = 1e-9;

/// Divides samples among parts, all samples of a patient in the same one.
///
/// Patients are sorted, shuffled within their class and dealt out one by one, each to the part
/// that is furthest behind its fraction: so the numbers of *patients* follow the fractions to
/// within one or two, in every class as in total. The order of the samples does not matter.
///
/// # Arguments
/// * `patients`: the patient of each sample.
/// * `fractions`: the share of each part; not negative, sum 1.
/// * `seed`: selects the shuffle.
/// * `stratify`: a class for each sample. A patient's class is the highest of its samples' (a
///   patient is ill who is ill on any image), and each class is divided separately.
///
/// # Returns
/// For each sample the index of its part.
///
/// # Errors
/// [`ImagingError::Argument`] when there are no fractions, one is negative or not finite, their
/// sum is not 1, or `stratify` has another length than `patients`.
///
/// # Complexity
/// `O(n log n)` for `n` samples.
///
/// # Examples
/// ```
/// let patients = ["p1", "p2", "p1", "p3", "p4"];
/// let parts = ctl_imaging::split_patients(&patients, &[0.5, 0.5], 7, None)?;
/// assert_eq!(parts[0], parts[2]);
/// let in_first = [0, 1, 3, 4].iter().filter(|&&sample| parts[sample] == 0).count();
/// assert_eq!(in_first, 2);
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
pub fn split_patients(
    patients: &[&str],
    fractions: &[f64],
    seed: u64,
    stratify: Option<&[usize]>,
) -> Result<Vec<usize>> {
    check(patients, fractions, stratify)?;
    let mut generator = generator(seed);
    let mut dealer = Dealer {
        fractions,
        counts: vec![0; fractions.len()],
    };
    let mut part_of = HashMap::with_capacity(patients.len());
    for mut stratum in strata(patients, stratify).into_values() {
        shuffle(&mut stratum, &mut generator);
        part_of.extend(
            stratum
                .into_iter()
                .map(|patient| (patient, dealer.next_part())),
        );
    }
    Ok(patients.iter().map(|patient| part_of[patient]).collect())
}

/// Gives each patient to the part that is furthest behind.
struct Dealer<'a> {
    fractions: &'a [f64],
    counts: Vec<usize>,
}

impl Dealer<'_> {
    fn next_part(&mut self) -> usize {
        let dealt = self.counts.iter().sum::<usize>() + 1;
        let behind = |part: usize| self.fractions[part] * dealt as f64 - self.counts[part] as f64;
        let parts = 0..self.counts.len();
        // Of parts equally far behind, the first.
        let part = parts
            .rev()
            .max_by(|&a, &b| behind(a).total_cmp(&behind(b)))
            .unwrap_or(0);
        self.counts[part] += 1;
        part
    }
}

/// Patients of each class, sorted.
fn strata<'a>(patients: &[&'a str], stratify: Option<&[usize]>) -> BTreeMap<usize, Vec<&'a str>> {
    let mut class_of: BTreeMap<&str, usize> = BTreeMap::new();
    for (sample, &patient) in patients.iter().enumerate() {
        let class = stratify.map_or(0, |classes| classes[sample]);
        let highest = class_of.entry(patient).or_insert(class);
        *highest = class.max(*highest);
    }
    let mut strata: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for (patient, class) in class_of {
        strata.entry(class).or_default().push(patient);
    }
    strata
}

/// Fisher and Yates's shuffle, written out so that no release of a library changes a split.
fn shuffle(patients: &mut [&str], generator: &mut ChaCha20Rng) {
    for end in (1..patients.len()).rev() {
        // The high half of a 128-bit product is uniform to within 2⁻⁶⁴ times the length.
        let product = u128::from(generator.next_u64()) * (end as u128 + 1);
        patients.swap(end, (product >> 64) as usize);
    }
}

fn generator(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::from_seed(blake3::derive_key(PURPOSE, &seed.to_le_bytes()))
}

fn check(patients: &[&str], fractions: &[f64], stratify: Option<&[usize]>) -> Result<()> {
    let is_share = |fraction: &f64| (0.0..=1.0).contains(fraction);
    let sum: f64 = fractions.iter().sum();
    if !fractions.iter().all(is_share) || (sum - 1.0).abs() > SUM_TOLERANCE {
        let expected = "shares from 0 to 1 with the sum 1";
        return Err(ImagingError::argument(
            "split fractions",
            expected,
            format!("{fractions:?}"),
        ));
    }
    match stratify {
        Some(classes) if classes.len() != patients.len() => Err(ImagingError::argument(
            "split classes",
            format!("one for each of {} samples", patients.len()),
            classes.len().to_string(),
        )),
        _ => Ok(()),
    }
}
