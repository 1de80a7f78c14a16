// Geometry of a convolution, in the words of src/ops/conv2d.rs. `batch` is the number of images in this dispatch.

override batch: u32;
override c_in: u32;
override h_in: u32;
override w_in: u32;
override c_out: u32;
override h_out: u32;
override w_out: u32;
override kernel_h: u32;
override kernel_w: u32;
override stride_h: u32;
override stride_w: u32;
// At the top and on the left.
override pad_h: u32;
override pad_w: u32;
override dilation_h: u32;
override dilation_w: u32;
// Channels of one group, in and out.
override c_in_group: u32;
override c_out_group: u32;
// 1 if some window reaches beyond x.
override padded: u32;

override taps: u32 = kernel_h * kernel_w;
// Products behind one output.
override window: u32 = c_in_group * taps;
override pixels_in: u32 = h_in * w_in;
override pixels_out: u32 = h_out * w_out;

// A place in a tensor, and its height and width there. Coordinates left or above of an image are below zero and
// so, as u32, beyond it: one comparison tests both sides. Offsets may wrap around on the way; their sums do not.
struct Spot {
    offset: u32,
    h: u32,
    w: u32,
}

// Where tap `tap` of the channel `channel` of the group lies from the corner of a window in x.
fn tap_of_window(channel: u32, tap: u32) -> Spot {
    let h = tap / kernel_w * dilation_h;
    let w = tap % kernel_w * dilation_w;
    return Spot(channel * pixels_in + h * w_in + w, h, w);
}

// The corner of the window of output pixel (h, w), in the first channel of an image that begins at `image`.
fn corner_of_window(image: u32, h: u32, w: u32) -> Spot {
    let top = h * stride_h - pad_h;
    let left = w * stride_w - pad_w;
    return Spot(image + top * w_in + left, top, left);
}
