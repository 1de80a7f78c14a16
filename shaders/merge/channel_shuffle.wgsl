// y[n, j groups + i] = x[n, i channels / groups + j]: the channels as `groups` rows, transposed.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

override channels: u32;
override inner: u32;
override groups: u32;

fn element(i: u32) {
    let c = i / inner % channels;
    let source = c % groups * (channels / groups) + c / groups;
    // The same image and place: only the channel differs.
    y[i] = x[i + source * inner - c * inner];
}
