//! Connected parts of a mask.

use super::check_mask;
use super::element::Connectivity;
use crate::Result;
use crate::error::ImagingError;
use rayon::prelude::*;

/// How components are numbered.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum ComponentOrder {
    /// As their first voxels lie in the mask, as `scipy.ndimage.label` does.
    FirstVoxel,
    /// From the largest to the smallest, equal ones as their first voxels lie in the mask.
    #[default]
    Size,
}

/// The connected parts of a mask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Components {
    labels: Vec<u32>,
    sizes: Vec<usize>,
}

impl Components {
    /// For every voxel the number of its component, from 1; 0 outside the mask.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// The labels themselves, without a copy.
    pub fn into_labels(self) -> Vec<u32> {
        self.labels
    }

    /// Voxels of each component; number `n` stands at `n − 1`.
    pub fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.sizes.len()
    }
}

/// The connected parts of a mask.
///
/// # Arguments
/// * `mask`: one mark a voxel, first axis fastest.
/// * `shape`: voxels along each axis; 1 along the third for a picture.
/// * `connectivity`: which voxels are neighbours.
/// * `order`: how components are numbered.
///
/// # Errors
/// [`ImagingError::Argument`] when the mask does not have as many voxels as the shape, or has more
/// than 2³² − 1 rows of marks that touch none before them.
///
/// # Complexity
/// Linear in the number of voxels, and nearly so in that of runs (marked voxels in a row), which
/// are joined by union and find.
///
/// # References
/// He, Chao & Suzuki, "A run-based two-scan labeling algorithm", 2008; union by the smaller index
/// with path halving.
///
/// # Examples
/// ```
/// use ctl_imaging::morphology::{ComponentOrder, Connectivity, components};
///
/// let mask = [true, false, true, true, false, false];
/// let parts = components(&mask, [3, 2, 1], Connectivity::Faces, ComponentOrder::Size)?;
/// assert_eq!(parts.labels(), [1, 0, 2, 1, 0, 0]);
/// assert_eq!(parts.sizes(), [2, 1]);
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
pub fn components(
    mask: &[bool],
    shape: [usize; 3],
    connectivity: Connectivity,
    order: ComponentOrder,
) -> Result<Components> {
    check_mask(mask, shape)?;
    let mut forest = Forest::of(mask, shape[0])?;
    forest.join_all(shape[1], connectivity);
    let (mut numbers, mut sizes) = forest.numbered();
    if order == ComponentOrder::Size {
        by_size(&mut numbers, &mut sizes);
    }
    let labels = forest.painted(&numbers, mask.len(), shape[0]);
    Ok(Components { labels, sizes })
}

/// The component of most voxels; of equal ones the one whose first voxel comes first.
///
/// # Arguments
/// As of [`components`].
///
/// # Returns
/// Its mask; without a mark when the mask has none.
///
/// # Errors
/// As of [`components`].
///
/// # Examples
/// ```
/// use ctl_imaging::morphology::{Connectivity, largest_component};
///
/// let largest = largest_component(&[true, false, true, true], [4, 1, 1], Connectivity::Faces)?;
/// assert_eq!(largest, [false, false, true, true]);
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
pub fn largest_component(
    mask: &[bool],
    shape: [usize; 3],
    connectivity: Connectivity,
) -> Result<Vec<bool>> {
    let parts = components(mask, shape, connectivity, ComponentOrder::Size)?;
    Ok(parts
        .labels
        .into_par_iter()
        .map(|label| label == 1)
        .collect())
}

/// Renumbers components from the largest to the smallest.
fn by_size(numbers: &mut [u32], sizes: &mut [usize]) {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|&part| std::cmp::Reverse(sizes[part]));
    let mut place = vec![0; sizes.len()];
    for (new, &old) in (1..).zip(&order) {
        place[old] = new;
    }
    for number in numbers {
        *number = place[*number as usize - 1];
    }
    sizes.sort_by_key(|&size| std::cmp::Reverse(size));
}

/// Marked voxels that lie in a row.
#[derive(Debug, Clone, Copy)]
struct Run {
    start: usize,
    /// One past its last voxel.
    end: usize,
}

