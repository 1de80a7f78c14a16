//! Trains on batches that the program makes itself: three shapes somewhere in noise.
//!
//! `cargo run --release --example train_from_code [STEPS]`

use striate::random::{Purpose, Stream};
use striate::{Device, Network, NetworkOptions, Spec};

const SIDE: usize = 16;
const ROWS: usize = 32;

const NET: &str = r#"
name = "shapes"
input = [1, 16, 16]
[recipe]
batch_size = 32
optimizer = "adam"
[[layer]]
op = "conv2d"
out_channels = 8
kernel = 5
stride = 2
[[layer]]
op = "relu"
[[layer]]
op = "flatten"
[[layer]]
op = "linear"
out_features = 3
"#;

/// Batches without end: `ROWS` images of one channel, and the class of each.
fn batches() -> impl Iterator<Item = (Vec<f32>, Vec<u32>)> {
    let mut random = Stream::new(7, Purpose::Synthetic, 0);
    std::iter::repeat_with(move || {
        let (mut images, mut labels) = (Vec::new(), Vec::new());
        for _ in 0..ROWS {
            let class = random.below(3);
            let centre = [5 + random.below(6) as i32, 5 + random.below(6) as i32];
            for at in 0..SIDE * SIDE {
                let y = (at / SIDE) as i32 - centre[0];
                let x = (at % SIDE) as i32 - centre[1];
                let inside = match class {
                    0 => x * x + y * y <= 16,
                    1 => x.abs() <= 4 && y.abs() <= 4 && (x.abs() == 4 || y.abs() == 4),
                    _ => x.abs() <= 4 && x.abs() == y.abs(),
                };
                images.push(f32::from(u8::from(inside)) + 0.3 * random.normal());
            }
            labels.push(class);
        }
        (images, labels)
    })
}

fn main() -> striate::Result<()> {
    let steps = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(200);
    let spec = Spec::parse(NET, "shapes")?;
    let mut network = Network::new(spec, &Device::best()?, &NetworkOptions::default())?;
    network.name_classes(&["disc", "frame", "cross"])?;

    for (step, (images, labels)) in batches().take(steps).enumerate() {
        let result = network.train_batch(&images, &labels, 0.003)?;
        if step % 20 == 0 {
            println!("step {step:3}: loss {:.3}, {} of {ROWS} right", result.loss, result.correct);
        }
    }

    let (images, _) = batches().next().unwrap_or_default();
    let best = &network.predict(&images[..SIDE * SIDE], 1)?[0][0];
    println!("the first picture is a {} ({:.0} %)", best.name, 100.0 * best.probability);
    Ok(())
}
