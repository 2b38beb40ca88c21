//! Transfer syntaxes: how a data set is written and how its pixels are compressed.

/// How elements of a data set are written (PS3.5 section 7 and annex A).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Encoding {
    /// Whether value representations are left out.
    pub(crate) implicit: bool,
    /// Whether numbers start with their most significant byte.
    pub(crate) big_endian: bool,
}

impl Encoding {
    pub(crate) const IMPLICIT: Self = Self {
        implicit: true,
        big_endian: false,
    };
    pub(crate) const EXPLICIT: Self = Self {
        implicit: false,
        big_endian: false,
    };
    pub(crate) const EXPLICIT_BIG: Self = Self {
        implicit: false,
        big_endian: true,
    };

    pub(crate) fn u16(self, bytes: [u8; 2]) -> u16 {
        if self.big_endian {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        }
    }

    pub(crate) fn u32(self, bytes: [u8; 4]) -> u32 {
        if self.big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        }
    }

    pub(crate) fn u64(self, bytes: [u8; 8]) -> u64 {
        if self.big_endian {
            u64::from_be_bytes(bytes)
        } else {
            u64::from_le_bytes(bytes)
        }
    }
}

/// How pixels are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    /// Not at all.
    Native,
    /// Run lengths, PS3.5 annex G.
    Rle,
    /// ITU-T T.81, sequential or lossless.
    Jpeg,
    /// ITU-T T.87.
    JpegLs,
    /// ITU-T T.800, and T.814 with the high-throughput block coder.
    Jpeg2000,
    /// A way that is not read: video, JPEG XL and others.
    Unknown,
}

/// A transfer syntax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TransferSyntax {
    pub(crate) uid: String,
    /// The name of PS3.6 table A-1 without remarks, where it is one of the known.
    pub(crate) name: Option<&'static str>,
    pub(crate) encoding: Encoding,
    pub(crate) compression: Compression,
    /// Whether the data set is deflated as a whole.
    pub(crate) deflated: bool,
}

const IMPLICIT_LITTLE: &str = "1.2.840.10008.1.2";
const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
const EXPLICIT_BIG: &str = "1.2.840.10008.1.2.2";

/// Lossy ones: what their pixels are depends on the decoder's arithmetic.
const LOSSY: [&str; 5] = [
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.81",
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.4.203",
];

const KNOWN: [(&str, &str, Compression); 18] = [
    (
        IMPLICIT_LITTLE,
        "Implicit VR Little Endian",
        Compression::Native,
    ),
    (
        "1.2.840.10008.1.2.1",
        "Explicit VR Little Endian",
        Compression::Native,
    ),
    (
        DEFLATED,
        "Deflated Explicit VR Little Endian",
        Compression::Native,
    ),
    (EXPLICIT_BIG, "Explicit VR Big Endian", Compression::Native),
    (
        "1.2.840.10008.1.2.4.50",
        "JPEG Baseline (Process 1)",
        Compression::Jpeg,
    ),
    (
        "1.2.840.10008.1.2.4.51",
        "JPEG Extended (Process 2 and 4)",
        Compression::Jpeg,
    ),
    (
        "1.2.840.10008.1.2.4.57",
        "JPEG Lossless, Non-Hierarchical (Process 14)",
        Compression::Jpeg,
    ),
    (
        "1.2.840.10008.1.2.4.70",
        "JPEG Lossless, Non-Hierarchical, First-Order Prediction (Process 14 [Selection Value 1])",
        Compression::Jpeg,
    ),
    (
        "1.2.840.10008.1.2.4.80",
        "JPEG-LS Lossless Image Compression",
        Compression::JpegLs,
    ),
    (
        "1.2.840.10008.1.2.4.81",
        "JPEG-LS Lossy (Near-Lossless) Image Compression",
        Compression::JpegLs,
    ),
    (
        "1.2.840.10008.1.2.4.90",
        "JPEG 2000 Image Compression (Lossless Only)",
        Compression::Jpeg2000,
    ),
    (
        "1.2.840.10008.1.2.4.91",
        "JPEG 2000 Image Compression",
        Compression::Jpeg2000,
    ),
    (
        "1.2.840.10008.1.2.4.201",
        "High-Throughput JPEG 2000 Image Compression (Lossless Only)",
        Compression::Jpeg2000,
    ),
    (
        "1.2.840.10008.1.2.4.202",
        "High-Throughput JPEG 2000 with RPCL Options Image Compression (Lossless Only)",
        Compression::Jpeg2000,
    ),
    (
        "1.2.840.10008.1.2.4.203",
        "High-Throughput JPEG 2000 Image Compression",
        Compression::Jpeg2000,
    ),
    ("1.2.840.10008.1.2.5", "RLE Lossless", Compression::Rle),
    (
        "1.2.840.10008.1.2.4.100",
        "MPEG2 Main Profile / Main Level",
        Compression::Unknown,
    ),
    (
        "1.2.840.10008.1.2.4.102",
        "MPEG-4 AVC/H.264 High Profile / Level 4.1",
        Compression::Unknown,
    ),
];

impl TransferSyntax {
    /// The transfer syntax of a UID; one that is not known has an explicit little-endian data set,
    /// as all newer ones do, and pixels that cannot be read.
    pub(crate) fn of_uid(uid: &str) -> Self {
        let known = KNOWN.iter().find(|(known, ..)| *known == uid);
        Self {
            uid: uid.to_owned(),
            name: known.map(|&(_, name, _)| name),
            encoding: match uid {
                IMPLICIT_LITTLE => Encoding::IMPLICIT,
                EXPLICIT_BIG => Encoding::EXPLICIT_BIG,
                _ => Encoding::EXPLICIT,
            },
            compression: known.map_or(Compression::Unknown, |&(.., compression)| compression),
            deflated: uid == DEFLATED,
        }
    }

    /// Whether a decoder's rounding shows in the pixels.
    pub(crate) fn is_lossy(&self) -> bool {
        LOSSY.contains(&self.uid.as_str())
    }
}
