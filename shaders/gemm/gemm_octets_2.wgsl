// A tile of 16 x 64 sums in a subgroup; shaders/gemm_subgroup.wgsl.
const OCTETS = 2u;
