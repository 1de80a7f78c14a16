// The part of a pooling window that lies in the image.

// First and last-but-one row or column of the window of output `o` along one axis. No window lies in the padding alone.
fn inside(o: u32, stride: u32, kernel: u32, pad: u32, inputs: u32) -> vec2<u32> {
    let first = o * stride;
    return vec2<u32>(max(first, pad) - pad, min(first + kernel, inputs + pad) - pad);
}
