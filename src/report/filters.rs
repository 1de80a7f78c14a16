//! The kernels of a convolution as tiles, as in figure 3 of the AlexNet paper.

use super::tiles::Tiles;
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// Makes tiles of the kernels of `weight`, `[outputs, inputs, height, width]`. With three inputs there is one colour tile
/// per output, otherwise one grey tile per output and input.
pub fn filters(weight: &Tensor) -> Result<Tiles> {
    let &[outputs, inputs, height, width] = weight.shape().dims() else {
        let what =
            format!("filters: expected weights of a convolution (4 dimensions), found {}", weight.shape());
        return Err(Error::Usage(what));
    };
    if outputs * inputs * height * width == 0 {
        return Err(Error::Usage(format!("filters: expected kernels, found {}", weight.shape())));
    }
    let channels = if inputs == 3 { 3 } else { 1 };
    Ok(Tiles { shape: [channels, height, width], values: weight.data().to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::TilesLayout;

    #[test]
    fn the_pixels_of_a_kernel_are_its_values() {
        // One kernel of 1 x 2 for red, green, blue: black-to-red on the left, grey on the right.
        let weight = Tensor::new([1, 3, 1, 2], vec![1.0, 0.0, -1.0, 0.0, -1.0, 0.0]).unwrap();
        let tiles = filters(&weight).unwrap();
        assert_eq!((tiles.len(), tiles.shape), (1, [3, 1, 2]));
        let layout = TilesLayout { zoom: Some(1), ..TilesLayout::default() };
        let sheet = tiles.draw(&layout, None).unwrap();
        assert_eq!(sheet.canvas.pixel(4, 4), Some([255, 0, 0]));
        assert_eq!(sheet.canvas.pixel(5, 4), Some([128, 128, 128]));
    }

    #[test]
    fn kernels_of_other_channel_counts_are_one_tile_each() {
        let weight = Tensor::new([2, 4, 3, 3], vec![0.0; 72]).unwrap();
        let tiles = filters(&weight).unwrap();
        assert_eq!((tiles.len(), tiles.shape), (8, [1, 3, 3]));
        assert!(filters(&Tensor::new([2, 4], vec![0.0; 8]).unwrap()).is_err());
    }
}
