//! One simulated patient.

/// Names of [`PhantomSample::attributes`], in their order.
pub(crate) const ATTRIBUTES: [&str; 3] = ["age", "sex", "lab"];

/// A patient with one image, as numbers: the image itself is drawn when it is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct PhantomSample {
    /// Name of the image, unique in the cohort.
    pub id: String,
    /// Name of the patient. An interventional reference has the patients of its source.
    pub patient: String,
    /// Position of its site in the cohort. A counterfactual patient stays where they were seen,
    /// whatever the value of the node `site` was set to.
    pub site: usize,
    /// The recorded label, 0 or 1.
    pub label: usize,
    /// Whether the disease is there, 0 or 1, whatever was recorded.
    pub true_label: usize,
    /// Age in years, sex (1 for men), laboratory value; `None` where it is not known.
    pub attributes: Vec<Option<f64>>,
    /// The value of every node of the model, in its order.
    pub values: Vec<f64>,
    /// The exogenous noise of every node of the model, in its order.
    pub noises: Vec<f64>,
    /// Position of the site whose name keys the textures, and the place within it.
    pub(crate) origin: (usize, usize),
}
