//! The benchmark harness: tasks, method registry, protocols, selection, runs, report.
