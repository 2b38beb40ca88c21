//! JPEG-LS against streams and values of `CharLS` (`golden/make_jpegls.py`).

use ctl_imaging::jpegls::decode;
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    rows: usize,
    columns: usize,
    components: usize,
    bits: u32,
    near: u32,
    mode: u8,
    stream: String,
    values: String,
}

impl Case {
    fn all() -> Vec<Self> {
        serde_json::from_str(include_str!("../golden/jpegls.json")).unwrap()
    }

    fn stream(&self) -> Vec<u8> {
        unhex(&self.stream)
    }

    fn values(&self) -> Vec<u16> {
        let bytes = unhex(&self.values);
        if self.bits > 8 {
            bytes
                .as_chunks()
                .0
                .iter()
                .map(|&two| u16::from_le_bytes(two))
                .collect()
        } else {
            bytes.into_iter().map(u16::from).collect()
        }
    }
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn golden_streams() {
    let cases = Case::all();
    assert_eq!(cases.len(), 29);
    for case in cases {
        let name = format!(
            "{} bits, near {}, {} by mode {}",
            case.bits, case.near, case.components, case.mode
        );
        let picture = decode(&case.stream()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let size = (picture.height, picture.width, picture.components);
        assert_eq!(size, (case.rows, case.columns, case.components), "{name}");
        assert_eq!(
            (picture.bits, picture.near),
            (case.bits, case.near),
            "{name}"
        );
        assert_eq!(picture.samples, case.values(), "{name}");
    }
}

/// The position behind the segment with this marker.
fn after(stream: &[u8], marker: u8) -> usize {
    let at = stream
        .windows(2)
        .position(|pair| pair == [0xFF, marker])
        .unwrap();
    at + 2 + usize::from(u16::from_be_bytes([stream[at + 2], stream[at + 3]]))
}

/// After a restart everything begins anew, so that scans of two pictures are one of both.
#[test]
fn restart_intervals_in_all_lengths() {
    let cases = Case::all();
    let case = &cases[0];
    let stream = case.stream();
    let scan = after(&stream, 0xDA);
    let data = &stream[scan..stream.len() - 2];
    let rows = case.rows as u8;
    for length in [2_usize, 3, 4] {
        let mut joined = stream[..scan].to_vec();
        let frame = joined
            .windows(2)
            .position(|pair| pair == [0xFF, 0xF7])
            .unwrap();
        joined[frame + 6] = 2 * rows;
        let mut interval = vec![0xFF, 0xDD, 0, 2 + length as u8];
        interval.extend(vec![0; length - 1]);
        interval.push(rows);
        joined.splice(2..2, interval);
        joined.extend(data);
        joined.extend([0xFF, 0xD0]);
        joined.extend(data);
        joined.extend([0xFF, 0xD9]);
        let picture = decode(&joined).unwrap();
        let values = case.values();
        assert_eq!(picture.height, 2 * case.rows);
        assert_eq!(picture.samples, [values.clone(), values].concat());
        let marker = joined.len() - 3 - data.len();
        joined[marker] = 0xD3;
        assert!(decode(&joined).unwrap_err().expected().contains("ff d0"));
    }
}

#[test]
fn preset_parameters() {
    let case = &Case::all()[0];
    let segment = |presets: [u16; 5]| {
        let mut stream = case.stream();
        let mut bytes = vec![0xFF, 0xF8, 0, 13, 1];
        bytes.extend(presets.iter().flat_map(|value| value.to_be_bytes()));
        stream.splice(2..2, bytes);
        decode(&stream)
    };
    // The defaults, told.
    assert_eq!(segment([255, 3, 7, 21, 64]).unwrap().samples, case.values());
    assert_eq!(segment([0; 5]).unwrap().samples, case.values());
    // Others decode to something else or not at all.
    assert!(segment([255, 9, 9, 10, 3]).map_or(true, |other| other.samples != case.values()));
    for wrong in [
        [256, 0, 0, 0, 0],
        [0, 9, 8, 21, 0],
        [0, 3, 7, 300, 0],
        [0, 0, 0, 0, 2],
    ] {
        assert!(segment(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn what_is_not_read_is_named() {
    let stream = Case::all()[0].stream();
    let scan = after(&stream, 0xDA);
    let changed = |at: usize, value: u8| {
        let mut stream = stream.clone();
        stream[at] = value;
        decode(&stream).unwrap_err().to_string()
    };
    assert!(changed(scan - 1, 1).contains("point transform"));
    assert!(changed(scan - 4, 1).contains("mapping table"));
    assert!(changed(3, 0xC0).contains("JPEG-LS frame"));
    assert!(changed(1, 0).contains("ff d8"));
    assert!(
        decode(&stream[..scan + 5])
            .unwrap_err()
            .to_string()
            .contains("truncated")
    );
    assert!(decode(&[]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode(&bytes);
        let head = [0xFF, 0xD8, 0xFF, 0xF7, 0, 11, 8, 0, 40, 0, 40, 1, 1, 0x11, 0,
            0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 0, 0];
        let _ = decode(&[head.as_slice(), &bytes].concat());
    }

    #[test]
    fn changed_streams_never_panic(
        case in 0..29_usize,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut stream = Case::all()[case].stream();
        for (at, value) in changes {
            let at = at.index(stream.len());
            stream[at] = value;
        }
        if let Ok(picture) = decode(&stream) {
            let count = picture.width * picture.height * picture.components;
            prop_assert_eq!(picture.samples.len(), count);
            let top = (1_u32 << picture.bits) - 1;
            prop_assert!(picture.samples.iter().all(|&value| u32::from(value) <= top));
        }
    }
}
