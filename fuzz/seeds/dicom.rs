//! DICOM files, element by element (PS3.5 section 7.1).

use super::golden::streams;
use super::{Failure, Files};

const IMPLICIT_LITTLE: &str = "1.2.840.10008.1.2";
const EXPLICIT_LITTLE: &str = "1.2.840.10008.1.2.1";
const EXPLICIT_BIG: &str = "1.2.840.10008.1.2.2";
const RLE: &str = "1.2.840.10008.1.2.5";
const JPEG_BASELINE: &str = "1.2.840.10008.1.2.4.50";
const JPEG_EXTENDED: &str = "1.2.840.10008.1.2.4.51";
const JPEG_LOSSLESS: &str = "1.2.840.10008.1.2.4.57";
const JPEG_LS: &str = "1.2.840.10008.1.2.4.80";
const JPEG_2000: &str = "1.2.840.10008.1.2.4.90";

/// How elements are written.
#[derive(Clone, Copy)]
struct Form {
    explicit: bool,
    big: bool,
}

const EXPLICIT: Form = Form {
    explicit: true,
    big: false,
};

impl Form {
    fn two(self, value: u16) -> [u8; 2] {
        if self.big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }

    fn four(self, value: u32) -> [u8; 4] {
        if self.big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }

    /// Tag, representation and length; `length` may be the undefined one.
    fn head(self, tag: (u16, u16), vr: &[u8; 2], length: u32) -> Vec<u8> {
        let mut bytes = [self.two(tag.0), self.two(tag.1)].concat();
        let long = matches!(vr, b"OB" | b"OW" | b"SQ" | b"UN");
        if !self.explicit {
            bytes.extend(self.four(length));
        } else if long {
            bytes.extend([vr[0], vr[1], 0, 0]);
            bytes.extend(self.four(length));
        } else {
            bytes.extend(vr);
            bytes.extend(self.two(length as u16));
        }
        bytes
    }

    fn element(self, tag: (u16, u16), vr: &[u8; 2], value: &[u8]) -> Vec<u8> {
        let mut bytes = self.head(tag, vr, value.len().next_multiple_of(2) as u32);
        bytes.extend(value);
        if value.len() % 2 == 1 {
            bytes.push(if vr == b"UI" { 0 } else { b' ' });
        }
        bytes
    }

    fn number(self, element: u16, value: u16) -> Vec<u8> {
        self.element((0x28, element), b"US", &self.two(value))
    }
}

/// What the pixels are.
#[derive(Clone, Copy)]
struct Picture {
    rows: u16,
    columns: u16,
    samples: u16,
    allocated: u16,
    stored: u16,
    frames: u16,
}

const SMALL: Picture = Picture {
    rows: 3,
    columns: 4,
    samples: 1,
    allocated: 16,
    stored: 12,
    frames: 1,
};

/// A whole file; `pixels` is its last element.
fn file(syntax: &str, form: Form, picture: Picture, pixels: &[u8]) -> Vec<u8> {
    let meta = EXPLICIT.element((2, 0x10), b"UI", syntax.as_bytes());
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM");
    bytes.extend(EXPLICIT.element((2, 0), b"UL", &(meta.len() as u32).to_le_bytes()));
    bytes.extend(meta);
    for part in identity(form).into_iter().chain(module(form, picture)) {
        bytes.extend(part);
    }
    bytes.extend(pixels);
    bytes
}

/// Who, what and where; with a sequence in a sequence, of defined and undefined length.
fn identity(form: Form) -> Vec<Vec<u8>> {
    let inner = form.element((8, 0x1155), b"UI", b"1.2.3.4");
    let item = |length: u32, content: &[u8]| {
        let mut bytes = [form.two(0xfffe), form.two(0xe000)].concat();
        bytes.extend(form.four(length));
        bytes.extend(content);
        bytes
    };
    let end = |element: u16| {
        let mut bytes = [form.two(0xfffe), form.two(element)].concat();
        bytes.extend([0; 4]);
        bytes
    };
    let nested = form.element((8, 0x2112), b"SQ", &item(inner.len() as u32, &inner));
    let mut open = form.head((8, 0x1140), b"SQ", u32::MAX);
    open.extend(item(u32::MAX, &nested));
    open.extend(end(0xe00d));
    open.extend(end(0xe0dd));
    vec![
        form.element((8, 5), b"CS", b"ISO_IR 100"),
        form.element((8, 0x16), b"UI", b"1.2.840.10008.5.1.4.1.1.2"),
        form.element((8, 0x18), b"UI", b"1.2.3.5"),
        form.element((8, 0x60), b"CS", b"CT"),
        open,
        form.element((0x10, 0x10), b"PN", b"Doe^Jane"),
        form.element((0x10, 0x20), b"LO", b"P1"),
        form.element((0x18, 0x50), b"DS", b"2.5"),
        form.element((0x20, 0xd), b"UI", b"1.2.3.6"),
        form.element((0x20, 0xe), b"UI", b"1.2.3.7"),
        form.element((0x20, 0x32), b"DS", b"-10\\20\\30.5"),
        form.element((0x20, 0x37), b"DS", b"1\\0\\0\\0\\1\\0"),
    ]
}

