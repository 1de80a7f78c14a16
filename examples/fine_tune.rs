//! Takes a network that knows ten kinds of clothes and teaches it another question: is it a shoe? Its features stay as they
//! are; the last layer is replaced and trained.
//!
//! `cargo run --release --example fine_tune runs/alexnet-mini/best.safetensors shoes.safetensors`

use striate::data::{self, Labels, Request};
use striate::train::Options;
use striate::{Device, Error, Network, NetworkOptions, Result, inference, interchange};

const ROWS: usize = 64;
/// Sandal, sneaker and ankle boot of Fashion-MNIST.
const SHOES: [u32; 3] = [5, 7, 9];

fn main() -> Result<()> {
    let [weights, output] = std::env::args().skip(1).collect::<Vec<_>>().try_into().map_err(|_| {
        Error::Usage("expected two files: the weights to start from, and those to write".into())
    })?;

    let file = interchange::read(&weights)?;
    let mut spec = inference::spec_of(&file, None)?;
    let head = spec.replace_outputs(2)?;
    // Everything that can be trained but the new layer.
    let is_old = |name: &&String| !name.starts_with(&head) && !name.contains(".running_");
    let old: Vec<String> = file.tensors.keys().filter(is_old).cloned().collect();
    let options =
        NetworkOptions::default().with_batch(ROWS).with_train(Options::default().with_freeze(old.join(",")));
    let mut network = Network::new(spec, &Device::best()?, &options)?;
    network.load_weights(file, Some(&head))?;
    network.name_classes(&["other", "shoe"])?;

    let request = Request::new(network.spec().input, 10).with_limit_train(Some(2000));
    let data = data::open(&request)?;
    let images = network.inputs(&data.train, data.train.len())?;
    let Labels::Classes(classes) = &data.train.labels else {
        return Err(Error::Usage("expected classes".into()));
    };
    let labels: Vec<u32> = classes.iter().map(|class| u32::from(SHOES.contains(class))).collect();

    let row = data.train.image_len();
    for (step, (images, labels)) in images.chunks(ROWS * row).zip(labels.chunks(ROWS)).enumerate() {
        let result = network.train_batch(images, labels, 0.01)?;
        if step % 5 == 0 {
            println!("step {step:2}: loss {:.3}, {} of {} right", result.loss, result.correct, labels.len());
        }
    }
    network.save(&output)?;
    println!("{output}: a network with the outputs {}", network.class_names().join(", "));
    Ok(())
}
