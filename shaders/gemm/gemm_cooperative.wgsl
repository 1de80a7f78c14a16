// c[z] = a[z] b[z] for `batches` pairs of matrices on an adapter's matrix units: operands rounded to f16, sums in f32;
// gemm_tile.wgsl lists what a kernel defines. 8 subgroups of 32 invocations as 2 x 4; each owns 2 x 2 cooperative
// matrices of 16 x 16 sums. Groups of sixteen products are added to the sums in the order of k. The hardware chooses the
// order inside a group; it is the same each time.
//
// Elements of a cooperative matrix cannot be accessed, so the initial value of a sum and its result pass through
// workgroup memory.

// A matrix of 16 x 16 sums for each subgroup.
var<workgroup> staging: array<f32, 2048>;
// Length of the sums of this workgroup; 0 if it has none. It is read from workgroup memory, so that the compiler knows
// that it is uniform: cooperative operations demand that.
var<workgroup> common_length: u32;

const SIDE = 16u;

// Loads the initial values of the sums from (i, j) onwards, as the kernel defines them.
fn stage_start(z: u32, i: u32, j: u32, subgroup: u32, lane: u32) {
    for (var e = lane; e < SIDE * SIDE; e += 32u) {
        staging[subgroup * SIDE * SIDE + e] = start(z, i + e / SIDE, j + e % SIDE);
    }
}

fn stage_store(z: u32, i: u32, j: u32, subgroup: u32, lane: u32) {
    for (var e = lane; e < SIDE * SIDE; e += 32u) {
        let row = i + e / SIDE;
        let column = j + e % SIDE;
        if row < m && column < n {
            store(z, row, column, staging[subgroup * SIDE * SIDE + e]);
        }
    }
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let tiles_i = (m + TILE_M - 1u) / TILE_M;
    let tiles_j = (n + TILE_N - 1u) / TILE_N;
    let tile = group_index(group, groups);
    let z = tile / (tiles_i * tiles_j);
    if thread == 0u {
        common_length = 0u;
        if z < batches {
            common_length = reduction_length(z);
        }
    }
    let end = workgroupUniformLoad(&common_length);
    if end == 0u {
        return;
    }
    let first_i = tile % tiles_i * TILE_M;
    let first_j = tile / tiles_i % tiles_j * TILE_N;
    let at = origins(z, first_i, first_j, thread);
    // The first of the 32 x 32 sums of this subgroup, in the tile and in c.
    let own_i = subgroup / 4u * 32u;
    let own_j = subgroup % 4u * 32u;
    let i = first_i + own_i;
    let j = first_j + own_j;
    let place = subgroup * SIDE * SIDE;

    stage_start(z, i, j, subgroup, lane);
    workgroupBarrier();
    var c00 = coopLoadT<coop_mat16x16<f32, C>>(&staging[place], SIDE);
    workgroupBarrier();
    stage_start(z, i, j + SIDE, subgroup, lane);
    workgroupBarrier();
    var c01 = coopLoadT<coop_mat16x16<f32, C>>(&staging[place], SIDE);
    workgroupBarrier();
    stage_start(z, i + SIDE, j, subgroup, lane);
    workgroupBarrier();
    var c10 = coopLoadT<coop_mat16x16<f32, C>>(&staging[place], SIDE);
    workgroupBarrier();
    stage_start(z, i + SIDE, j + SIDE, subgroup, lane);
    workgroupBarrier();
    var c11 = coopLoadT<coop_mat16x16<f32, C>>(&staging[place], SIDE);

    // The next tiles are loaded into registers while the current ones are multiplied.
    var next = fetch(z, at, thread, 0u, end);
    for (var k = 0u; k < end; k += TILE_K) {
        put(thread, next);
        workgroupBarrier();
        if k + TILE_K < end {
            next = fetch(z, at, thread, k + TILE_K, end);
        }
        let a0 = coopLoadT<coop_mat16x16<f16, A>>(&tile_a[own_i * STRIDE], STRIDE);
        let a1 = coopLoadT<coop_mat16x16<f16, A>>(&tile_a[(own_i + SIDE) * STRIDE], STRIDE);
        let b0 = coopLoad<coop_mat16x16<f16, B>>(&tile_b[own_j * STRIDE], STRIDE);
        let b1 = coopLoad<coop_mat16x16<f16, B>>(&tile_b[(own_j + SIDE) * STRIDE], STRIDE);
        c00 = coopMultiplyAdd(a0, b0, c00);
        c01 = coopMultiplyAdd(a0, b1, c01);
        c10 = coopMultiplyAdd(a1, b0, c10);
        c11 = coopMultiplyAdd(a1, b1, c11);
        workgroupBarrier();
    }

    coopStoreT(c00, &staging[place], SIDE);
    workgroupBarrier();
    stage_store(z, i, j, subgroup, lane);
    workgroupBarrier();
    coopStoreT(c01, &staging[place], SIDE);
    workgroupBarrier();
    stage_store(z, i, j + SIDE, subgroup, lane);
    workgroupBarrier();
    coopStoreT(c10, &staging[place], SIDE);
    workgroupBarrier();
    stage_store(z, i + SIDE, j, subgroup, lane);
    workgroupBarrier();
    coopStoreT(c11, &staging[place], SIDE);
    workgroupBarrier();
    stage_store(z, i + SIDE, j + SIDE, subgroup, lane);
}
