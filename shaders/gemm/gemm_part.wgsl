// Which products of each sum a dispatch computes: `part_len` from number `part_first` on. A sum that is too long for one
// dispatch is cut into parts by the shape alone (src/gpu/kernels/rounds.rs); each begins at zero and is added to the sum of
// the parts before it.

override part_first: u32;
override part_len: u32;
