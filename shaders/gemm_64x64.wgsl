// A tile of 64 x 64 sums, 16 products at a time; shaders/gemm_tile.wgsl.
const TILE_I = 64u;
const TILE_J = 64u;
const TILE_K = 16u;
