//! Every kernel against a plain loop in f64.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::*;
use crate::kernels::level::{self, Level};

/// Held by a test that chooses kernels for the whole process, or relies on nobody else doing so.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The strongest level, whatever a test before this one chose.
fn strongest() -> Level {
    let best = Level::available().max().unwrap();
    level::force(best).unwrap();
    best
}

/// A convolution's values as f64, from plain loops over the definition.
struct Naive {
    shape: ConvShape,
    x: Vec<f64>,
    w: Vec<f64>,
    g: Vec<f64>,
}

impl Naive {
    fn new(shape: ConvShape) -> Self {
        let fill = |len: usize, seed: u64| -> Vec<f64> {
            let mut state = seed;
            let mut next = || {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                f64::from((state >> 40) as f32 / (1u32 << 24) as f32 - 0.5)
            };
            (0..len).map(|_| next()).collect()
        };
        Self {
            x: fill(shape.input_len(), 1),
            w: fill(shape.weight_len(), 2),
            g: fill(shape.output_len(), 3),
            shape,
        }
    }

    /// Calls `f(x index, w index, y index)` for every product of the definition.
    fn each(&self, mut f: impl FnMut(usize, usize, usize)) {
        let s = &self.shape;
        let [od, oh, ow] = s.output;
        let [kd, kh, kw] = s.kernel;
        for y in 0..s.output_len() {
            let (o, pixel) = (y % s.channels_out, y / s.channels_out);
            let (j, i, e, b) = (
                pixel % ow,
                pixel / ow % oh,
                pixel / ow / oh % od,
                pixel / ow / oh / od,
            );
            for t in 0..kd * kh * kw {
                let tap = [t / kw / kh, t / kw % kh, t % kw];
                let at = |axis: usize, q: usize| {
                    (q * s.stride[axis] + tap[axis] * s.dilation[axis])
                        .checked_sub(s.padding[axis])
                        .filter(|&p| p < s.input[axis])
                };
                let (Some(d), Some(h), Some(w)) = (at(0, e), at(1, i), at(2, j)) else {
                    continue;
                };
                for c in 0..s.group_in() {
                    let channel = o / s.group_out() * s.group_in() + c;
                    let x = (((b * s.input[0] + d) * s.input[1] + h) * s.input[2] + w)
                        * s.channels_in
                        + channel;
                    f(x, (o * s.group_in() + c) * s.taps() + t, y);
                }
            }
        }
    }

    fn forward(&self) -> Vec<f64> {
        let mut out = vec![0.0; self.g.len()];
        self.each(|x, w, y| out[y] += self.x[x] * self.w[w]);
        out
    }

    fn input_gradient(&self) -> Vec<f64> {
        let mut out = vec![0.0; self.x.len()];
        self.each(|x, w, y| out[x] += self.g[y] * self.w[w]);
        out
    }

    fn weight_gradient(&self) -> Vec<f64> {
        let mut out = vec![0.0; self.w.len()];
        self.each(|x, w, y| out[w] += self.g[y] * self.x[x]);
        out
    }
}

fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&v| v as f32).collect()
}

fn assert_close(found: &[f32], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1.0f64, |m, v| m.max(v.abs()));
    for (i, (&f, &e)) in found.iter().zip(expected).enumerate() {
        assert!(
            (f64::from(f) - e).abs() <= 1e-5 * scale,
            "{what}[{i}]: {f} against {e}"
        );
    }
}

fn assert_close_f64(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (&f, &e)) in found.iter().zip(expected).enumerate() {
        assert!(
            (f - e).abs() <= 1e-12 * (1.0 + e.abs()),
            "{what}[{i}]: {f} against {e}"
        );
    }
}

fn plain<T>() -> Epilogue<'static, T> {
    Epilogue {
        bias: None,
        relu: false,
    }
}

fn check_at_this_level(naive: &Naive, what: &str) {
    let s = &naive.shape;
    let (x, w, g) = (narrow(&naive.x), narrow(&naive.w), narrow(&naive.g));
    assert_close(
        &forward(s, &x, &w, &plain()),
        &naive.forward(),
        &format!("{what} forward"),
    );
    assert_close(
        &input_gradient(s, &g, &w, &plain()),
        &naive.input_gradient(),
        &format!("{what} input gradient"),
    );
    assert_close(
        &weight_gradient(s, &x, &g),
        &naive.weight_gradient(),
        &format!("{what} weight gradient"),
    );
}

fn check(sizes: &ConvSizes) {
    let naive = Naive::new(ConvShape::new("test", sizes).unwrap());
    let s = &naive.shape;
    let _alone = alone();
    for level in Level::available().chain([Level::Emulated]) {
        level::force(level).unwrap();
        check_at_this_level(&naive, &format!("{} {sizes:?}", level.name()));
    }
    assert_close_f64(
        &forward(s, &naive.x, &naive.w, &plain()),
        &naive.forward(),
        "f64 forward",
    );
    assert_close_f64(
        &input_gradient(s, &naive.g, &naive.w, &plain()),
        &naive.input_gradient(),
        "f64 input gradient",
    );
    assert_close_f64(
        &weight_gradient(s, &naive.x, &naive.g),
        &naive.weight_gradient(),
        "f64 weight gradient",
    );
}

fn sizes(batch: usize, channels: [usize; 2], input: [usize; 3], kernel: [usize; 3]) -> ConvSizes {
    ConvSizes {
        batch,
        channels,
        groups: 1,
        input,
        kernel,
        stride: [1; 3],
        padding: kernel.map(|k| k / 2),
        dilation: [1; 3],
    }
}

