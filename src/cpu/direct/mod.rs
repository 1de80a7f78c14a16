//! Direct convolution in blocks of channels, all three passes, for any kernel, stride, padding, dilation and groups.
//!
//! * [`taps`]: which pixels an output is summed from.
//! * [`source`]: the operand whose numbers are taken one by one, copied as far as it has to be.
//! * [`weights`]: the weights in the order in which products read them.
//! * [`over_pixels`]: y, and dx; [`grad_weight`]: dw.
//! * [`narrow`]: the same for results of few channels.

mod grad_weight;
mod narrow;
mod over_pixels;
mod source;
mod taps;
mod weights;

pub use grad_weight::grad_weight;
pub use narrow::is_narrow;
pub use over_pixels::{forward, grad_input};
pub use source::Source;
pub use taps::Taps;
pub use weights::{tile_of, tiles};
