//! The name of a method in its forms.

/// Characters of an id at most.
const LONGEST: usize = 40;
/// What a module cannot be called: words of the language, and files of another kind.
const RESERVED: [&str; 53] = [
    "abstract",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "pub",
    "ref",
    "reference",
    "return",
    "self",
    "static",
    "struct",
    "super",
    "testing",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

/// The id of a method: lower-case words of letters and digits with hyphens between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name(String);

impl Name {
    /// Checks an id.
    ///
    /// # Errors
    /// Says what is wrong and what an id looks like.
    pub(crate) fn parse(id: &str) -> Result<Self, String> {
        let expected = "expected lower-case words of letters and digits with hyphens between \
                        them, beginning with a letter, such as `worst-case`";
        let is_word = |word: &str| {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
            !word.is_empty() && word.chars().all(plain)
        };
        if !id.starts_with(|c: char| c.is_ascii_lowercase()) || !id.split('-').all(is_word) {
            return Err(expected.to_owned());
        }
        if id.len() > LONGEST {
            return Err(format!(
                "expected at most {LONGEST} characters, found {}",
                id.len()
            ));
        }
        if RESERVED.contains(&id) {
            return Err("a module cannot be called so; expected another word".to_owned());
        }
        Ok(Self(id.to_owned()))
    }

    /// The id, such as `worst-case`.
    pub(crate) fn id(&self) -> &str {
        &self.0
    }

    /// The module and its file, such as `worst_case`.
    pub(crate) fn module(&self) -> String {
        self.0.replace('-', "_")
    }

    /// The type, such as `WorstCase`.
    pub(crate) fn type_name(&self) -> String {
        self.0.split('-').map(capitalised).collect()
    }

    /// The name in tables, such as `Worst case`.
    pub(crate) fn title(&self) -> String {
        capitalised(&self.0.replace('-', " "))
    }
}

fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_ascii_uppercase() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_four_forms() {
        let name = Name::parse("ib-irm2-x").unwrap();
        let forms = [name.id(), &name.module(), &name.type_name(), &name.title()];
        assert_eq!(forms, ["ib-irm2-x", "ib_irm2_x", "IbIrm2X", "Ib irm2 x"]);
    }

    #[test]
    fn bad_names_are_refused_with_what_is_expected() {
        for id in [
            "",
            "-a",
            "a-",
            "a--b",
            "Worst",
            "worst_case",
            "3d",
            "a b",
            "ä",
            "../a",
            "a.rs",
        ] {
            let message = Name::parse(id).unwrap_err();
            assert!(
                message.contains("such as `worst-case`"),
                "{id:?}: {message}"
            );
        }
        assert!(Name::parse("match").unwrap_err().contains("module"));
        assert!(Name::parse("testing").unwrap_err().contains("module"));
        let long = "a".repeat(LONGEST + 1);
        assert!(Name::parse(&long).unwrap_err().contains("at most 40"));
        assert!(Name::parse(&long[1..]).is_ok());
    }

    #[test]
    fn reserved_words_are_listed_once() {
        assert!(RESERVED.is_sorted_by(|a, b| a < b));
    }
}
