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
    /// Other patients of the one training site: nothing moves.
    SameSite,
    /// Other patients of a training site, annotated by somebody else.
    SecondObserver,
}

impl Ground {
    /// All grounds, the one that a report answers first where it is there.
    pub const ALL: [Self; 4] = [
        Self::UnseenSite,
        Self::Mixture,
        Self::SecondObserver,
        Self::SameSite,
    ];

    /// The ground of a protocol.
    pub fn of(protocol: Protocol) -> Self {
        match protocol {
            Protocol::NamedTarget | Protocol::LeaveOneSiteOut => Self::UnseenSite,
            Protocol::SiteLabelMixture => Self::Mixture,
            Protocol::SingleSite => Self::SameSite,
            Protocol::SecondObserver => Self::SecondObserver,
        }
    }

    /// The name used in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnseenSite => "unseen site",
            Self::Mixture => "mixture",
            Self::SameSite => "same site",
            Self::SecondObserver => "second observer",
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
            Self::SameSite => "On other patients of the one training site",
            Self::SecondObserver => "As a second observer annotates a training site",
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
            Self::SameSite => {
                "The target is other patients of the training site. Nothing moves, so these figures \
                 are a reference and say nothing about transfer."
            }
            Self::SecondObserver => {
                "Training holds the first observer's masks. The target is other patients of a \
                 training site, scored by the second observer; in distribution, the same images are \
                 scored by the first."
            }
        }
    }

    /// What its in-distribution figure is measured on.
    pub(crate) fn inside(self) -> &'static str {
        match self {
            Self::UnseenSite => "unseen patients of the training sites",
            Self::Mixture => "unseen patients of the mixture (site identification)",
            Self::SameSite => "unseen patients of the training site",
            Self::SecondObserver => "the target's images, scored by the first observer",
        }
    }

    /// Where that is, in two or three words.
    pub(crate) fn home(self) -> &'static str {
        match self {
            Self::UnseenSite | Self::SameSite => "at home",
            Self::SecondObserver => "by the first observer",
            Self::Mixture => "on the mixture",
        }
    }

    /// Which cells these are, after their number.
    pub(crate) fn scene(self) -> &'static str {
        match self {
            Self::UnseenSite => "with an unseen site as the target",
            Self::Mixture => "where site and label coincide in training (mixture)",
            Self::SameSite => "where the target is other patients of the training site",
            Self::SecondObserver => "where a second observer scores",
        }
    }

    /// What plain training scores, from the figure in distribution and the one on the target.
    pub(crate) fn scores(self, home: &str, away: &str) -> String {
        match self {
            Self::UnseenSite => {
                format!("{home} on unseen patients of its own sites and {away} on the target")
            }
            Self::Mixture => format!(
                "{home} in distribution, where telling the sites apart is enough, and {away} on \
                 both classes of one site"
            ),
            Self::SameSite => format!(
                "{home} in distribution and {away} on the target, other patients of the same site"
            ),
            Self::SecondObserver => {
                format!("{home} by the first observer and {away} by the second, on the same images")
            }
        }
    }
}