/// All runs, row by row, and how they are joined.
struct Forest {
    runs: Vec<Run>,
    /// Where the runs of each row start in `runs`; one more at the end.
    rows: Vec<usize>,
    /// A run of the same component that comes no later.
    parents: Vec<u32>,
}

impl Forest {
    fn of(mask: &[bool], width: usize) -> Result<Self> {
        let by_row: Vec<Vec<Run>> = mask.par_chunks(width).map(runs_of_row).collect();
        let mut rows = vec![0];
        let mut runs = Vec::new();
        for row in by_row {
            runs.extend(row);
            rows.push(runs.len());
        }
        let count = u32::try_from(runs.len()).map_err(|_| {
            ImagingError::argument(
                "mask",
                format!("at most {} runs of marks", u32::MAX),
                format!("{} runs", runs.len()),
            )
        })?;
        Ok(Self {
            runs,
            rows,
            parents: (0..count).collect(),
        })
    }

    /// Joins the runs of every row with those of its neighbours before it.
    fn join_all(&mut self, height: usize, connectivity: Connectivity) {
        let before: [(isize, isize); 4] = [(-1, 0), (-1, -1), (0, -1), (1, -1)];
        for row in 0..self.rows.len() - 1 {
            let (j, k) = (row % height, row / height);
            for (step_j, step_k) in before {
                let reach = connectivity.reach(step_j, step_k);
                let other = j.checked_add_signed(step_j).filter(|&j| j < height);
                let plane = k.checked_add_signed(step_k);
                if let (Some(reach), Some(other), Some(plane)) = (reach, other, plane) {
                    self.join_rows(row, plane * height + other, reach);
                }
            }
        }
    }

    /// Joins the runs of two rows that lie beside each other, `reach` voxels apart at most.
    fn join_rows(&mut self, row: usize, other: usize, reach: usize) {
        let (mut one, one_end) = (self.rows[row], self.rows[row + 1]);
        let (mut two, two_end) = (self.rows[other], self.rows[other + 1]);
        while one < one_end && two < two_end {
            let (here, there) = (self.runs[one], self.runs[two]);
            if here.start < there.end + reach && there.start < here.end + reach {
                self.join(one, two);
            }
            // The run that ends first meets no further one of the other row.
            if here.end < there.end {
                one += 1;
            } else {
                two += 1;
            }
        }
    }

    fn join(&mut self, one: usize, two: usize) {
        let (one, two) = (self.root(one), self.root(two));
        let (low, high) = (one.min(two), one.max(two));
        self.parents[high] = low as u32;
    }

    /// The first run of a component, with the way there halved.
    fn root(&mut self, mut run: usize) -> usize {
        while self.parents[run] as usize != run {
            let grandparent = self.parents[self.parents[run] as usize];
            self.parents[run] = grandparent;
            run = grandparent as usize;
        }
        run
    }

    /// For every run the number of its component in the order of first voxels, and their sizes.
    fn numbered(&mut self) -> (Vec<u32>, Vec<usize>) {
        let mut numbers = vec![0_u32; self.runs.len()];
        let mut sizes = Vec::new();
        for run in 0..self.runs.len() {
            let root = self.root(run);
            if root == run {
                sizes.push(0);
                numbers[run] = sizes.len() as u32;
            } else {
                // A root comes before all runs of its component.
                numbers[run] = numbers[root];
            }
            sizes[numbers[run] as usize - 1] += self.runs[run].end - self.runs[run].start;
        }
        (numbers, sizes)
    }

    fn painted(&self, numbers: &[u32], voxels: usize, width: usize) -> Vec<u32> {
        let mut labels = vec![0; voxels];
        labels
            .par_chunks_mut(width)
            .zip(self.rows.par_windows(2))
            .for_each(|(row, bounds)| {
                let runs = bounds[0]..bounds[1];
                for (run, &number) in self.runs[runs.clone()].iter().zip(&numbers[runs]) {
                    row[run.start..run.end].fill(number);
                }
            });
        labels
    }
}

fn runs_of_row(row: &[bool]) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut at = 0;
    while let Some(skipped) = row[at..].iter().position(|&mark| mark) {
        let start = at + skipped;
        let length = row[start..].iter().position(|&mark| !mark);
        let end = length.map_or(row.len(), |length| start + length);
        runs.push(Run { start, end });
        at = end;
    }
    runs
}
