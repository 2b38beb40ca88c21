//! Activations that are fused into products.

/// What follows a linear map or a convolution in the same pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    Identity,
    /// `max(x, 0)`, with gradient 0 at 0.
    Relu,
}
