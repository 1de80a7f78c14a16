// A tile of 64 x 128 sums, 8 products at a time; shaders/gemm_tile.wgsl.
const TILE_I = 64u;
const TILE_J = 128u;
const TILE_K = 8u;
