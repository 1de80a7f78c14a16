//! The commands, with what has to come of them.

/// A command (words separated by spaces), its exit code, and a part of the line that it ends with: of stderr where it fails, else of
/// either stream. `|` separates several parts; one that begins with `!` must not occur.
pub type Row = (&'static str, i32, &'static str);

/// Flags and words.
pub const FLAGS: [Row; 49] = [
    ("train -m alexnt", 2, "no model alexnt|did you mean `alexnet`?"),
    ("train alexnet", 2, "did you mean -m alexnet?"),
    ("train alexnt", 2, "did you mean -m alexnet?"),
    ("train typo.toml", 2, "did you mean -m typo.toml?"),
    ("train photos", 2, "did you mean --data-path photos?"),
    ("eval W", 2, "did you mean --weights runs/p/best.safetensors?"),
    ("eval runs/p", 2, "did you mean --weights runs/p?"),
    ("summary alexnet", 2, "striate summary expects flags|did you mean -m alexnet?"),
    ("bench step alexnet", 2, "did you mean -m alexnet?"),
    ("train --epoch 3", 2, "--epoch: striate train has no such flag; did you mean --epochs?"),
    ("train --batch 3", 2, "did you mean --batch-size?"),
    ("train --batch_size 3", 2, "--batch_size|did you mean --batch-size?"),
    ("train --learning-rate 3", 2, "did you mean --lr?"),
    ("train --optimizer adam", 2, "did you mean --opt?"),
    ("train --port 3", 2, "--port: striate train has no such flag; `striate train --help`|!--opt"),
    ("train --list-models", 2, "did you mean `striate models`?|!milestones"),
    ("--list-models", 2, "did you mean `striate models`?"),
    ("train --gpu", 2, "did you mean --device?"),
    ("train --num-workers 2", 2, "did you mean --workers?"),
    ("train --pretrained x", 2, "did you mean --weights?"),
    ("train --arch alexnet", 2, "did you mean --model?"),
    ("train --scheduler cosine", 2, "did you mean --lr-scheduler?"),
    ("train --early-stopping 3", 2, "did you mean --patience?"),
    ("train --fp16", 2, "did you mean --amp?"),
    ("train --output out", 2, "did you mean --output-dir?"),
    ("train --vall-split 0.2", 2, "did you mean --val-split?"),
    ("train -lr 0.1", 2, "-l: striate train has no such flag; did you mean --lr?"),
    ("predict --topk 3", 2, "did you mean --top-k?"),
    ("eval --weight runs/p", 2, "did you mean --weights?"),
    ("--verion", 2, "did you mean --version?"),
    ("train --epochs ten", 2, "--epochs: expected a whole number, found ten"),
    ("train --epochs -3", 2, "--epochs: expected a whole number, found -3"),
    ("train --lr fast", 2, "--lr: expected a number, found fast"),
    ("train --epochs", 2, "--epochs: expected N, found no value"),
    ("train --batch-size 0", 2, "--batch-size: expected auto or a number from 1 to 1048576, found 0"),
    ("train --opt adm", 2, "--opt: expected one of sgd, adam, adamw, rmsprop, found adm; did you mean adam?"),
    (
        "train --dataset imagefolder",
        2,
        "--dataset: expected one of|did you mean \"image-folder\"?|!dataset: dataset",
    ),
    ("train --threads 0", 2, "--threads: expected 1 to 1024, found 0"),
    ("train --split 30", 2, "--split: expected two numbers of samples, such as 30000/30000, found 30"),
    ("train --input-range 0-255", 2, "--input-range: expected|found"),
    ("train --sampler random", 2, "--sampler: expected shuffle or balanced, found random"),
    (
        "train --name a/b",
        2,
        "--name: expected a name without / (--output-dir names the folder around it), found a/b",
    ),
    ("train --tune fast", 2, "--tune: expected one of off, on, force, found fast"),
    ("train --split 3/3 --val-split 0.2", 2, "cannot be used together with --"),
    ("train --resume auto --preview p.png", 2, "cannot be used together with --"),
    ("train -q -v", 2, "cannot be used together with --"),
    ("-q train -v", 2, "--quiet: expected no --verbose"),
    ("train --lr -1 --data photos", 2, "--lr: expected 0 or more, found -1"),
    ("train --val-split 20 --data photos", 2, "--val-split|20"),
];

