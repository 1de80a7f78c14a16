// How the sums of batch norm are divided: a part is `images` successive images, or a run of elements of one; each workgroup treats one part of
// one channel and leaves two numbers, and then one thread per channel puts the parts together in order.

override batch: u32;
override channels: u32;
override inner: u32;
override images: u32;
// Elements of an image in a part: all, or fewer where an image has several parts.
override run: u32;
override parts_per_image: u32;

// Rows of the batch that are samples.
fn real_rows() -> u32 {
    return min(hyper.rows, batch);
}

// Elements of one channel in part number `part`, without rows that only pad.
fn part_len(part: u32) -> u32 {
    let first = part / parts_per_image * images;
    let begin = first_element(part);
    return min(max(real_rows(), first) - first, images) * (min(begin + run, inner) - begin);
}

// Where in an image a part begins.
fn first_element(part: u32) -> u32 {
    return part % parts_per_image * run;
}

// Where the two numbers of a part and channel stand.
fn part_index(part: u32, channel: u32) -> u32 {
    return (part * channels + channel) * 2u;
}
