//! Grad-CAM and saliency against PyTorch's autograd (`tests/fixtures/explain.py`).

use std::path::Path;
use std::sync::Arc;
use striate::Device;
use striate::data::{Dataset, Images, Labels, OnBadFile};
use striate::inference::{BatchSource, ExplainedAnswer, Explainer, Explanation};
use striate::interchange::{self, File};
use striate::model::Spec;

const IMAGES: usize = 3;

fn fixture(name: &str) -> File {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    interchange::read(root.join(format!("{name}.safetensors"))).unwrap()
}

fn spec(name: &str) -> Spec {
    Spec::load(&format!("{}/tests/fixtures/{name}.toml", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The first images of the fixture of `spec`.
fn images(spec: &Spec, file: &File) -> Arc<Dataset> {
    let len = IMAGES * spec.input.iter().product::<usize>();
    Arc::new(Dataset {
        name: "fixture".into(),
        shape: spec.input,
        classes: 6,
        class_names: (0..6).map(|class| class.to_string()).collect(),
        images: Images::F32(file.tensors["inputs"].data()[..len].to_vec()),
        labels: Labels::Classes(vec![0; IMAGES]),
    })
}

fn explained(name: &str, explanation: Explanation, layer: Option<&str>) -> Vec<ExplainedAnswer> {
    let (spec, mut file) = (spec(name), fixture(name));
    let data = images(&spec, &file);
    let tensors = std::mem::take(&mut file.tensors);
    file.tensors = tensors
        .into_iter()
        .filter_map(|(name, t)| Some((name.strip_prefix("final.")?.to_string(), t)))
        .collect();
    let layer = layer.map(|name| spec.layers.iter().position(|layer| layer.name == name).unwrap());
    let explainer = Explainer::new(&spec, file, explanation, layer, None).unwrap();
    let mut executor = Device::cpu().executor(Arc::clone(&explainer.model.program)).unwrap();
    explainer.load(executor.as_mut()).unwrap();
    let source = BatchSource::new(&explainer.spec, &explainer.model, 0, 1, OnBadFile::Fail);
    let mut answers = Vec::new();
    let mut each = |answer| {
        answers.push(answer);
        Ok(())
    };
    explainer.explain(executor.as_mut(), &data, &source, &mut each).unwrap();
    answers
}

#[test]
fn grad_cam_and_saliency_are_those_of_pytorch() {
    let expected = fixture("explain").tensors;
    let mut seen = 0;
    for (key, tensor) in &expected {
        let (name, what) = key.split_once('.').unwrap();
        if what == "answers" {
            continue;
        }
        let answers = match what {
            "input" => explained(name, Explanation::Saliency, None),
            layer => explained(name, Explanation::GradCam, Some(layer)),
        };
        let &[images, height, width] = tensor.shape().dims() else { panic!("{key}: {}", tensor.shape()) };
        assert_eq!(answers.len(), images);
        for (number, (answer, map)) in answers.iter().zip(tensor.data().chunks(height * width)).enumerate() {
            assert_eq!((answer.sample, answer.size), (number, [height, width]), "{key}");
            assert_eq!(answer.class as f32, expected[&format!("{name}.answers")].data()[number], "{key}");
            let most = map.iter().copied().fold(0.0, f32::max);
            let difference = answer.map.iter().zip(map).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(difference <= 1e-5 * most.max(1e-3), "{key}, image {number}: {difference:e} of {most:e}");
            seen += usize::from(most > 0.0);
        }
    }
    // Not all maps are empty.
    assert!(seen >= 2 * IMAGES * 3, "{seen}");
}

#[test]
fn a_layer_without_maps_and_a_norm_of_flat_values_are_refused() {
    let (spec, file) = (spec("residual"), fixture("residual"));
    let mut file = file;
    let tensors = std::mem::take(&mut file.tensors);
    file.tensors = tensors
        .into_iter()
        .filter_map(|(name, t)| Some((name.strip_prefix("final.")?.to_string(), t)))
        .collect();
    for layer in ["fc", "flatten.17"] {
        let number = spec.layers.iter().position(|known| known.name == layer).unwrap();
        let error =
            Explainer::new(&spec, file.clone(), Explanation::GradCam, Some(number), None).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().starts_with("layer: expected a layer whose output is maps"), "{error}");
    }
    let flat = "name = \"flat\"\ninput = [1, 2, 2]\n[[layer]]\nop = \"flatten\"\n[[layer]]\nname = \"n\"\nop = \"batch_norm2d\"\n";
    let flat = Spec::parse(flat, "flat.toml").unwrap();
    let error = Explainer::new(&flat, file, Explanation::Saliency, None, None).unwrap_err();
    assert_eq!(
        (error.exit_code(), error.to_string().as_str()),
        (2, "n: expected batch norms of maps, found one of flat values")
    );
}
