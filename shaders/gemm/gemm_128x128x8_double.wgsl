// A tile of 128 x 128 sums, 8 products at a time, the next tile's factors beside those in use; shaders/gemm_tile.wgsl.
const TILE_I = 128u;
const TILE_J = 128u;
const TILE_K = 8u;
const LANES_I = 16u;
const LANES_J = 16u;
const BUFFERS = 2u;
