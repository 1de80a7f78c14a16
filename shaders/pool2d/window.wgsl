// Geometry of pooling windows, shared by max_pool2d and avg_pool2d.

override h_in: u32;
override w_in: u32;
override h_out: u32;
override w_out: u32;
override kernel_h: u32;
override kernel_w: u32;
override stride_h: u32;
override stride_w: u32;
override pad_top: u32;
override pad_left: u32;

// Plane (image and channel), row and column of element i of planes of the given size.
fn position(i: u32, h: u32, w: u32) -> vec3<u32> {
    return vec3(i / (h * w), i / w % h, i % w);
}

// First and last-but-one place of the windows that cover `at`, which counts from the edge of the padding.
fn windows(at: u32, kernel: u32, stride: u32, count: u32) -> vec2<u32> {
    var first = 0u;
    if at + 1u > kernel {
        first = (at + stride - kernel) / stride;
    }
    return vec2(first, min(at / stride + 1u, count));
}
