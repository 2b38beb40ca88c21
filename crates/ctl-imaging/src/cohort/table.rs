//! The manifest as a table of text, with every fault of its form.

use crate::Result;
use crate::bounded;
use crate::problem::{Problem, ProblemKind};
use csv::{ByteRecord, ReaderBuilder, StringRecord};
use std::path::{Path, PathBuf};

/// The header stands in the first line.
const HEADER_LINE: u64 = 1;

/// Rows of text below a header. Rows that are not well formed are left out.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    file: PathBuf,
    headers: Vec<String>,
    rows: Vec<(u64, StringRecord)>,
    digest: blake3::Hash,
}

impl Table {
    /// Reads a manifest, adding what is wrong with it to `problems`.
    ///
    /// Nothing is returned where nothing can be read: no file, no header.
    pub(crate) fn read(file: &Path, problems: &mut Vec<Problem>) -> Result<Option<Self>> {
        if !file.exists() {
            problems.push(no_manifest(file));
            return Ok(None);
        }
        if file.metadata().is_ok_and(|metadata| metadata.len() == 0) {
            problems.push(Problem::new(
                file,
                ProblemKind::NoManifest,
                "a manifest with a header row",
                "an empty file",
            ));
            return Ok(None);
        }
        Ok(Self::parse(&bounded::read_file(file)?, file, problems))
    }

    /// Parses a manifest; see [`read`](Self::read).
    pub(crate) fn parse(bytes: &[u8], file: &Path, problems: &mut Vec<Problem>) -> Option<Self> {
        if let Some(line) = unclosed_quote(bytes) {
            let problem = Problem::new(
                file,
                ProblemKind::BadCsv,
                "a closing quote",
                "the end of the file",
            );
            problems.push(problem.at_row(line));
            return None;
        }
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(bytes);
        let mut record = ByteRecord::new();
        let mut lines = Lines {
            bytes,
            offset: 0,
            line: HEADER_LINE,
        };
        let mut table = Self {
            file: file.to_owned(),
            headers: Vec::new(),
            rows: Vec::new(),
            digest: blake3::hash(bytes),
        };
        // Reading from memory a flexible table of bytes has no failure left.
        while reader.read_byte_record(&mut record).unwrap_or(false) {
            let line = lines.line_at(record.position().map_or(0, csv::Position::byte) as usize);
            let Some(text) = table.as_text(record.clone(), line, problems) else {
                continue;
            };
            if table.headers.is_empty() {
                table.headers = text.iter().map(|header| header.trim().to_owned()).collect();
                table.check_headers(line, problems);
            } else {
                table.push_row(line, text, problems);
            }
        }
        table.finish(problems)
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    pub(crate) fn headers(&self) -> &[String] {
        &self.headers
    }

    /// Line and cells of each row, in order.
    pub(crate) fn rows(&self) -> &[(u64, StringRecord)] {
        &self.rows
    }

    pub(crate) fn row_at_line(&self, line: u64) -> Option<&StringRecord> {
        let position = self
            .rows
            .binary_search_by_key(&line, |&(line, _)| line)
            .ok()?;
        self.rows.get(position).map(|(_, row)| row)
    }

    pub(crate) fn position(&self, column: &str) -> Option<usize> {
        self.headers.iter().position(|header| header == column)
    }

    /// The hash of the file's bytes.
    pub(crate) fn digest(&self) -> blake3::Hash {
        self.digest
    }

    /// A problem of the header row.
    pub(crate) fn header_problem(&self, column: &str, expected: &str, found: &str) -> Problem {
        Problem::new(&self.file, ProblemKind::BadHeader, expected, found)
            .at_row(HEADER_LINE)
            .in_column(column)
    }

    fn as_text(
        &self,
        record: ByteRecord,
        line: u64,
        problems: &mut Vec<Problem>,
    ) -> Option<StringRecord> {
        let damaged = match StringRecord::from_byte_record(record) {
            Ok(text) => return Some(text),
            Err(error) => error.utf8_error().field(),
        };
        let problem =
            Problem::new(&self.file, ProblemKind::BadCsv, "UTF-8 text", "other bytes").at_row(line);
        problems.push(match self.headers.get(damaged) {
            Some(column) => problem.in_column(column),
            None => problem,
        });
        None
    }

    fn check_headers(&self, line: u64, problems: &mut Vec<Problem>) {
        for (position, header) in self.headers.iter().enumerate() {
            if self.headers[..position].contains(header) {
                let problem = Problem::new(
                    &self.file,
                    ProblemKind::BadHeader,
                    "each header once",
                    format!("`{header}` again in column {}", position + 1),
                );
                problems.push(problem.at_row(line).in_column(header));
            }
        }
    }

    fn push_row(&mut self, line: u64, row: StringRecord, problems: &mut Vec<Problem>) {
        if row.len() == self.headers.len() {
            self.rows.push((line, row));
            return;
        }
        let expected = format!("{} cells, one for each header", self.headers.len());
        let problem = Problem::new(
            &self.file,
            ProblemKind::BadCsv,
            expected,
            row.len().to_string(),
        )
        .at_row(line);
        // The first cell that is missing or superfluous is the place to look.
        let place = row.len().min(self.headers.len().saturating_sub(1));
        problems.push(match self.headers.get(place) {
            Some(column) => problem.in_column(column),
            None => problem,
        });
    }

    fn finish(self, problems: &mut Vec<Problem>) -> Option<Self> {
        if self.headers.is_empty() {
            return None;
        }
        if self.position("path").is_none() {
            let found = self.headers.join(", ");
            problems.push(self.header_problem("path", "a column `path`", &format!("`{found}`")));
            return None;
        }
        if self.rows.is_empty() && problems.is_empty() {
            problems.push(Problem::new(
                &self.file,
                ProblemKind::NoManifest,
                "at least one row below the header",
                "none",
            ));
        }
        Some(self)
    }
}

pub(crate) fn no_manifest(file: &Path) -> Problem {
    Problem::new(file, ProblemKind::NoManifest, "a manifest", "no such file")
}

/// Line numbers of ascending offsets. The reader's own count lags behind blank lines and CRLF.
struct Lines<'a> {
    bytes: &'a [u8],
    offset: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line of the first byte at or after `offset` that ends no line.
    fn line_at(&mut self, offset: usize) -> u64 {
        while let Some(&byte) = self.bytes.get(self.offset) {
            if self.offset >= offset && !matches!(byte, b'\r' | b'\n') {
                break;
            }
            self.offset += 1;
            let is_crlf = byte == b'\r' && self.bytes.get(self.offset) == Some(&b'\n');
            self.line += u64::from(matches!(byte, b'\r' | b'\n') && !is_crlf);
        }
        self.line
    }
}

/// The line in which a quote opens that nothing closes: quotes inside quotes are doubled, so
/// every whole table has an even number of them.
fn unclosed_quote(bytes: &[u8]) -> Option<u64> {
    let mut line = HEADER_LINE;
    let mut opened = None;
    for &byte in bytes {
        match byte {
            b'\n' => line += 1,
            b'"' => opened = if opened.is_some() { None } else { Some(line) },
            _ => {}
        }
    }
    opened
}
