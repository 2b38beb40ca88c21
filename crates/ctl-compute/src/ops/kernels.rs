//! Loops on slices behind the custom operators: patches of an image as a matrix and back.

use crate::gemm::{MatrixView, Real, matmul};

/// Sizes of one convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConvShape {
    pub(crate) batch: usize,
    pub(crate) channels_in: usize,
    pub(crate) channels_out: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) kernel: [usize; 2],
    pub(crate) stride: usize,
    pub(crate) padding: usize,
}

impl ConvShape {
    /// Output height and width.
    pub(crate) fn output(&self) -> [usize; 2] {
        let along =
            |size: usize, kernel: usize| (size + 2 * self.padding - kernel) / self.stride + 1;
        [
            along(self.height, self.kernel[0]),
            along(self.width, self.kernel[1]),
        ]
    }

    fn taps(&self) -> usize {
        self.channels_in * self.kernel[0] * self.kernel[1]
    }

    fn pixels_in(&self) -> usize {
        self.channels_in * self.height * self.width
    }

    fn pixels_out(&self) -> usize {
        let [height, width] = self.output();
        height * width
    }

    fn is_pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.stride == 1 && self.padding == 0
    }
}

/// Output columns whose tap `offset` falls inside a row of `size` pixels: `first..end`.
fn valid_range(shape: &ConvShape, offset: usize, size: usize, outputs: usize) -> (usize, usize) {
    let first = shape.padding.saturating_sub(offset).div_ceil(shape.stride);
    let last = size + shape.padding;
    let end = if last > offset {
        (last - offset - 1) / shape.stride + 1
    } else {
        0
    };
    let end = end.min(outputs);
    (first.min(end), end)
}

/// Calls `visit(row of the patch matrix, first output, outputs, first input)` for every run of
/// output pixels in one output row that reads inside the image.
fn for_each_run(shape: &ConvShape, mut visit: impl FnMut(usize, usize, usize, usize)) {
    let [out_h, out_w] = shape.output();
    let [kernel_h, kernel_w] = shape.kernel;
    for channel in 0..shape.channels_in {
        for tap_y in 0..kernel_h {
            let (y_first, y_end) = valid_range(shape, tap_y, shape.height, out_h);
            for tap_x in 0..kernel_w {
                let (x_first, x_end) = valid_range(shape, tap_x, shape.width, out_w);
                if x_first == x_end {
                    continue;
                }
                let row = (channel * kernel_h + tap_y) * kernel_w + tap_x;
                for y in y_first..y_end {
                    let in_y = y * shape.stride + tap_y - shape.padding;
                    let in_x = x_first * shape.stride + tap_x - shape.padding;
                    let input = (channel * shape.height + in_y) * shape.width + in_x;
                    visit(row, y * out_w + x_first, x_end - x_first, input);
                }
            }
        }
    }
}

/// Patches of one image as a `[taps, output pixels]` matrix; taps outside the image stay zero.
///
/// `patches` must come in zeroed where the image does not reach, which holds for a fresh buffer
/// and for one used by this function before, since the runs are the same for every image.
fn gather_patches<T: Real>(shape: &ConvShape, image: &[T], patches: &mut [T]) {
    let pixels = shape.pixels_out();
    for_each_run(shape, |row, output, count, input| {
        let target = &mut patches[row * pixels + output..][..count];
        if shape.stride == 1 {
            target.copy_from_slice(&image[input..input + count]);
        } else {
            for (slot, value) in target
                .iter_mut()
                .zip(image[input..].iter().step_by(shape.stride))
            {
                *slot = *value;
            }
        }
    });
}

/// Adds the patch matrix back onto the image it was gathered from.
fn scatter_patches<T: Real>(shape: &ConvShape, patches: &[T], image: &mut [T]) {
    let pixels = shape.pixels_out();
    for_each_run(shape, |row, output, count, input| {
        let source = &patches[row * pixels + output..][..count];
        for (value, slot) in source
            .iter()
            .zip(image[input..].iter_mut().step_by(shape.stride))
        {
            *slot += *value;
        }
    });
}

/// `y[b] = W · patches(x[b])`, `W` as `[out, taps]`.
pub(crate) fn conv_forward<T: Real>(shape: &ConvShape, input: &[T], weight: &[T]) -> Vec<T> {
    let (taps, pixels, outs) = (shape.taps(), shape.pixels_out(), shape.channels_out);
    let mut output = vec![T::ZERO; shape.batch * outs * pixels];
    let mut patches = patch_buffer(shape);
    for b in 0..shape.batch {
        let image = &input[b * shape.pixels_in()..][..shape.pixels_in()];
        let columns = patches_of(shape, image, &mut patches);
        matmul(
            [outs, pixels, taps],
            MatrixView::row_major(weight, taps),
            MatrixView::row_major(columns, pixels),
            &mut output[b * outs * pixels..][..outs * pixels],
            false,
        );
    }
    output
}

/// Gradient with respect to the input: `patches⁻¹(Wᵀ · dy[b])`.
pub(crate) fn conv_input_gradient<T: Real>(
    shape: &ConvShape,
    output_gradient: &[T],
    weight: &[T],
) -> Vec<T> {
    let (taps, pixels, outs) = (shape.taps(), shape.pixels_out(), shape.channels_out);
    let mut gradient = vec![T::ZERO; shape.batch * shape.pixels_in()];
    let mut patches = patch_buffer(shape);
    for b in 0..shape.batch {
        let upstream = MatrixView::row_major(&output_gradient[b * outs * pixels..], pixels);
        let image = &mut gradient[b * shape.pixels_in()..][..shape.pixels_in()];
        let transposed = MatrixView::row_major(weight, taps).transposed();
        if shape.is_pointwise() {
            matmul([taps, pixels, outs], transposed, upstream, image, false);
        } else {
            matmul(
                [taps, pixels, outs],
                transposed,
                upstream,
                &mut patches,
                false,
            );
            scatter_patches(shape, &patches, image);
        }
    }
    gradient
}

/// Gradient with respect to the weight: `Σ_b dy[b] · patches(x[b])ᵀ`.
pub(crate) fn conv_weight_gradient<T: Real>(
    shape: &ConvShape,
    input: &[T],
    output_gradient: &[T],
) -> Vec<T> {
    let (taps, pixels, outs) = (shape.taps(), shape.pixels_out(), shape.channels_out);
    let mut gradient = vec![T::ZERO; outs * taps];
    let mut patches = patch_buffer(shape);
    for b in 0..shape.batch {
        let image = &input[b * shape.pixels_in()..][..shape.pixels_in()];
        let columns = patches_of(shape, image, &mut patches);
        matmul(
            [outs, taps, pixels],
            MatrixView::row_major(&output_gradient[b * outs * pixels..], pixels),
            MatrixView::row_major(columns, pixels).transposed(),
            &mut gradient,
            true,
        );
    }
    gradient
}

fn patch_buffer<T: Real>(shape: &ConvShape) -> Vec<T> {
    if shape.is_pointwise() {
        return Vec::new();
    }
    vec![T::ZERO; shape.taps() * shape.pixels_out()]
}

fn patches_of<'a, T: Real>(shape: &ConvShape, image: &'a [T], buffer: &'a mut [T]) -> &'a [T] {
    if shape.is_pointwise() {
        return image;
    }
    gather_patches(shape, image, buffer);
    buffer
}
