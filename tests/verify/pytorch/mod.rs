//! Against PyTorch: twelve small networks whose logits, losses, gradients and next ten training steps PyTorch computed
//! in float64 (`tests/fixtures/make.py`), on the CPU path and on every GPU adapter of this machine.

mod comparison;
mod fixture;
mod run;

use comparison::Comparison;
use fixture::{Fixture, NAMES};
use run::{Make, Variant, run};
use striate::gpu::{self, AdapterSelector, Gpu};
use striate::model::{ClassWeights, Optimizer};

/// Every fixture in its variants; prints a line for each with its largest errors, returns what is wrong.
fn check_everything(device: &str, make: &Make<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    for name in NAMES {
        let fixture = Fixture::load(name);
        for variant in Variant::all(&fixture) {
            let comparison = run(&fixture, &variant, make)
                .unwrap_or_else(|error| panic!("{device}, {name}, {variant:?}: {error}"));
            println!("{device}: {name} ({}): {}", variant.name, comparison.summary());
            faults.extend(
                comparison.faults().map(|fault| format!("{device}, {name}, {}: {fault}", variant.name)),
            );
        }
    }
    faults
}

fn cpu() -> Box<Make<'static>> {
    Box::new(|program| Ok(Box::new(striate::cpu::Executor::new(program)?)))
}

#[test]
fn the_cpu_agrees_with_pytorch() {
    let faults = check_everything("cpu", &cpu());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_gpu_agrees_with_pytorch() {
    let adapters = gpu::adapters();
    if adapters.is_empty() {
        assert!(
            std::env::var_os("STRIATE_REQUIRE_GPU").is_none_or(|v| v != "1"),
            "STRIATE_REQUIRE_GPU=1, but this machine has no GPU adapter"
        );
        eprintln!("SKIPPED: every_gpu_agrees_with_pytorch: this machine has no GPU adapter");
        return;
    }
    let mut faults = Vec::new();
    for adapter in adapters {
        let gpu = Gpu::open(&AdapterSelector::Index(adapter.index))
            .unwrap_or_else(|error| panic!("{adapter}: {error}"));
        faults.extend(check_everything(&adapter.name, &move |program| {
            Ok(Box::new(gpu::Executor::new(&gpu, program)?))
        }));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The test of the test: the ten losses and the final parameters notice every part of an update rule.
#[test]
fn a_wrong_recipe_does_not_agree() {
    for name in NAMES {
        let right = Fixture::load(name);
        let mut wrong: Vec<(&str, Fixture)> = Vec::new();
        let mut change = |what, change: &dyn Fn(&mut Fixture)| {
            let mut fixture = right.clone();
            change(&mut fixture);
            wrong.push((what, fixture));
        };
        change("learning rate", &|f| f.spec.recipe.lr *= 1.001);
        if right.spec.recipe.momentum > 0.0 {
            change("momentum", &|f| f.spec.recipe.momentum *= 0.99);
        }
        if right.spec.recipe.weight_decay > 0.0 {
            change("weight decay", &|f| f.spec.recipe.weight_decay = 0.0);
        }
        if right.spec.recipe.nesterov {
            change("nesterov", &|f| f.spec.recipe.nesterov = false);
        }
        if right.spec.recipe.clip_grad_norm.is_some() {
            change("clipping", &|f| f.spec.recipe.clip_grad_norm = None);
        }
        if right.spec.recipe.label_smoothing > 0.0 {
            change("label smoothing", &|f| f.spec.recipe.label_smoothing = 0.0);
        }
        if right.class_weights().is_some() {
            change("class weight", &|f| {
                let ClassWeights::Named(weights) = &mut f.spec.recipe.class_weights else { return };
                *weights.get_mut("4").unwrap() *= 1.1;
            });
            change("loss without class weights", &|f| f.spec.recipe.class_weights = ClassWeights::None);
        }
        if right.spec.recipe.optimizer != Optimizer::Sgd {
            change("beta2", &|f| f.spec.recipe.beta2 *= 0.99);
        }
        if right.spec.layers.iter().any(|l| l.lr_mult != [1.0; 2]) {
            change("lr_mult", &|f| f.spec.layers.iter_mut().for_each(|l| l.lr_mult = [1.0; 2]));
        }
        if right.spec.layers.iter().any(|l| l.decay_mult != [1.0; 2]) {
            change("decay_mult", &|f| f.spec.layers.iter_mut().for_each(|l| l.decay_mult = [1.0; 2]));
        }
        for (what, fixture) in wrong {
            let comparison = run(&fixture, &Variant::plain(), &cpu()).unwrap();
            assert!(comparison.faults().next().is_some(), "{name}: another {what} was not noticed");
        }
    }
}

/// The test of the test: one gradient that is slightly off is found, and it alone.
#[test]
fn a_wrong_gradient_does_not_agree() {
    let mut fixture = Fixture::load("alexnet_like");
    for name in ["grad.conv2.weight", "grad.fc1.bias", "grad.input"] {
        let right = fixture.tensors[name].clone();
        let norm = right.data().iter().map(|v| v * v).sum::<f32>().sqrt();
        let gradient = fixture.tensors.get_mut(name).unwrap();
        gradient.data_mut()[1] += 1e-4 * norm;
        let comparison = run(&fixture, &Variant::plain(), &cpu()).unwrap();
        let faults: Vec<String> = comparison.faults().collect();
        assert!(faults.len() == 1 && faults[0].starts_with(name), "{name}: {faults:?}");
        fixture.tensors.insert(name.to_string(), right);
    }
}

#[test]
fn the_comparison_fails_where_it_should() {
    let expected: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.37).sin()).collect();
    let faults = |found: &[f32], expected: &[f32]| {
        let mut comparison = Comparison::default();
        comparison.add("x", found, expected, 2e-5);
        comparison.faults().count()
    };
    let altered = |change: &dyn Fn(&mut Vec<f32>)| {
        let mut values = expected.clone();
        change(&mut values);
        values
    };
    assert_eq!(faults(&altered(&|v| v.iter_mut().for_each(|x| *x *= 1.0 + 1e-6)), &expected), 0);
    assert_eq!(faults(&altered(&|v| v.iter_mut().for_each(|x| *x *= 1.0 + 1e-4)), &expected), 1);
    assert_eq!(faults(&altered(&|v| v[500] += 0.01), &expected), 1);
    assert_eq!(faults(&altered(&|v| v.swap(3, 4)), &expected), 1);
    assert_eq!(faults(&altered(&|v| v[999] = f32::NAN), &expected), 1);
    assert_eq!(faults(&altered(&|v| v.truncate(999)), &expected), 1);
    assert_eq!(faults(&[1e-3, 0.0], &[0.0, 0.0]), 1);
    assert_eq!(faults(&[0.0, 0.0], &[0.0, 0.0]), 0);
}
