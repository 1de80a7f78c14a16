// A tile of 32 x 64 sums in a subgroup; shaders/gemm_subgroup.wgsl.
const OCTETS = 4u;