#[test]
fn channels_of_every_tile() {
    for channels in [1, 3, 8, 16, 17, 33, 48, 64, 80, 130] {
        check(&sizes(2, [channels, 5], [1, 5, 7], [1, 3, 3]));
        check(&sizes(2, [5, channels], [1, 5, 7], [1, 3, 3]));
    }
}

#[test]
fn sums_longer_than_a_block() {
    check(&sizes(1, [700, 20], [1, 3, 3], [1, 1, 1]));
    check(&sizes(2, [70, 70], [1, 4, 4], [1, 3, 3]));
}

#[test]
fn strides_padding_and_dilation() {
    let base = sizes(2, [3, 18], [1, 9, 11], [1, 3, 3]);
    for (stride, padding, dilation) in [
        ([1, 2, 2], [0, 1, 1], [1; 3]),
        ([1, 2, 3], [0, 0, 2], [1; 3]),
        ([1, 1, 1], [0, 2, 2], [1, 2, 2]),
        ([1, 2, 2], [0, 3, 1], [1, 3, 2]),
        ([1, 5, 4], [0, 0, 0], [1; 3]),
    ] {
        check(&ConvSizes {
            stride,
            padding,
            dilation,
            ..base
        });
    }
    check(&ConvSizes {
        padding: [0, 2, 1],
        ..sizes(3, [2, 4], [1, 1, 1], [1, 1, 1])
    });
    check(&ConvSizes {
        stride: [1, 2, 2],
        padding: [0, 3, 3],
        ..sizes(2, [1, 20], [1, 12, 13], [1, 7, 7])
    });
}

#[test]
fn volumes_and_groups() {
    check(&sizes(2, [4, 9], [3, 4, 5], [3, 3, 3]));
    check(&ConvSizes {
        stride: [2, 1, 2],
        ..sizes(1, [8, 8], [5, 4, 6], [3, 2, 3])
    });
    for groups in [2, 4] {
        check(&ConvSizes {
            groups,
            ..sizes(2, [8, 12], [1, 5, 6], [1, 3, 3])
        });
    }
    check(&ConvSizes {
        groups: 20,
        ..sizes(2, [20, 20], [1, 6, 5], [1, 3, 3])
    });
    check(&ConvSizes {
        groups: 100,
        stride: [1, 2, 1],
        ..sizes(2, [100, 100], [1, 6, 5], [1, 3, 3])
    });
    check(&ConvSizes {
        groups: 5,
        ..sizes(1, [5, 5], [3, 4, 5], [3, 3, 3])
    });
    check(&ConvSizes {
        groups: 3,
        stride: [1, 2, 2],
        ..sizes(2, [3, 6], [1, 6, 5], [1, 3, 3])
    });
}

#[test]
fn small_images_in_large_batches() {
    check(&sizes(40, [20, 40], [1, 2, 2], [1, 3, 3]));
    check(&sizes(300, [17, 70], [1, 1, 1], [1, 1, 1]));
    check(&sizes(9, [8, 16], [2, 3, 3], [3, 3, 3]));
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let _alone = alone();
    strongest();
    let pool = |threads| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
    };
    for sizes in [
        sizes(4, [16, 40], [1, 40, 40], [1, 3, 3]),
        sizes(64, [33, 70], [1, 4, 4], [1, 3, 3]),
        sizes(8, [64, 80], [1, 12, 12], [1, 3, 3]),
        sizes(1, [1, 8], [12, 20, 20], [3, 3, 3]),
        ConvSizes {
            stride: [1, 2, 2],
            ..sizes(4, [17, 40], [1, 33, 31], [1, 3, 3])
        },
        ConvSizes {
            groups: 3,
            dilation: [1, 2, 2],
            padding: [0, 2, 2],
            ..sizes(4, [12, 48], [1, 24, 24], [1, 3, 3])
        },
        ConvSizes {
            groups: 64,
            ..sizes(4, [64, 64], [1, 24, 24], [1, 3, 3])
        },
    ] {
        let naive = Naive::new(ConvShape::new("test", &sizes).unwrap());
        let (x, w, g) = (narrow(&naive.x), narrow(&naive.w), narrow(&naive.g));
        let s = &naive.shape;
        let run = |threads| {
            pool(threads).install(|| {
                [
                    forward(s, &x, &w, &plain()),
                    input_gradient(s, &g, &w, &plain()),
                    weight_gradient(s, &x, &g),
                ]
            })
        };
        assert_eq!(run(1), run(2));
        assert_eq!(run(1), run(3));
    }
}

#[test]
fn fewer_products_stay_within_their_error() {
    // At least as many tiles as the scheme asks for.
    for (batch, input, channels, padding) in [
        (2, [1, 14, 14], [64, 64], 1),
        (3, [2, 7, 9], [64, 80], 1),
        (24, [1, 4, 4], [80, 66], 1),
        (4, [1, 12, 11], [64, 64], 0),
        (6, [1, 5, 6], [64, 64], 2),
    ] {
        let base = sizes(batch, channels, input, [1, 3, 3]);
        check(&ConvSizes {
            padding: [0, padding, padding],
            ..base
        });
    }
}

#[test]
fn fewer_products_can_be_turned_off() {
    let _alone = alone();
    let level = strongest();
    let naive =
        Naive::new(ConvShape::new("test", &sizes(2, [64, 64], [1, 14, 14], [1, 3, 3])).unwrap());
    let (x, w) = (narrow(&naive.x), narrow(&naive.w));
    let run = || forward(&naive.shape, &x, &w, &plain());
    let fewer = run();
    set_winograd(false);
    let all = run();
    set_winograd(true);
    assert_close(&fewer, &naive.forward(), "fewer products");
    assert_close(&all, &naive.forward(), "all products");
    let vectors = level >= Level::Avx2;
    assert_eq!(fewer != all, vectors, "the switch has no effect");
}
