// Geometry of a linear layer, in the words of src/ops/linear.rs. A dispatch treats `outputs` of its `outputs_total`
// outputs, from number `first_output` on: w and dw are bound from there on, other tensors whole.

override batch: u32;
override inputs: u32;
override outputs: u32;
override outputs_total: u32;
override first_output: u32;

const batches = 1u;