pub const COMMANDS: [Row; 22] = [
    ("trian", 2, "trian: striate has no such command; did you mean `striate train`?"),
    ("version", 2, "did you mean `striate --version`?"),
    ("evaluate", 2, "did you mean `striate eval`?"),
    ("classify", 2, "did you mean `striate predict`?"),
    ("convert", 2, "did you mean `striate export`?"),
    ("list", 2, "did you mean `striate models`?"),
    ("benchmark", 2, "did you mean `striate bench`?"),
    ("download", 2, "did you mean `striate dataset fetch`?"),
    ("gpus", 2, "did you mean `striate devices`?"),
    ("alexnet", 2, "did you mean `striate train -m alexnet`?"),
    ("frobnicate", 2, "frobnicate: striate has no such command; there are train, eval"),
    ("dataset photos", 2, "did you mean `striate dataset info photos`?"),
    ("dataset ifno", 2, "did you mean `striate dataset info`?"),
    ("bench setp", 2, "did you mean `striate bench step`?"),
    ("report filter", 2, "did you mean `striate report filters`?"),
    ("completions tcsh", 2, "expected one of bash, elvish, fish, powershell, zsh, found tcsh"),
    ("dataset fetch cifar", 2, "found cifar; did you mean cifar10?"),
    ("predict", 2, "striate predict: expected --weights <FILE> and <IMAGE|FOLDER>..., found none"),
    ("eval", 2, "striate eval: expected --weights <FILE> or --model, found none"),
    ("trace -m lenet5", 2, "striate trace: expected --output <FILE.safetensors>, found none"),
    ("dataset fetch", 2, "striate dataset fetch: expected <NAME>, found none"),
    ("import x.pth", 2, "striate import: expected --output <DIR>, found none"),
];

/// Flags that a command would ignore, and devices that are not there.
pub const DEVICES: [Row; 8] = [
    ("completions bash --device cpu", 2, "--device: striate completions has no such flag"),
    ("dataset info photos --device cpu", 2, "--device: striate dataset info has no such flag"),
    ("--device cpu devices", 2, "--device: striate devices has no such flag"),
    ("summary --threads 2", 2, "--threads: striate summary has no such flag"),
    ("trace -m lenet5 -o t.safetensors --epochs 3", 2, "--epochs has no effect: trace takes one step"),
    ("export -m lenet5 -o o.onnx --workers 2", 2, "--workers has no effect"),
    ("train --device 997 --data photos -m lenet5", 3, "no adapter number 997; adapters here"),
    ("train --device cuda --data photos -m lenet5", 3, "no adapter with \"cuda\" in its name; adapters here"),
];

/// Files that are missing, or of another kind.
pub const FILES: [Row; 25] = [
    (
        "report filters --weights runs/mlp -o f.png",
        4,
        "found none; --layer hidden draws a linear layer, which reads images of 28x28",
    ),
    ("eval --weights nope.safetensors", 4, "nope.safetensors: no such file or folder"),
    ("eval --weights runs/q/best.safetensors", 4, "no such file or folder; there is no folder runs/q"),
    ("eval --weights runs/p/bset.safetensors", 4, "did you mean runs/p/best.safetensors?"),
    ("eval --weights alexnet", 4, "alexnet: no such file or folder; did you mean -m alexnet?"),
    ("eval --weights photos", 4, "photos: expected a file, found a folder"),
    ("train --weights nope.pth --data photos", 4, "nope.pth: no such file or folder"),
    ("train -m nope.toml", 4, "nope.toml: no such file or folder"),
    ("train -m typo2.toml", 4, "did you mean typo.toml?"),
    ("train --resume runs/none", 4, "runs/none"),
    ("train --data photos -m lenet5 --class-weights nope.csv", 4, "nope.csv: no such file or folder"),
    ("predict --device cpu --weights W nope.png", 4, "nope.png: no such file or folder"),
    ("predict --weights W photos/cats/0.png --labels nope.txt", 4, "nope.txt: no such file or folder"),
    ("predict --weights W empty", 4, "empty: expected images|in it or in the folders below, found none"),
    ("predict --device cpu --weights W sound.jpg", 4, "sound.jpg: expected a JPEG, PNG"),
    ("summary -m runs/p", 4, "runs/p: expected a model file (.toml), found a folder"),
    ("summary -m W", 4, "expected a model file (TOML), found a file of another kind"),
    ("summary -m photos/cats/0.png", 4, "expected a model file (TOML), found a file of another kind"),
    (
        "report filters --weights photos/cats/0.png -o f.png",
        4,
        "expected safetensors, PyTorch (.pth), NPZ or ONNX",
    ),
    (
        "report filters --weights W --layer c2 -o f.png",
        2,
        "--layer: expected the name of a convolution, found c2",
    ),
    (
        "report activations --device cpu --weights W --layer c1 --image photos -o f.png",
        4,
        "photos: expected an image, found a folder",
    ),
    (
        "report activations --device cpu --weights W --layer c1 --image nope.png -o f.png",
        4,
        "nope.png: no such file or folder",
    ),
    ("import nope.pth -o in", 4, "nope.pth: no such file or folder"),
    ("import photos/cats/0.png -o in", 4, "expected safetensors, PyTorch (.pth), NPZ or ONNX"),
    (
        "train --device cpu --weights W -m alexnet-64 --data photos",
        4,
        "the tensors do not fit the model alexnet-64",
    ),
];

/// Data.
pub const DATA: [Row; 10] = [
    ("train --data-path fotos", 4, "fotos: no such data set; looked for fotos"),
    ("dataset info nope/nope", 4, "nope/nope: no such file or folder"),
    ("train --data-path flat", 4, "flat: found 3 images and no class folders; sort the images into folders"),
    ("dataset stats flat", 4, "flat: found 3 images and no class folders"),
    ("train --data-path extra", 4, "extra/val: class birds is in val only; train has cats, dogs"),
    ("train --data-path alone", 4, "alone: expected train beside val"),
    ("train --data-path photos/cats/0.png", 4, "photos/cats/0.png: expected a folder, a .safetensors"),
    ("train --data-path runs/p", 4, "runs/p: expected train-images-idx3-ubyte|found none"),
    ("train --data-path empty", 4, "empty"),
    ("dataset fetch mnist --dir in --from file:///nope", 1, "curl"),
];

