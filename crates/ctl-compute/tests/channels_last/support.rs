//! Checks that every operator passes.

use std::sync::{LazyLock, Mutex, PoisonError};

use candle_core::{DType, Device, Tensor, Var};
use ctl_compute::kernels::level::{self, Level};
use ctl_compute::random::{normal, stream};

const STEP: f64 = 1e-5;
const TOLERANCE: f64 = 2e-6;
/// Relative distance that single precision may keep from double.
pub(crate) const SINGLE: f64 = 1e-5;

/// An operator as a function of its differentiable operands.
pub(crate) type Op<'a> = &'a dyn Fn(&[Tensor]) -> Tensor;

/// candle keeps the graph of a gradient only where this variable is set before its first use.
static KEEP_GRAPHS: LazyLock<()> = LazyLock::new(|| {
    #[expect(unsafe_code, reason = "std::env::set_var is unsafe in edition 2024")]
    // SAFETY: every thread of this binary that touches candle's gradients passes here first, and
    // nothing but Rust's own locked functions reads the environment.
    unsafe {
        std::env::set_var("CANDLE_GRAD_DO_NOT_DETACH", "1");
    }
});

pub(crate) fn sample(shape: &[usize], purpose: &str) -> Var {
    LazyLock::force(&KEEP_GRAPHS);
    let tensor = normal(&mut stream(7, "channels last", purpose), shape, 0.0, 1.0).unwrap();
    Var::from_tensor(&tensor.to_dtype(DType::F64).unwrap()).unwrap()
}

pub(crate) fn values(tensor: &Tensor) -> Vec<f64> {
    let flat = tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap();
    flat.to_vec1().unwrap()
}

fn tensors(vars: &[Var]) -> Vec<Tensor> {
    vars.iter().map(|v| v.as_tensor().clone()).collect()
}

/// `Σ c · f(vars)` with fixed random `c`, so that no gradient cancels by symmetry.
fn weighted_sum(out: &Tensor, purpose: &str) -> Tensor {
    let c = sample(out.dims(), purpose).as_tensor().detach();
    out.mul(&c).unwrap().sum_all().unwrap()
}

fn differences_agree(scalar: &dyn Fn(&[Tensor]) -> Tensor, vars: &[Var]) {
    let grads = scalar(&tensors(vars)).backward().unwrap();
    for (index, var) in vars.iter().enumerate() {
        let analytic = grads
            .get(var)
            .map_or_else(|| vec![0.0; var.elem_count()], values);
        let base = values(var);
        let at = |i: usize, delta: f64| {
            let mut moved = base.clone();
            moved[i] += delta;
            let mut args = tensors(vars);
            let tensor = Tensor::from_vec(moved, var.shape(), &Device::Cpu).unwrap();
            args[index] = Var::from_tensor(&tensor).unwrap().as_tensor().clone();
            scalar(&args).to_scalar::<f64>().unwrap()
        };
        for (i, &found) in analytic.iter().enumerate() {
            let expected = (at(i, STEP) - at(i, -STEP)) / (2.0 * STEP);
            assert!(
                (found - expected).abs() <= TOLERANCE * (1.0 + expected.abs()),
                "variable {index}, element {i}: {found} against {expected}"
            );
        }
    }
}

/// The gradient against central differences of the values.
pub(crate) fn first_order(f: Op, vars: &[Var]) {
    differences_agree(&|args| weighted_sum(&f(args), "first order"), vars);
}

/// The gradient of a weighted sum of all gradients against central differences of that sum.
pub(crate) fn second_order(f: Op, vars: &[Var]) {
    differences_agree(&|args| sum_of_gradients(f, args), vars);
}

fn sum_of_gradients(f: Op, args: &[Tensor]) -> Tensor {
    let loss = weighted_sum(&f(args).sqr().unwrap(), "first order");
    let grads = loss.backward().unwrap();
    let parts = args.iter().enumerate().map(|(i, arg)| {
        let gradient = grads.get(arg).unwrap();
        weighted_sum(gradient, &format!("second order {i}"))
    });
    parts.reduce(|a, b| (a + b).unwrap()).unwrap()
}

/// The gradient of a weighted sum of all gradients, of each variable.
pub(crate) fn twice(f: Op, vars: &[Var]) -> Vec<Tensor> {
    let sum = sum_of_gradients(f, &tensors(vars));
    let grads = sum.backward().unwrap();
    vars.iter().map(|v| grads.get(v).unwrap().clone()).collect()
}

/// Values and gradients as `[output, gradient of each variable]`, in the type of `vars`.
pub(crate) fn pass(f: Op, vars: &[Var]) -> Vec<Tensor> {
    let out = f(&tensors(vars));
    let c = sample(out.dims(), "pass").as_tensor().detach();
    let c = c.to_dtype(out.dtype()).unwrap();
    let grads = out.mul(&c).unwrap().sum_all().unwrap().backward().unwrap();
    let mut all = vec![out];
    all.extend(vars.iter().map(|v| grads.get(v).unwrap().clone()));
    all
}

pub(crate) fn single(vars: &[Var]) -> Vec<Var> {
    vars.iter()
        .map(|v| Var::from_tensor(&v.to_dtype(DType::F32).unwrap()).unwrap())
        .collect()
}

/// Largest distance in units of the largest magnitude.
pub(crate) fn distance(found: &Tensor, expected: &[f64]) -> f64 {
    let found = values(found);
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(1e-3, |m: f64, v| m.max(v.abs()));
    found
        .iter()
        .zip(expected)
        .fold(0.0, |m: f64, (a, b)| m.max((a - b).abs()))
        / scale
}

/// The same bits from every level of instructions and from one and two threads, in `f32`; and
/// gradients in `f32` near those in `f64`.
pub(crate) fn same_everywhere(f: fn(&[Tensor]) -> Tensor, vars: &[Var]) {
    // The level is the whole process's: one test at a time chooses it.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let narrow = single(vars);
    let wide = pass(&f, vars);
    let reference = pass(&f, &narrow);
    for (narrow, wide) in reference.iter().zip(&wide) {
        let gap = distance(narrow, &values(wide));
        assert!(gap < SINGLE, "single precision is off by {gap}");
    }
    let reference: Vec<_> = reference.iter().map(bits).collect();
    let best = level::selected();
    for level in Level::available() {
        level::force(level).unwrap();
        let found: Vec<_> = pass(&f, &narrow).iter().map(bits).collect();
        level::force(best).unwrap();
        assert_eq!(found, reference, "level {}", level.name());
    }
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let found = pool.install(|| {
            LazyLock::force(&KEEP_GRAPHS);
            pass(&f, &narrow).iter().map(bits).collect::<Vec<_>>()
        });
        assert_eq!(found, reference, "{threads} threads");
    }
}

pub(crate) fn bits(tensor: &Tensor) -> Vec<u32> {
    let flat = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    flat.into_iter().map(f32::to_bits).collect()
}
