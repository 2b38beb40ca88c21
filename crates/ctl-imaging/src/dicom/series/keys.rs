//! What tells images of one place apart.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

/// The functional group of an attribute, or the tag itself where there is none.
const SOURCES: [(SeriesAxis, &[(Tag, Tag)]); 6] = [
    (
        SeriesAxis::TemporalPosition,
        &[
            (tags::FRAME_CONTENT_SEQUENCE, tags::TEMPORAL_POSITION_INDEX),
            (
                tags::TEMPORAL_POSITION_SEQUENCE,
                tags::TEMPORAL_POSITION_IDENTIFIER,
            ),
        ],
    ),
    (
        SeriesAxis::TriggerTime,
        &[
            (
                tags::CARDIAC_SYNCHRONIZATION_SEQUENCE,
                tags::NOMINAL_CARDIAC_TRIGGER_DELAY_TIME,
            ),
            (tags::CARDIAC_SYNCHRONIZATION_SEQUENCE, tags::TRIGGER_TIME),
        ],
    ),
    (
        SeriesAxis::DiffusionBValue,
        &[(tags::MR_DIFFUSION_SEQUENCE, tags::DIFFUSION_B_VALUE)],
    ),
    (
        SeriesAxis::EchoTime,
        &[
            (tags::MR_ECHO_SEQUENCE, tags::EFFECTIVE_ECHO_TIME),
            (tags::MR_ECHO_SEQUENCE, tags::ECHO_TIME),
        ],
    ),
    (
        SeriesAxis::EchoNumber,
        &[(tags::MR_ECHO_SEQUENCE, tags::ECHO_NUMBERS)],
    ),
    (
        SeriesAxis::Acquisition,
        &[(tags::FRAME_CONTENT_SEQUENCE, tags::ACQUISITION_NUMBER)],
    ),
];

/// What the fourth axis of a series counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeriesAxis {
    /// `TemporalPositionIdentifier` or `TemporalPositionIndex`.
    TemporalPosition,
    /// `TriggerTime` or `NominalCardiacTriggerDelayTime`, ms.
    TriggerTime,
    /// `DiffusionBValue`, s/mm².
    DiffusionBValue,
    /// `EchoTime` or `EffectiveEchoTime`, ms.
    EchoTime,
    /// `EchoNumbers`.
    EchoNumber,
    /// `AcquisitionNumber`.
    Acquisition,
    /// Several of these together, or diffusion directions.
    Several,
}

/// The values of one image.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Keys {
    values: [Option<f64>; SOURCES.len()],
    direction: Option<[f64; 3]>,
}

impl Keys {
    /// Looks every key up by its functional group and tag.
    pub(super) fn of(
        number: impl Fn(Tag, Tag) -> Option<f64>,
        direction: impl Fn(Tag, Tag) -> Option<[f64; 3]>,
    ) -> Self {
        Self {
            values: SOURCES.map(|(_, sources)| {
                sources
                    .iter()
                    .find_map(|&(group, tag)| number(group, tag))
                    .filter(|value| value.is_finite())
            }),
            direction: direction(
                tags::MR_DIFFUSION_SEQUENCE,
                tags::DIFFUSION_GRADIENT_ORIENTATION,
            ),
        }
    }

    /// The axes along which images can be told apart, in order of preference.
    pub(super) fn axes() -> impl Iterator<Item = SeriesAxis> {
        SOURCES
            .iter()
            .map(|&(axis, _)| axis)
            .chain([SeriesAxis::Several])
    }

    /// What to sort by along an axis; `None` where the image does not say.
    pub(super) fn along(&self, axis: SeriesAxis) -> Option<Vec<f64>> {
        if axis == SeriesAxis::Several {
            let known = self.values.iter().map(|value| value.unwrap_or(-1.0));
            return Some(known.chain(self.direction.unwrap_or_default()).collect());
        }
        let place = SOURCES.iter().position(|&(other, _)| other == axis)?;
        self.values[place].map(|value| vec![value])
    }
}
