//! Pseudonyms and UIDs that only the holder of a secret can make again.

/// What UIDs and pseudonyms are derived from.
///
/// The same secret gives the same ones, so that series stay together over many exports; without it
/// they cannot be led back.
#[derive(Clone)]
pub struct Secret {
    key: [u8; 32],
}

impl Secret {
    /// A secret from bytes, best 16 random ones or more.
    pub fn new(bytes: &[u8]) -> Self {
        Self {
            key: blake3::derive_key("ctl-imaging 2026 DICOM de-identification", bytes),
        }
    }

    fn digest(&self, purpose: &str, text: &str) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(purpose.as_bytes());
        hasher.update(&[0]);
        hasher.update(text.as_bytes());
        let mut digest = [0; 16];
        hasher.finalize_xof().fill(&mut digest);
        digest
    }

    /// The UID in the place of another: `2.25.` and a number of 128 bits (PS3.5 section B.2).
    pub(crate) fn uid(&self, uid: &str) -> String {
        format!("2.25.{}", u128::from_be_bytes(self.digest("uid", uid)))
    }

    /// The identifier in the place of another: 32 hexadecimal digits.
    pub(crate) fn pseudonym(&self, id: &str) -> String {
        self.name("patient", id)
    }

    /// The name in the place of another of some kind: 32 hexadecimal digits.
    pub(crate) fn name(&self, kind: &str, text: &str) -> String {
        format!("{:032x}", u128::from_be_bytes(self.digest(kind, text)))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keyed_and_stable() {
        let (ours, theirs) = (Secret::new(b"a"), Secret::new(b"b"));
        assert_eq!(ours.uid("1.2.3"), Secret::new(b"a").uid("1.2.3"));
        assert_ne!(ours.uid("1.2.3"), theirs.uid("1.2.3"));
        assert_ne!(ours.uid("1.2.3"), ours.uid("1.2.4"));
        assert!(ours.uid("1.2.3").len() <= 64 && ours.uid("1.2.3").starts_with("2.25."));
        assert_eq!(ours.pseudonym("P1").len(), 32);
        assert_eq!(format!("{ours:?}"), "Secret(..)");
    }
}
