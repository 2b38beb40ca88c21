//! Images and attributes together.

use candle_core::Tensor;
use ctl_compute::ops::concat_channels;

use crate::cnn::Trunk;
use crate::{
    Linear, LinearHead, Mode, NetError, Network, NetworkInput, NetworkOutput, Parameters, Result,
};

/// Width of the two hidden layers over the attributes.
const ATTRIBUTE_WIDTH: usize = 32;
/// Width of the layer over image and attributes.
const JOINT_WIDTH: usize = 64;

/// Sizes of a [`LateFusion`] or an [`IntermediateFusion`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FusionSpec {
    /// Channels of an image, at least 1.
    pub channels: usize,
    /// Number of attributes `A`, at least 1; they come with as many indicators of presence.
    pub attributes: usize,
    /// Number of outputs, at least 1.
    pub outputs: usize,
}

impl FusionSpec {
    fn validate(&self, architecture: &'static str) -> Result<()> {
        for (key, size) in [
            ("channels", self.channels),
            ("attributes", self.attributes),
            ("outputs", self.outputs),
        ] {
            if size == 0 {
                return Err(NetError::Size {
                    architecture,
                    key,
                    expected: "at least 1",
                    found: "0".into(),
                });
            }
        }
        Ok(())
    }
}

/// The trunk of the small CNN for the image, two hidden `ReLU` layers for the attributes.
///
/// A missing attribute is the value 0 with the indicator 0, which tells it from a value at the
/// mean; without any attribute the second part is a constant that is learned.
struct Branches {
    image: Trunk,
    attributes: [Linear; 2],
    columns: usize,
}

impl Branches {
    fn new(p: &mut Parameters, spec: &FusionSpec) -> Result<Self> {
        let columns = 2 * spec.attributes;
        let width = ATTRIBUTE_WIDTH;
        Ok(Self {
            image: Trunk::small(p, "image.", spec.channels)?,
            attributes: [
                Linear::new(p, "attributes.hidden1", columns, width)?,
                Linear::new(p, "attributes.hidden2", width, width)?,
            ],
            columns,
        })
    }

    fn width(&self) -> usize {
        self.image.width() + ATTRIBUTE_WIDTH
    }

    /// Features of the image and of the attributes.
    fn forward(&self, architecture: &'static str, input: NetworkInput<'_>) -> Result<[Tensor; 2]> {
        let expected = "[B, 2A], values of A attributes and as many indicators of presence";
        let context = input.context_of(architecture, (self.columns, expected))?;
        let hidden = self.attributes[0].forward_relu(context)?;
        Ok([
            self.image.forward(input)?,
            self.attributes[1].forward_relu(&hidden)?,
        ])
    }
}

/// An image network and an attribute network with a linear head each; the mean of their logits.
///
/// Features are those of both side by side.
///
/// # References
/// Baltrušaitis, Ahuja & Morency 2019, "Multimodal machine learning: a survey and taxonomy",
/// section 6.1, late fusion by averaging.
pub struct LateFusion {
    parameters: Parameters,
    branches: Branches,
    heads: [Linear; 2],
}

impl LateFusion {
    const NAME: &'static str = "fusion-late";

    /// A network with weights drawn for `(seed, run)`.
    ///
    /// # Errors
    /// When a size is 0.
    pub fn new(spec: &FusionSpec, seed: u64, run: &str) -> Result<Self> {
        Self::from_parameters(Parameters::new(seed, run), spec)
    }

    /// The same with weights that are added to `parameters`, an empty set.
    ///
    /// # Errors
    /// When a size is 0.
    pub fn from_parameters(mut parameters: Parameters, spec: &FusionSpec) -> Result<Self> {
        spec.validate(Self::NAME)?;
        let p = &mut parameters;
        let branches = Branches::new(p, spec)?;
        let heads = [
            Linear::new(p, "image.head", branches.image.width(), spec.outputs)?,
            Linear::new(p, "attributes.head", ATTRIBUTE_WIDTH, spec.outputs)?,
        ];
        Ok(Self {
            parameters,
            branches,
            heads,
        })
    }
}

impl LateFusion {
    /// Both heads as one linear map of the features side by side.
    fn head_on(&self, features: &Tensor) -> Result<LinearHead> {
        let [image, attributes] = [&self.heads[0], &self.heads[1]].map(Linear::weights);
        let weight = Tensor::cat(&[image.0.as_tensor(), attributes.0.as_tensor()], 1)?;
        let bias = (image.1.as_tensor() + attributes.1.as_tensor())?;
        Ok(LinearHead {
            input: features.clone(),
            weight: (weight * 0.5)?,
            bias: (bias * 0.5)?,
            base: None,
        })
    }
}

impl Network for LateFusion {
    fn forward(&self, input: NetworkInput<'_>, _mode: Mode) -> Result<NetworkOutput> {
        let [image, attributes] = self.branches.forward(Self::NAME, input)?;
        let logits = (self.heads[0].forward(&image)? + self.heads[1].forward(&attributes)?)?;
        let features = concat_channels(&[&image, &attributes])?;
        Ok(NetworkOutput {
            head: Some(self.head_on(&features)?),
            ..NetworkOutput::new(features, (logits * 0.5)?)
        })
    }

    fn feature_width(&self) -> usize {
        self.branches.width()
    }

    fn head(&self) -> Option<&Linear> {
        None
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}

/// An image network and an attribute network whose features meet in a hidden `ReLU` layer before
/// the linear head.
///
/// Features are those of the joint layer.
///
/// # References
/// Stahlschmidt, Ulfenborg & Synnergren 2022, "Multimodal deep learning for biomedical data
/// fusion: a review", figure 3, intermediate fusion of marginal representations.
pub struct IntermediateFusion {
    parameters: Parameters,
    branches: Branches,
    joint: Linear,
    head: Linear,
}

impl IntermediateFusion {
    const NAME: &'static str = "fusion-intermediate";

    /// A network with weights drawn for `(seed, run)`.
    ///
    /// # Errors
    /// When a size is 0.
    pub fn new(spec: &FusionSpec, seed: u64, run: &str) -> Result<Self> {
        Self::from_parameters(Parameters::new(seed, run), spec)
    }

    /// The same with weights that are added to `parameters`, an empty set.
    ///
    /// # Errors
    /// When a size is 0.
    pub fn from_parameters(mut parameters: Parameters, spec: &FusionSpec) -> Result<Self> {
        spec.validate(Self::NAME)?;
        let p = &mut parameters;
        let branches = Branches::new(p, spec)?;
        let joint = Linear::new(p, "joint", branches.width(), JOINT_WIDTH)?;
        let head = Linear::new(p, "head", JOINT_WIDTH, spec.outputs)?;
        Ok(Self {
            parameters,
            branches,
            joint,
            head,
        })
    }
}

impl Network for IntermediateFusion {
    fn forward(&self, input: NetworkInput<'_>, _mode: Mode) -> Result<NetworkOutput> {
        let [image, attributes] = self.branches.forward(Self::NAME, input)?;
        let both = concat_channels(&[&image, &attributes])?;
        let features = self.joint.forward_relu(&both)?;
        NetworkOutput::classified(features, &self.head)
    }

    fn feature_width(&self) -> usize {
        JOINT_WIDTH
    }

    fn head(&self) -> Option<&Linear> {
        Some(&self.head)
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}
