//! Regions of an image as masks `[H, W]`.

/// The region and all pixels within `steps` of it, along rows, columns and diagonals.
pub(crate) fn dilated(region: &[bool], [height, width]: [usize; 2], steps: usize) -> Vec<bool> {
    let mut grown = region.to_vec();
    for (index, _) in region.iter().enumerate().filter(|(_, inside)| **inside) {
        let (y, x) = (index / width, index % width);
        for row in y.saturating_sub(steps)..(y + steps + 1).min(height) {
            let start = row * width;
            let end = (x + steps + 1).min(width);
            grown[start + x.saturating_sub(steps)..start + end].fill(true);
        }
    }
    grown
}

/// How many steps along rows and columns each pixel of a region is from the nearest one outside
/// it; 1 at its rim, 0 outside. Beyond the image is outside.
pub(crate) fn depths(region: &[bool], [height, width]: [usize; 2]) -> Vec<usize> {
    let mut depths: Vec<usize> = region.iter().map(|&inside| usize::from(inside)).collect();
    // A pixel at the rim keeps its 1; each sweep moves those on that every neighbour reached.
    for level in 1.. {
        let deeper: Vec<usize> = (0..region.len())
            .filter(|&index| depths[index] == level)
            .filter(|&index| {
                let around = neighbours(index, [height, width]);
                around.len() == 4 && around.iter().all(|&other| depths[other] >= level)
            })
            .collect();
        if deeper.is_empty() {
            break;
        }
        for index in deeper {
            depths[index] = level + 1;
        }
    }
    depths
}

/// The pixels beside one along rows and columns, in ascending order.
pub(crate) fn neighbours(index: usize, [height, width]: [usize; 2]) -> Vec<usize> {
    let (y, x) = (index / width, index % width);
    [
        (y > 0).then(|| index - width),
        (x > 0).then(|| index - 1),
        (x + 1 < width).then(|| index + 1),
        (y + 1 < height).then(|| index + width),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(rows: &[&str]) -> Vec<bool> {
        rows.iter()
            .flat_map(|row| row.bytes().map(|b| b == b'#'))
            .collect()
    }

    #[test]
    fn regions_by_hand() {
        let point = region(&["....", "....", "...#"]);
        assert_eq!(
            dilated(&point, [3, 4], 1),
            region(&["....", "..##", "..##"])
        );
        assert_eq!(dilated(&point, [3, 4], 0), point);
        let square = region(&[".....", ".###.", ".###.", ".###.", "....."]);
        let found = depths(&square, [5, 5]);
        assert_eq!(found[6..9], [1, 1, 1]);
        assert_eq!(found[11..14], [1, 2, 1]);
        assert_eq!(found.iter().sum::<usize>(), 10);
        // What ends with the image has its rim there.
        assert_eq!(depths(&[true; 9], [3, 3])[4], 2);
        assert_eq!(neighbours(0, [2, 3]), [1, 3]);
    }
}
