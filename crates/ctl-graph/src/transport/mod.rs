//! Transport of effects between domains by selection diagrams.
