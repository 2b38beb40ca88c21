//! Options of convolutions.

/// Stride, zero padding, dilation and groups of a convolution over `N` axes.
///
/// # Examples
/// ```
/// use ctl_compute::ops::ConvOptions;
///
/// let options = ConvOptions::same([3, 3]).with_stride([2, 2]);
/// assert_eq!((options.padding, options.stride, options.groups), ([1, 1], [2, 2], 1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvOptions<const N: usize> {
    /// Step between output pixels, at least 1.
    pub stride: [usize; N],
    /// Zeros added on either side.
    pub padding: [usize; N],
    /// Step between kernel taps, at least 1.
    pub dilation: [usize; N],
    /// Groups of channels that do not mix; divides both channel counts.
    pub groups: usize,
}

impl<const N: usize> Default for ConvOptions<N> {
    /// Stride 1, no padding, no dilation, one group.
    fn default() -> Self {
        Self {
            stride: [1; N],
            padding: [0; N],
            dilation: [1; N],
            groups: 1,
        }
    }
}

impl<const N: usize> ConvOptions<N> {
    /// The padding that keeps the size under an odd `kernel` and stride 1.
    pub fn same(kernel: [usize; N]) -> Self {
        Self::default().with_padding(kernel.map(|k| k / 2))
    }

    /// With another stride.
    #[must_use]
    pub fn with_stride(mut self, stride: [usize; N]) -> Self {
        self.stride = stride;
        self
    }

    /// With another padding.
    #[must_use]
    pub fn with_padding(mut self, padding: [usize; N]) -> Self {
        self.padding = padding;
        self
    }

    /// With another dilation; padding is left as it is.
    #[must_use]
    pub fn with_dilation(mut self, dilation: [usize; N]) -> Self {
        self.dilation = dilation;
        self
    }

    /// With another number of groups.
    #[must_use]
    pub fn with_groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }
}

/// Options of a transposed convolution over `N` axes.
///
/// # Examples
/// ```
/// use ctl_compute::ops::ConvTransposeOptions;
///
/// let doubling = ConvTransposeOptions::default().with_stride([2, 2]);
/// assert_eq!(doubling.output_padding, [0, 0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvTransposeOptions<const N: usize> {
    /// Step between the pixels that neighbouring input pixels write to, at least 1.
    pub stride: [usize; N],
    /// Pixels cut from either side of the output.
    pub padding: [usize; N],
    /// Pixels added at the end of the output, less than stride or dilation.
    pub output_padding: [usize; N],
    /// Step between kernel taps, at least 1.
    pub dilation: [usize; N],
    /// Groups of channels that do not mix; divides both channel counts.
    pub groups: usize,
}

impl<const N: usize> Default for ConvTransposeOptions<N> {
    /// Stride 1, no padding, no dilation, one group.
    fn default() -> Self {
        Self {
            stride: [1; N],
            padding: [0; N],
            output_padding: [0; N],
            dilation: [1; N],
            groups: 1,
        }
    }
}

impl<const N: usize> ConvTransposeOptions<N> {
    /// With another stride.
    #[must_use]
    pub fn with_stride(mut self, stride: [usize; N]) -> Self {
        self.stride = stride;
        self
    }

    /// With another padding.
    #[must_use]
    pub fn with_padding(mut self, padding: [usize; N]) -> Self {
        self.padding = padding;
        self
    }

    /// With another output padding.
    #[must_use]
    pub fn with_output_padding(mut self, output_padding: [usize; N]) -> Self {
        self.output_padding = output_padding;
        self
    }

    /// With another dilation.
    #[must_use]
    pub fn with_dilation(mut self, dilation: [usize; N]) -> Self {
        self.dilation = dilation;
        self
    }

    /// With another number of groups.
    #[must_use]
    pub fn with_groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }
}
