// Terms of gather.wgsl that lie in a rectangle of a plane, row by row.

struct Rectangle {
    // Element 0 of the plane.
    plane: u32,
    top: u32,
    left: u32,
    width: u32,
    count: u32,
}

// Rows and columns from x up to, but not including, y.
fn rectangle(plane: u32, rows: vec2<u32>, columns: vec2<u32>) -> Rectangle {
    // Where the strides are longer than the windows an element may be in none.
    let width = max(columns.y, columns.x) - columns.x;
    let count = (max(rows.y, rows.x) - rows.x) * width;
    return Rectangle(plane, rows.x, columns.x, max(width, 1u), count);
}

// Row and column of term e.
fn corner(source: Rectangle, e: u32) -> vec2<u32> {
    return vec2<u32>(source.top + e / source.width, source.left + e % source.width);
}
