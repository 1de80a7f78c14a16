//! Answers image files, as a program does that has a network built in.
//!
//! `cargo run --release --example predict runs/alexnet-mini/best.safetensors shirt.png`

use striate::{Device, Error, Network, NetworkOptions, Result};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let weights = arguments.next().ok_or_else(|| Error::Usage("expected weights and pictures".into()))?;
    let pictures: Vec<String> = arguments.collect();

    let mut network = Network::load(weights, &Device::best()?, &NetworkOptions::inference(8))?;
    for (picture, answers) in pictures.iter().zip(network.predict_files(&pictures, 3)?) {
        println!("{picture}");
        for answer in answers {
            println!("  {:5.1} %  {}", 100.0 * answer.probability, answer.name);
        }
    }
    Ok(())
}
