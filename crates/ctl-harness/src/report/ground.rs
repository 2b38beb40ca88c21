//! What a cell asks; figures of different questions are never averaged.

use serde::Serialize;

use crate::table::Cell;
use crate::vocabulary::Protocol;

/// The question that a protocol puts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ground {
    /// A site that training never saw; in distribution are unseen patients of the training sites.
    UnseenSite,
    /// Site and label coincide in training; telling the sites apart is enough to do well in
    /// distribution, so that figure says nothing about disease.
    Mixture,
}

impl Ground {
    /// All grounds, the one that a report answers first where it is there.
    pub const ALL: [Self; 2] = [Self::UnseenSite, Self::Mixture];

    /// The ground of a protocol.
    pub fn of(protocol: Protocol) -> Self {
        match protocol {
            Protocol::NamedTarget | Protocol::LeaveOneSiteOut => Self::UnseenSite,
            Protocol::SiteLabelMixture => Self::Mixture,
        }
    }

    /// The name used in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnseenSite => "unseen site",
            Self::Mixture => "mixture",
        }
    }

    pub(crate) fn has(self, cell: &Cell) -> bool {
        Self::of(cell.protocol) == self
    }

    /// The heading of its table.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::UnseenSite => "On a site that training never saw",
            Self::Mixture => "Where site and label coincide in training (mixture)",
        }
    }

    /// What a reader must know of its in-distribution figure.
    pub(crate) fn caution(self) -> &'static str {
        match self {
            Self::UnseenSite => "",
            Self::Mixture => {
                "Training holds the negatives of one site and the positives of another. In \
                 distribution, telling the two sites apart is enough, so that figure measures site \
                 identification, not disease; the target is both classes of one of the two sites."
            }
        }
    }
}
