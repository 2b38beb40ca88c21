//! temp
use ctl_harness::reproduce::*;
fn main() {
    // SAFETY: first statement of main
    #[allow(unsafe_code)]
    unsafe { ctl_compute::runtime::use_one_thread_per_run() };
    struct P(std::time::Instant);
    impl ctl_harness::Observer for P { fn event(&self, e: &ctl_harness::Event<'_>) { if !matches!(e, ctl_harness::Event::Advanced{..}) { println!("{:.1} {e:?}", self.0.elapsed().as_secs_f64()) } } }
    let a: Vec<String> = std::env::args().collect();
    let o = ReproduceOptions { data: a[2].clone().into(), restarts: a[3].parse().unwrap(), jobs: a[4].parse().unwrap(), out: a[5].clone().into() };
    let r = reproduce(&a[1], &o, &P(std::time::Instant::now())).unwrap();
    println!("{}", to_markdown(&r));
}