fn module(form: Form, picture: Picture) -> Vec<Vec<u8>> {
    let colours: &[u8] = if picture.samples == 3 {
        b"RGB"
    } else {
        b"MONOCHROME2"
    };
    let mut all = vec![
        form.number(2, picture.samples),
        form.element((0x28, 4), b"CS", colours),
    ];
    if picture.samples > 1 {
        all.push(form.number(6, 0));
    }
    if picture.frames > 1 {
        all.push(form.element((0x28, 8), b"IS", picture.frames.to_string().as_bytes()));
    }
    all.extend([
        form.number(0x10, picture.rows),
        form.number(0x11, picture.columns),
        form.element((0x28, 0x30), b"DS", b"0.5\\0.75"),
        form.number(0x100, picture.allocated),
        form.number(0x101, picture.stored),
        form.number(0x102, picture.stored - 1),
        form.number(0x103, 0),
        form.element((0x28, 0x1050), b"DS", b"40"),
        form.element((0x28, 0x1051), b"DS", b"400"),
        form.element((0x28, 0x1052), b"DS", b"-1024"),
        form.element((0x28, 0x1053), b"DS", b"1"),
    ]);
    all
}

/// Uncompressed pixels that fit.
fn native(form: Form, picture: Picture) -> Vec<u8> {
    let values = picture.rows * picture.columns * picture.samples * picture.frames;
    let bytes: Vec<u8> = if picture.allocated == 8 {
        (0..values).map(|value| value as u8).collect()
    } else {
        (0..values).flat_map(|value| form.two(value * 7)).collect()
    };
    form.element((0x7fe0, 0x10), b"OW", &bytes)
}

/// Fragments behind an empty table of offsets (PS3.5 section A.4).
fn fragments(streams: &[&[u8]]) -> Vec<u8> {
    let mut bytes = EXPLICIT.head((0x7fe0, 0x10), b"OB", u32::MAX);
    for stream in [&[][..]].iter().chain(streams) {
        bytes.extend([0xfe, 0xff, 0, 0xe0]);
        bytes.extend((stream.len().next_multiple_of(2) as u32).to_le_bytes());
        bytes.extend(*stream);
        bytes.extend(&[0][..stream.len() % 2]);
    }
    bytes.extend([0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0]);
    bytes
}

/// A frame of twelve bytes in one segment: a run, then what is copied (PS3.5 section G).
fn run_lengths() -> Vec<u8> {
    let mut bytes = 1_u32.to_le_bytes().to_vec();
    bytes.extend(64_u32.to_le_bytes());
    bytes.resize(64, 0);
    bytes.extend([0xf9, 5, 3, 1, 2, 3, 4, 0]);
    bytes
}

/// Size, components and precision of the first frame header in a JPEG or JPEG-LS stream.
fn frame_header(stream: &[u8]) -> Option<Picture> {
    let at = stream
        .windows(2)
        .position(|pair| pair[0] == 0xff && matches!(pair[1], 0xc0 | 0xc1 | 0xc3 | 0xf7))?;
    let header = stream.get(at + 4..at + 10)?;
    let side = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let bits = u16::from(header[0]);
    Some(Picture {
        rows: side(1),
        columns: side(3),
        samples: header[5].into(),
        allocated: if bits > 8 { 16 } else { 8 },
        stored: bits,
        frames: 1,
    })
}

fn compressed() -> Result<Files, Failure> {
    let mut files = Files::new();
    for name in ["jpeg.json", "jpegls.json"] {
        for (number, (_, stream)) in streams(name)?.into_iter().enumerate() {
            let picture = frame_header(&stream).ok_or("a stream has no frame header")?;
            let syntax = match stream
                .windows(2)
                .find(|pair| pair[0] == 0xff && pair[1] & 0xf0 == 0xc0 && pair[1] != 0xc4)
            {
                Some([_, 0xc0]) => JPEG_BASELINE,
                Some([_, 0xc1]) => JPEG_EXTENDED,
                Some([_, 0xc3]) => JPEG_LOSSLESS,
                _ => JPEG_LS,
            };
            let pixels = fragments(&[&stream]);
            files.push((
                format!("{name}-{number}"),
                file(syntax, EXPLICIT, picture, &pixels),
            ));
        }
    }
    let bytes = Picture {
        allocated: 8,
        stored: 8,
        frames: 2,
        ..SMALL
    };
    let pixels = fragments(&[&run_lengths(), &run_lengths()]);
    files.push(("rle".into(), file(RLE, EXPLICIT, bytes, &pixels)));
    // Written by OpenJPEG 2.5.4 from a ramp of 8 x 8 pixels.
    let stream = include_bytes!("ramp.j2k");
    let picture = Picture {
        rows: 8,
        columns: 8,
        frames: 1,
        ..bytes
    };
    let pixels = fragments(&[stream]);
    files.push((
        "jpeg2000".into(),
        file(JPEG_2000, EXPLICIT, picture, &pixels),
    ));
    Ok(files)
}

pub(crate) fn all() -> Result<Files, Failure> {
    let implicit = Form {
        explicit: false,
        big: false,
    };
    let big = Form {
        explicit: true,
        big: true,
    };
    let colours = Picture {
        samples: 3,
        allocated: 8,
        stored: 8,
        ..SMALL
    };
    let film = Picture { frames: 3, ..SMALL };
    let mut files = compressed()?;
    for (name, syntax, form, picture) in [
        ("explicit", EXPLICIT_LITTLE, EXPLICIT, SMALL),
        ("implicit", IMPLICIT_LITTLE, implicit, SMALL),
        ("big", EXPLICIT_BIG, big, SMALL),
        ("colours", EXPLICIT_LITTLE, EXPLICIT, colours),
        ("film", EXPLICIT_LITTLE, EXPLICIT, film),
    ] {
        let bytes = file(syntax, form, picture, &native(form, picture));
        files.push((name.into(), bytes));
    }
    // A data set by itself, as some devices send it.
    let bare = file(IMPLICIT_LITTLE, implicit, SMALL, &native(implicit, SMALL));
    let start = bare.windows(4).position(|window| window == [8, 0, 5, 0]);
    let start = start.ok_or("the data set has a beginning")?;
    files.push(("bare".into(), bare[start..].to_vec()));
    Ok(files)
}
