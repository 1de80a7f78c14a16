// An update that does not look for non-finite values.

const WEIGHT = 1u;
const STATE = 2u;

fn look_before(value: f32, what: u32) {}

fn look_after(value: f32, what: u32) {}

fn tell() {}
