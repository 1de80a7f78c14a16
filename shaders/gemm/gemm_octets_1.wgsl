// A tile of 8 x 64 sums in a subgroup; shaders/gemm_subgroup.wgsl.
const OCTETS = 1u;
