// Rows that were mixed with the row before them, or the first with the last real one (mix.wgsl): two labels each. `labels`
// holds those of the whole batch.

fn label_of(n: u32) -> u32 {
    return min(u32(labels[n]), classes - 1u);
}

fn own_label(row: u32) -> u32 {
    return label_of(first_row + row);
}

fn partner_label(row: u32) -> u32 {
    return label_of((first_row + row + hyper.rows - 1u) % hyper.rows);
}

fn own_share() -> f32 {
    return hyper.mix_weight;
}
