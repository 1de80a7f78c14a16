// The windows of adaptive pooling along one axis.

// Begin and end of the inputs that output `o` averages.
fn adaptive_window(o: u32, inputs: u32, outputs: u32) -> vec2<u32> {
    return vec2(o * inputs / outputs, ((o + 1u) * inputs + outputs - 1u) / outputs);
}
