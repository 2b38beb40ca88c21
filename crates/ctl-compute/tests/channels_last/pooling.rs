//! Maximum, mean and global pooling.

use candle_core::{Device, Tensor};
use ctl_compute::ops::{
    Windows, average_pool2d, average_pool3d, global_average_pool, global_max_pool, max_pool2d,
    max_pool3d,
};
use proptest::prelude::*;

use super::support::{
    SINGLE, distance, first_order, same_everywhere, sample, second_order, single, values,
};

/// `[B, D, H, W, C]` pooled by visiting every tap of every window; `fold` sees the values inside
/// and the number of taps.
fn plainly(
    x: &[f64],
    [batch, depth, height, width, channels]: [usize; 5],
    w: &Windows<3>,
    fold: fn(&[f64], usize) -> f64,
) -> Vec<f64> {
    let sizes = [depth, height, width];
    let out = |a: usize| (sizes[a] + 2 * w.padding[a] - w.kernel[a]) / w.stride[a] + 1;
    let inside = |a: usize, o: usize, k: usize| {
        (o * w.stride[a] + k)
            .checked_sub(w.padding[a])
            .filter(|&i| i < sizes[a])
    };
    let mut result = Vec::new();
    for b in 0..batch {
        for (z, y) in (0..out(0)).flat_map(|z| (0..out(1)).map(move |y| (z, y))) {
            for (o, c) in (0..out(2)).flat_map(|o| (0..channels).map(move |c| (o, c))) {
                let mut seen = Vec::new();
                for i in (0..w.kernel[0]).filter_map(|k| inside(0, z, k)) {
                    for j in (0..w.kernel[1]).filter_map(|k| inside(1, y, k)) {
                        for l in (0..w.kernel[2]).filter_map(|k| inside(2, o, k)) {
                            let pixel = ((b * depth + i) * height + j) * width + l;
                            seen.push(x[pixel * channels + c]);
                        }
                    }
                }
                result.push(fold(&seen, w.kernel.iter().product()));
            }
        }
    }
    result
}

