//! Batches of parts of studies, made in the background.

use super::prepare::Study;
use super::store::StudyStore;
use crate::Result;
use crate::error::ImagingError;
use crate::preprocess::Stream;
use rayon::prelude::*;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Batches that wait for who uses them.
const WAITING: usize = 2;

/// How batches are made.
///
/// Studies are loaded a few at a time; their parts are mixed, and cut when their batch is made, so
/// that no more than twice `together` studies and a few batches are in memory besides what the store
/// keeps. The order depends on seed and epoch alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedOptions {
    /// Parts in a batch, at least 1; the last may have fewer.
    pub batch: usize,
    /// Studies whose parts are mixed, at least 1.
    pub together: usize,
    /// Whether studies, and the parts of those together, come in random order.
    pub shuffle: bool,
    /// Selects the order and every draw.
    pub seed: u64,
    /// The same seed gives other draws in another epoch.
    pub epoch: u64,
}

impl Default for FeedOptions {
    fn default() -> Self {
        Self {
            batch: 16,
            together: 4,
            shuffle: true,
            seed: 0,
            epoch: 0,
        }
    }
}

/// Parts of studies, one after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Parts, then the shape of each: channels and axes, the last fastest.
    pub shape: Vec<usize>,
    /// The numbers.
    pub values: Vec<f32>,
    /// Positions of classes, `shape` without channels; `None` where a study has no annotation.
    pub classes: Option<Vec<u8>>,
    /// The study of each part.
    pub studies: Vec<usize>,
    /// The first voxel of each part.
    pub starts: Vec<[isize; 3]>,
}

/// A part of a study.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) study: usize,
    pub(super) start: [isize; 3],
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f32>,
    pub(super) classes: Option<Vec<u8>>,
}

/// A part that is cut when its batch is made.
pub(super) type Part = Box<dyn Fn() -> Result<Item> + Send + Sync>;

/// The parts of a study, given its number and its place in the list of studies.
type Parts = Box<dyn Fn(&Arc<Study>, (usize, usize)) -> Result<Vec<Part>> + Send + Sync>;

/// What the thread sends.
enum Message {
    Batch(Result<Batch>),
    /// All batches have been sent. A thread that ends without has failed.
    End,
}

/// Batches from a thread of their own, which ends with them.
#[derive(Debug)]
pub(super) struct Feed {
    receiver: Option<Receiver<Message>>,
}

impl Feed {
    pub(super) fn start(
        store: Arc<StudyStore>,
        studies: Vec<usize>,
        options: FeedOptions,
        parts: Parts,
    ) -> Result<Self> {
        for (subject, number) in [("batch", options.batch), ("together", options.together)] {
            if number == 0 {
                return Err(ImagingError::argument(subject, "at least 1", "0"));
            }
        }
        let count = store.studies().len();
        if let Some(stray) = studies.iter().find(|&&study| study >= count) {
            let expected = format!("positions below {count}");
            return Err(ImagingError::argument(
                "studies",
                expected,
                stray.to_string(),
            ));
        }
        let (sender, receiver) = sync_channel(WAITING);
        std::thread::Builder::new()
            .name("study feed".to_owned())
            .spawn(move || {
                let mut worker = Worker {
                    store,
                    options,
                    parts,
                    stream: Stream::of_feed(options.seed, options.epoch),
                    sender,
                };
                worker.run(studies);
            })
            .map_err(|source| {
                ImagingError::io(std::path::Path::new("study feed"), "start", source)
            })?;
        Ok(Self {
            receiver: Some(receiver),
        })
    }
}

impl Iterator for Feed {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = match self.receiver.as_ref()?.recv() {
            Ok(Message::Batch(batch)) => Some(batch),
            Ok(Message::End) => None,
            Err(_) => Some(Err(ImagingError::argument(
                "study feed",
                "a thread that reaches its end",
                "one that stopped",
            ))),
        };
        if !matches!(next, Some(Ok(_))) {
            self.receiver = None;
        }
        next
    }
}

struct Worker {
    store: Arc<StudyStore>,
    options: FeedOptions,
    parts: Parts,
    stream: Stream,
    sender: SyncSender<Message>,
}

impl Worker {
    /// Sends batches until all are sent, one fails, or nobody wants more.
    fn run(&mut self, studies: Vec<usize>) {
        let mut places: Vec<(usize, usize)> = studies.into_iter().enumerate().collect();
        if self.options.shuffle {
            self.stream.shuffle(&mut places);
        }
        let mut waiting: Vec<Part> = Vec::new();
        for group in places.chunks(self.options.together) {
            match self.parts_of(group) {
                Ok(parts) => waiting.extend(parts),
                Err(error) => return drop(self.sender.send(Message::Batch(Err(error)))),
            }
            let rest = waiting.len() % self.options.batch;
            let left = waiting.split_off(waiting.len() - rest);
            if !self.send(&std::mem::replace(&mut waiting, left)) {
                return;
            }
        }
        if self.send(&waiting) {
            // Nobody may be listening any more.
            let _ = self.sender.send(Message::End);
        }
    }

    /// The parts of some studies, mixed.
    fn parts_of(&mut self, group: &[(usize, usize)]) -> Result<Vec<Part>> {
        let numbers: Vec<usize> = group.iter().map(|&(_, number)| number).collect();
        let studies = self.store.load(&numbers)?;
        let mut all = Vec::new();
        for (study, &(place, number)) in studies.iter().zip(group) {
            all.extend((self.parts)(study, (number, place))?);
        }
        if self.options.shuffle {
            self.stream.shuffle(&mut all);
        }
        Ok(all)
    }

    /// Cuts and sends batches; whether somebody wants more.
    fn send(&self, parts: &[Part]) -> bool {
        parts.chunks(self.options.batch).all(|parts| {
            let items: Vec<Result<Item>> = parts.par_iter().map(|part| part()).collect();
            let items: Result<Vec<Item>> = items.into_iter().collect();
            let batch = items.and_then(|items| batch(items.into_iter()));
            let is_whole = batch.is_ok();
            self.sender.send(Message::Batch(batch)).is_ok() && is_whole
        })
    }
}

/// Parts of one shape, one after the other.
fn batch(items: impl Iterator<Item = Item>) -> Result<Batch> {
    let mut batch = Batch {
        shape: Vec::new(),
        values: Vec::new(),
        classes: Some(Vec::new()),
        studies: Vec::new(),
        starts: Vec::new(),
    };
    let mut shape: Option<Vec<usize>> = None;
    for item in items {
        let first = shape.get_or_insert_with(|| item.shape.clone());
        if *first != item.shape {
            return Err(ImagingError::argument(
                "parts of a batch",
                format!("one shape, {first:?} (say a size)"),
                format!("{:?}", item.shape),
            ));
        }
        batch.values.extend(item.values);
        match (&mut batch.classes, item.classes) {
            (Some(all), Some(classes)) => all.extend(classes),
            (all, _) => *all = None,
        }
        batch.studies.push(item.study);
        batch.starts.push(item.start);
    }
    batch.shape = vec![batch.studies.len()];
    batch.shape.extend(shape.unwrap_or_default());
    Ok(batch)
}
