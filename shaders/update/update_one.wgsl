// An update of one tensor: its multipliers are constants.

// Bindings before the factor.
const TABLES = 0u;

override lr_mult: f32;
override decay_mult: f32;
// Of the parameter, from 1.
override number: u32;
