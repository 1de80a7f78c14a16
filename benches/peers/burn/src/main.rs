//! Seconds of a training step in Burn, on its Flex backend (CPU), as JSON; for compare.py.
//!
//! usage: cargo run --release -- MODEL BATCH THREADS STEPS
//! MODEL: alexnet alone (torchvision's form). SGD with momentum 0.9, random inputs.

use std::process::exit;
use std::time::Instant;

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::Distribution;
use burn::tensor::activation::relu;

const CLASSES: usize = 1000;

#[derive(Module, Debug)]
struct AlexNet {
    convs: [Conv2d; 5],
    pool: MaxPool2d,
    dropout: Dropout,
    linears: [Linear; 3],
}

impl AlexNet {
    fn new(device: &Device) -> Self {
        let conv = |inputs, outputs, size, stride, edge| {
            Conv2dConfig::new([inputs, outputs], [size, size])
                .with_stride([stride, stride])
                .with_padding(PaddingConfig2d::Explicit(edge, edge, edge, edge))
                .init(device)
        };
        let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(device);
        Self {
            convs: [
                conv(3, 64, 11, 4, 2),
                conv(64, 192, 5, 1, 2),
                conv(192, 384, 3, 1, 1),
                conv(384, 256, 3, 1, 1),
                conv(256, 256, 3, 1, 1),
            ],
            pool: MaxPool2dConfig::new([3, 3]).with_strides([2, 2]).init(),
            dropout: DropoutConfig::new(0.5).init(),
            linears: [linear(9216, 4096), linear(4096, 4096), linear(4096, CLASSES)],
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let [conv1, conv2, conv3, conv4, conv5] = &self.convs;
        let [linear1, linear2, linear3] = &self.linears;
        let x = self.pool.forward(relu(conv1.forward(x)));
        let x = self.pool.forward(relu(conv2.forward(x)));
        let x = relu(conv4.forward(relu(conv3.forward(x))));
        let x = self.pool.forward(relu(conv5.forward(x))).flatten::<2>(1, 3);
        let x = relu(linear1.forward(self.dropout.forward(x)));
        let x = relu(linear2.forward(self.dropout.forward(x)));
        linear3.forward(x)
    }
}

/// Burn's version in Cargo.lock.
fn version() -> Option<&'static str> {
    include_str!("../Cargo.lock").split_once("name = \"burn\"\nversion = \"")?.1.split('"').next()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(name) = arguments.first().filter(|name| *name != "alexnet") {
        eprintln!("written for alexnet only, not {name}");
        exit(1);
    }
    let numbers: Vec<usize> = arguments.iter().skip(1).filter_map(|word| word.parse().ok()).collect();
    let &[batch, threads, steps @ (1..)] = numbers.as_slice() else {
        eprintln!("usage: burn-peer MODEL BATCH THREADS STEPS");
        exit(2);
    };
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .expect("the first pool of this process");

    let device = Device::flex().autodiff();
    let mut model = AlexNet::new(&device);
    let x = Tensor::<4>::random([batch, 3, 224, 224], Distribution::Normal(0.0, 1.0), &device);
    let labels = Tensor::<1, Int>::random([batch], Distribution::Uniform(0.0, CLASSES as f64), &device);
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);
    let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
    let mut optimizer = SgdConfig::new()
        .with_momentum(Some(momentum))
        .with_weight_decay(Some(WeightDecayConfig::new(1e-4)))
        .init();
    let mut times = Vec::new();
    for step in 0..2 + steps {
        let start = Instant::now();
        let loss = cross_entropy.forward(model.forward(x.clone()), labels.clone());
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(0.01, model, gradients);
        // both are read so that no work is left waiting when the clock stops
        let weight = model.convs[0].weight.val().slice([0..1, 0..1, 0..1, 0..1]).into_scalar::<f32>();
        assert!(loss.into_scalar::<f32>().is_finite() && weight.is_finite(), "step {step} diverged");
        if step >= 2 {
            times.push(start.elapsed().as_secs_f64());
        }
    }
    times.sort_by(f64::total_cmp);
    let median = (times[(steps - 1) / 2] + times[steps / 2]) / 2.0;
    let version = version().expect("burn is in the lock file");
    println!("{{\"seconds\": {median}, \"version\": \"burn {version} (flex)\"}}");
}
