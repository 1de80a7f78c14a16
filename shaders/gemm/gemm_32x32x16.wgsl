// A tile of 32 x 32 sums, 16 products at a time; shaders/gemm_tile.wgsl.
const TILE_I = 32u;
const TILE_J = 32u;
const TILE_K = 16u;
const LANES_I = 8u;
const LANES_J = 8u;
const BUFFERS = 1u;
