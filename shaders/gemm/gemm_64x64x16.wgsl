// A tile of 64 x 64 sums, 16 products at a time; shaders/gemm_tile.wgsl.
const TILE_I = 64u;
const TILE_J = 64u;
const TILE_K = 16u;
const LANES_I = 16u;
const LANES_J = 16u;
const BUFFERS = 1u;
