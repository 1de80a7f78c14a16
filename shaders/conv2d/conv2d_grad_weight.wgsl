// dw from x and dy. The sum over images and output pixels is long and dw is small, so the sum is cut into pieces
// (by the shape alone, src/gpu/kernels/conv2d.rs) that sum_partials.wgsl adds up.
// i: output channel of the group; j: channel of the group and tap; k: image and output pixel of the piece;
// z: piece and group. A piece is `images` images, or `piece_rows` rows of one.

override images: u32;
override piece_rows: u32;
// Pieces that share an image, and the number of the first piece of this dispatch.
override pieces_per_image: u32;
override first_piece: u32;
override pieces: u32;
// 1 if this dispatch continues the sums it finds: where not even the images of one piece can be bound at once, or a
// piece is too long.
override accumulate: u32;
// The products of each piece that this dispatch takes: at most `part_len` from number `part_first` on.
override part_first: u32;
override part_len: u32;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dw: array<f32>;

override groups: u32 = c_in / c_in_group;
override m: u32 = c_out_group;
override n: u32 = window;
override batches: u32 = pieces * groups;
// Rows of y per piece; 1 if a dispatch takes only some of its products.
override reduction_unit: u32;
const A_ALONG_K = true;
const B_ALONG_K = true;
const TERM_TABLE = false;

alias Row = u32;
alias Column = Spot;
struct Term {
    dy: u32,
    x: Spot,
}

fn reduction_length(z: u32) -> u32 {
    let piece = z / groups;
    let first_image = piece / pieces_per_image * images;
    let first_row = piece % pieces_per_image * piece_rows;
    let all = min(images, batch - first_image) * min(piece_rows, h_out - first_row) * w_out;
    return min(part_len, max(all, part_first) - part_first);
}

fn row(z: u32, i: u32) -> Row {
    return (z % groups * c_out_group + i) * pixels_out;
}

fn column(z: u32, j: u32) -> Column {
    let tap = tap_of_window(j / taps, j % taps);
    return Spot(tap.offset + z % groups * c_in_group * pixels_in, tap.h, tap.w);
}

fn term(z: u32, k: u32) -> Term {
    let piece = z / groups;
    let number = part_first + k;
    let line = number / w_out;
    let image = piece / pieces_per_image * images + line / piece_rows;
    let h = piece % pieces_per_image * piece_rows + line % piece_rows;
    let w = number % w_out;
    return Term(image * c_out * pixels_out + h * w_out + w, corner_of_window(image * c_in * pixels_in, h, w));
}

fn load_a(at: Row, t: Term) -> f32 {
    return dy[at + t.dy];
}

fn load_b(t: Term, at: Column) -> f32 {
    let offset = at.offset + t.x.offset;
    if padded == 0u {
        return x[offset];
    }
    let inside = at.h + t.x.h < h_in && at.w + t.x.w < w_in;
    return select(0.0, x[select(0u, offset, inside)], inside);
}

fn place(z: u32, i: u32, j: u32) -> u32 {
    let piece = first_piece + z / groups;
    return (piece * c_out + z % groups * c_out_group + i) * window + j;
}

fn start(z: u32, i: u32, j: u32) -> f32 {
    if accumulate != 0u && i < m && j < n {
        return dw[place(z, i, j)];
    }
    // As in gemm_zero.wgsl.
    return -0.0;
}

fn store(z: u32, i: u32, j: u32, sum: f32) {
    dw[place(z, i, j)] = sum;
}
