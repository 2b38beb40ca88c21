//! The example outside the workspace, with the workspace's build of its dependencies: its own tests,
//! and its suite from end to end.

#[path = "../../../examples/add-a-method/src/main.rs"]
#[expect(
    clippy::print_stdout,
    dead_code,
    unreachable_pub,
    reason = "the example is a program of its own, which prints its table"
)]
mod example;

#[test]
fn the_example_runs_its_suite() {
    example::run().unwrap();
}