fn largest(seen: &[f64], _: usize) -> f64 {
    seen.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

fn windows(kernel: usize, stride: usize, padding: usize) -> Windows<2> {
    Windows {
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [padding; 2],
    }
}

fn deep(w: &Windows<2>) -> Windows<3> {
    Windows {
        kernel: [1, w.kernel[0], w.kernel[1]],
        stride: [1, w.stride[0], w.stride[1]],
        padding: [0, w.padding[0], w.padding[1]],
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_window_of_any_image(
        batch in 1usize..3, height in 1usize..6, width in 1usize..6,
        channels in prop::sample::select(vec![1usize, 3]),
        kernel in 1usize..4, stride in 1usize..4, padding in 0usize..2, count: bool,
    ) {
        prop_assume!(padding <= kernel / 2);
        prop_assume!(kernel <= height + 2 * padding && kernel <= width + 2 * padding);
        let vars = [sample(&[batch, height, width, channels], "x")];
        let w = windows(kernel, stride, padding);
        first_order(&|v| max_pool2d(&v[0], &w).unwrap(), &vars);
        first_order(&|v| average_pool2d(&v[0], &w, count).unwrap(), &vars);
        second_order(&|v| max_pool2d(&v[0], &w).unwrap(), &vars);
        second_order(&|v| average_pool2d(&v[0], &w, count).unwrap(), &vars);
    }

    #[test]
    fn any_window_of_any_volume(
        depth in 1usize..5, height in 1usize..5, width in 1usize..5,
        kernel in prop::array::uniform3(1usize..4), stride in prop::array::uniform3(1usize..3),
        padded: bool, count: bool,
    ) {
        let padding = kernel.map(|k| if padded { k / 2 } else { 0 });
        let sizes = [depth, height, width];
        prop_assume!((0..3).all(|a| kernel[a] <= sizes[a] + 2 * padding[a]));
        let w = Windows { kernel, stride, padding };
        let vars = [sample(&[2, depth, height, width, 2], "x")];
        first_order(&|v| max_pool3d(&v[0], &w).unwrap(), &vars);
        first_order(&|v| average_pool3d(&v[0], &w, count).unwrap(), &vars);
        second_order(&|v| max_pool3d(&v[0], &w).unwrap(), &vars);
        second_order(&|v| average_pool3d(&v[0], &w, count).unwrap(), &vars);
    }

    #[test]
    fn single_precision_gives_the_plain_loops_values(
        batch in 1usize..3, height in 1usize..20, width in 1usize..20,
        channels in prop::sample::select(vec![1usize, 3, 17, 64]),
        kernel in 1usize..5, stride in 1usize..4, padding in 0usize..3,
    ) {
        prop_assume!(padding <= kernel / 2);
        prop_assume!(kernel <= height + 2 * padding && kernel <= width + 2 * padding);
        let x = single(&[sample(&[batch, height, width, channels], "x")]);
        let (w, dims) = (windows(kernel, stride, padding), [batch, 1, height, width, channels]);
        let plain = |fold| plainly(&values(&x[0]), dims, &deep(&w), fold);
        let found = max_pool2d(&x[0], &w).unwrap();
        prop_assert!(distance(&found, &plain(largest)) <= 0.0);
        let found = average_pool2d(&x[0], &w, true).unwrap();
        let expected = plain(|seen, taps| seen.iter().sum::<f64>() / taps as f64);
        prop_assert!(distance(&found, &expected) < SINGLE);
        let found = average_pool2d(&x[0], &w, false).unwrap();
        let expected = plain(|seen, _| seen.iter().sum::<f64>() / seen.len() as f64);
        prop_assert!(distance(&found, &expected) < SINGLE);
    }
}

#[test]
fn volumes_of_every_width_of_channels() {
    let w = Windows {
        kernel: [2, 3, 2],
        stride: [2, 2, 1],
        padding: [0, 1, 1],
    };
    for channels in [1, 3, 17, 64] {
        let vars = [sample(&[1, 3, 4, 3, channels], "x")];
        first_order(&|v| max_pool3d(&v[0], &w).unwrap(), &vars);
        first_order(&|v| average_pool3d(&v[0], &w, true).unwrap(), &vars);
    }
}

#[test]
fn global_pooling() {
    for shape in [
        vec![2, 3, 2, 3],
        vec![1, 1, 1, 1],
        vec![2, 2, 1, 3, 2],
        vec![1, 3, 2, 17],
        vec![1, 2, 2, 64],
    ] {
        let vars = [sample(&shape, "x")];
        for f in [global_average_pool, global_max_pool] {
            first_order(&|v| f(&v[0]).unwrap(), &vars);
            second_order(&|v| f(&v[0]).unwrap(), &vars);
        }
    }
}

#[test]
fn same_bits_on_levels_and_threads() {
    for channels in [1, 3, 17, 64] {
        let vars = [sample(&[2, 13, 10, channels], "x")];
        same_everywhere(|v| max_pool2d(&v[0], &windows(2, 2, 0)).unwrap(), &vars);
        same_everywhere(|v| max_pool2d(&v[0], &windows(3, 2, 1)).unwrap(), &vars);
        same_everywhere(
            |v| average_pool2d(&v[0], &windows(3, 1, 1), true).unwrap(),
            &vars,
        );
        same_everywhere(|v| global_average_pool(&v[0]).unwrap(), &vars);
    }
}

/// The first of equal pixels wins, and what is not a number is not lost.
#[test]
fn ties_and_what_is_not_a_number() {
    let flat = candle_core::Var::new(&[[[[1f32], [1.0]], [[1.0], [1.0]]]], &Device::Cpu).unwrap();
    let pooled = max_pool2d(&flat, &Windows::tiles(2)).unwrap();
    let grads = pooled.sum_all().unwrap().backward().unwrap();
    assert_eq!(values(grads.get(&flat).unwrap()), [1.0, 0.0, 0.0, 0.0]);
    for position in 0..4 {
        let mut pixels = vec![1f32; 4];
        pixels[position] = f32::NAN;
        let image = Tensor::from_vec(pixels, (1, 2, 2, 1), &Device::Cpu).unwrap();
        assert!(values(&max_pool2d(&image, &Windows::tiles(2)).unwrap())[0].is_nan());
    }
}

#[test]
fn ill_windows_and_operands_are_errors_that_name_the_operator() {
    let image = sample(&[1, 4, 4, 2], "x");
    for w in [
        windows(5, 1, 0),
        windows(2, 0, 0),
        windows(0, 1, 0),
        windows(2, 1, 2),
    ] {
        for result in [max_pool2d(&image, &w), average_pool2d(&image, &w, true)] {
            let message = result.unwrap_err().to_string();
            assert!(message.contains("pool2d: kernel"), "{message}");
        }
    }
    let huge = windows(usize::MAX, 1, usize::MAX / 2);
    assert!(max_pool2d(&image, &huge).is_err());
    assert!(max_pool3d(&image, &Windows::tiles(2)).is_err());
    assert!(global_average_pool(&sample(&[2, 3], "x")).is_err());
    let integers = Tensor::zeros((1, 4, 4, 2), candle_core::DType::U32, &Device::Cpu).unwrap();
    let message = max_pool2d(&integers, &Windows::tiles(2))
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("dtype") && message.contains("u32"),
        "{message}"
    );
}