/// Outputs whose names contradict their format, or that cannot be written.
pub const OUTPUTS: [Row; 13] = [
    (
        "predict --weights W photos/cats/0.png --annotate a.jpg",
        2,
        "--annotate a.jpg: expected a name that ends in .png, found .jpg",
    ),
    (
        "bench step -m lenet5 --roofline x.png",
        2,
        "--roofline x.png: expected a name that ends in .svg, found .png",
    ),
    ("bench ops --roofline x.pdf", 2, "expected a name that ends in .svg, found .pdf"),
    (
        "eval --weights W --data photos --confusion x.png",
        2,
        "--confusion x.png: expected a name that ends in .csv",
    ),
    (
        "eval --weights W --data photos --predictions x.json",
        2,
        "--predictions x.json: expected a name that ends in .csv",
    ),
    ("eval --weights W --robustness x.txt", 2, "--robustness: expected a file name ending in .csv or .json"),
    ("export --weights W -o n.pth", 2, "--output n.pth: expected an extension of safetensors, npz, onnx"),
    (
        "export --weights W -o n.onnx --format npz",
        2,
        "--output n.onnx: expected a name that ends in .npz, found .onnx",
    ),
    (
        "report filters --weights W -o f.jpg",
        2,
        "--output f.jpg: expected a name that ends in .png, found .jpg",
    ),
    (
        "trace -m lenet5 --dataset synthetic -o x.npz",
        2,
        "expected a name that ends in .safetensors, found .npz",
    ),
    (
        "train -m lenet5 --data photos --preview x.jpg",
        2,
        "--preview x.jpg: expected a name that ends in .png",
    ),
    (
        "train -m lenet5 --data photos --profile=x.png",
        2,
        "--profile x.png: expected a name that ends in .svg or .json or .txt",
    ),
    (
        "eval --weights W --data photos --confusion nope/x.csv",
        4,
        "nope/x.csv: expected a name in an existing folder",
    ),
];

pub const MODELS: [Row; 7] = [
    (
        "summary -m typo.toml",
        4,
        "typo.toml:5: layer 1: unknown key `out_channel`; did you mean `out_channels`?",
    ),
    ("summary -m other.toml", 4, "other.toml:6: layer 1: unknown key `kernel_size`; did you mean `kernel`?"),
    (
        "summary -m gelu.toml",
        4,
        "gelu.toml:4: layer 1: op: unknown operator \"mish\"; there are conv2d, linear",
    ),
    ("summary -m near.toml", 4, "unknown operator \"conv2\"; did you mean `conv2d`?"),
    ("summary -m rate.toml", 4, "rate.toml:4: [recipe]: unknown key `learning_rate`; did you mean `lr`?"),
    (
        "summary -m big.toml",
        4,
        "big.toml:3: layer conv2d.0: kernel 70x70 is larger than its input 32x32; expected a smaller kernel",
    ),
    ("summary -m stride.toml", 4, "unknown key `strid`; did you mean `stride`?"),
];

/// What is understood.
pub const UNDERSTOOD: [Row; 15] = [
    ("report filters --weights runs/mlp --layer hidden -o hidden.png", 0, "filters of hidden, 15 tiles"),
    ("eval --device cpu --weights runs/p --data photos", 0, "weights: runs/p/best.safetensors"),
    ("predict --device cpu --weights runs/p photos/cats/0.png", 0, "weights: runs/p/best.safetensors"),
    ("report filters --weights runs/p -o filters.png", 0, "weights: runs/p/best.safetensors"),
    ("export --device cpu --weights runs/p --data photos -o n.onnx", 0, "weights: runs/p/best.safetensors"),
    ("import runs/p -o imported", 0, "weights: runs/p/best.safetensors"),
    (
        "trace --device cpu --weights runs/p --data photos -o t.safetensors",
        0,
        "weights: runs/p/best.safetensors",
    ),
    ("eval --device cpu --weights imported2 --data photos", 0, "weights: imported2/only.safetensors"),
    (
        "predict --device cpu --weights W nested",
        0,
        "nested/a.png|nested/below/b.png|nested/below/deeper/c.png",
    ),
    ("eval --device cpu --weights W --data-path some", 0, "matched by name"),
    (
        "eval --device cpu --weights W --data-path alone",
        0,
        "there is no train in alone; val is taken as the whole",
    ),
    ("eval --device cpu --weights W --data-path alone/val", 0, "all 3 samples of val|top-1"),
    ("--device cpu eval --weights W --data photos", 0, "validation"),
    ("train --device cpu -m words.toml --data-path words.csv --epochs 1 --name words", 0, "best"),
    ("help dataset fetch", 0, "Usage: striate dataset fetch"),
];
